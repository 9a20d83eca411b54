//! What a producer was given and has not sent: records, in the batches that they will be sent in.
//!
//! Of each partition one batch takes records. It is closed when the next record does not fit, and it is taken, closed or
//! not, by whoever sends it. Records with a key go where Kafka's Java clients send that key; records without one stay
//! with one partition until its batch is closed or taken, and then go to the next. (KIP-480, KIP-794)
//!
//! Nothing here knows the time: the moment at which a record was given is an argument, in seconds of the caller's clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moldau_log::batch::{BatchBuilder, BatchView, HEADER_BYTES, RecordHeader, batches};
use moldau_log::{CompressionSetting, ProducerEpoch, ProducerId};

/// More than what a record has beside its key, its value and its headers.
const AROUND_RECORD_BYTES: usize = 21;
/// The same of a header.
const AROUND_HEADER_BYTES: usize = 10;

/// How large a batch may become, and how large a batch of one record may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// A batch that would have more is closed.
    pub batch_bytes: usize,
    /// A record that would need more is refused.
    pub record_bytes: usize,
    /// So many records are the most that a batch has.
    pub batch_records: usize,
    /// Whether batches are parts of transactions.
    pub transactional: bool,
}

/// A record that is larger than anybody would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// A record on its way in.
#[derive(Debug, Clone, Copy)]
pub struct NewRecord<'a> {
    /// None for a null key.
    pub key: Option<&'a [u8]>,
    /// None for a null value.
    pub value: Option<&'a [u8]>,
    /// Its time, ms since 1970.
    pub timestamp_ms: i64,
    /// In their order.
    pub headers: &'a [RecordHeader<'a>],
}

impl NewRecord<'_> {
    fn bytes_max(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len) + AROUND_HEADER_BYTES);
        AROUND_RECORD_BYTES
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + headers.sum::<usize>()
    }
}

/// A batch, and since when its first record is here.
#[derive(Debug)]
pub struct Pending {
    /// When the first record was given, s.
    pub since: f64,
    builder: BatchBuilder,
    transactional: bool,
    total: Arc<AtomicUsize>,
    counted: AtomicUsize,
}

impl Pending {
    fn new(since: f64, transactional: bool, total: &Arc<AtomicUsize>) -> Pending {
        let builder = BatchBuilder::new();
        let pending = Pending {
            since,
            builder: if transactional {
                builder.transactional()
            } else {
                builder
            },
            transactional,
            total: Arc::clone(total),
            counted: AtomicUsize::new(0),
        };
        pending.count();
        pending
    }

    fn append(&mut self, record: &NewRecord<'_>) {
        self.builder
            .append(record.timestamp_ms, record.key, record.value, record.headers);
        self.count();
    }

    fn count(&self) {
        let bytes = self.builder.size_bytes();
        let before = self.counted.swap(bytes, Ordering::Relaxed);
        self.total.fetch_add(bytes - before, Ordering::Relaxed);
    }

    /// It is done with, whoever still has it: it counts no more.
    pub fn release(&self) {
        let counted = self.counted.swap(0, Ordering::Relaxed);
        self.total.fetch_sub(counted, Ordering::Relaxed);
    }

    /// How many records it has.
    #[must_use]
    pub fn records(&self) -> usize {
        self.builder.record_count()
    }

    /// Its size before it is compressed.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.builder.size_bytes()
    }

    /// The batch as it is sent by a producer; -1, -1, -1 for one that is not idempotent.
    #[must_use]
    pub fn encode(&self, compression: CompressionSetting, id: i64, epoch: i16, sequence: i32) -> Vec<u8> {
        self.builder
            .encode(compression, ProducerId(id), ProducerEpoch(epoch), sequence)
            .into()
    }

    /// The same, uncompressed: for `view`.
    #[must_use]
    pub fn plain(&self) -> Vec<u8> {
        self.encode(CompressionSetting::Uncompressed, -1, -1, -1)
    }

    /// Its records in two batches, which are as old as it is. There must be two records or more.
    #[must_use]
    pub fn halves(&self) -> (Pending, Pending) {
        let mut halves = (
            Pending::new(self.since, self.transactional, &self.total),
            Pending::new(self.since, self.transactional, &self.total),
        );
        let first = self.records() / 2;
        let plain = self.plain();
        each(&plain, |number, record| {
            let half = if number < first { &mut halves.0 } else { &mut halves.1 };
            half.append(record);
        });
        halves
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.release();
    }
}

/// Calls with each record of a batch that was made here.
///
/// # Panics
/// It was not made here.
pub fn each(plain: &[u8], mut call: impl FnMut(usize, &NewRecord<'_>)) {
    let batch: BatchView<'_> = batches(plain).next().expect("a batch").expect("a whole one");
    let decoded = batch.decode().expect("it is not compressed");
    for (number, record) in decoded.iter().enumerate() {
        let record = record.expect("a record that was written here");
        let new = NewRecord {
            key: record.key,
            value: record.value,
            timestamp_ms: record.timestamp_ms,
            headers: &record.headers,
        };
        call(number, &new);
    }
}

#[derive(Debug, Default)]
struct Partition {
    open: Option<Pending>,
    closed: VecDeque<Pending>,
}

#[derive(Debug, Default)]
struct Topic {
    /// Those that records are sent to now.
    count: usize,
    /// These, and those that the topic had before it was made anew with fewer.
    partitions: Vec<Partition>,
    sticky: usize,
}

/// All of it, by the numbers of topics.
#[derive(Debug)]
pub struct Accumulator {
    limits: Limits,
    topics: Vec<Topic>,
    total: Arc<AtomicUsize>,
    news: Vec<(usize, usize)>,
}

impl Accumulator {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Accumulator {
        Accumulator {
            limits,
            topics: Vec::new(),
            total: Arc::default(),
            news: Vec::new(),
        }
    }

    /// How much is in batches that somebody has: those here, and those that were taken and are not done with.
    #[must_use]
    pub fn bytes(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.total)
    }

    /// One more topic; its number.
    pub fn add_topic(&mut self) -> usize {
        self.topics.push(Topic::default());
        self.topics.len() - 1
    }

    /// How many topics there are.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// How many partitions a topic has.
    #[must_use]
    pub fn partitions(&self, topic: usize) -> usize {
        self.topics[topic].count
    }

    /// A topic has so many partitions now.
    pub fn set_partitions(&mut self, topic: usize, count: usize) {
        let topic = &mut self.topics[topic];
        topic.count = count;
        if topic.partitions.len() < count {
            topic.partitions.resize_with(count, Partition::default);
        }
        topic.sticky = topic.sticky.min(count.saturating_sub(1));
    }

    /// Takes a record, for this partition or for the one that its key says.
    ///
    /// # Errors
    /// It is larger than a record may be.
    ///
    /// # Panics
    /// The topic has no such partition, or none.
    pub fn append(
        &mut self,
        topic: usize,
        partition: Option<usize>,
        record: &NewRecord<'_>,
        now: f64,
    ) -> Result<(), TooLarge> {
        let size = record.bytes_max();
        if HEADER_BYTES + size > self.limits.record_bytes {
            return Err(TooLarge);
        }
        let of = &mut self.topics[topic];
        let mut number = match (partition, record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => partition_of(key, of.count),
            (None, None) => of.sticky,
        };
        let is_full = of.partitions[number].open.as_ref().is_some_and(|open| {
            open.size_bytes() + size > self.limits.batch_bytes || open.records() >= self.limits.batch_records
        });
        if is_full {
            let place = &mut of.partitions[number];
            place.closed.extend(place.open.take());
            self.news.push((topic, number));
            if partition.is_none() && record.key.is_none() {
                of.sticky = (of.sticky + 1) % of.count;
                number = of.sticky;
            }
        }
        let open = &mut of.partitions[number].open;
        if open.is_none() {
            self.news.push((topic, number));
        }
        open.get_or_insert_with(|| Pending::new(now, self.limits.transactional, &self.total))
            .append(record);
        Ok(())
    }

    /// Whether there are batches that nobody was told of.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Topic and partition of each batch that was begun or closed since the last time.
    pub fn take_news(&mut self) -> Vec<(usize, usize)> {
        std::mem::take(&mut self.news)
    }

    /// Of the first batch of a partition, when its first record was given, and whether it takes no more.
    #[must_use]
    pub fn first(&self, topic: usize, partition: usize) -> Option<(f64, bool)> {
        let place = &self.topics[topic].partitions[partition];
        match place.closed.front() {
            Some(closed) => Some((closed.since, true)),
            None => place.open.as_ref().map(|open| (open.since, false)),
        }
    }

    /// Takes that batch out.
    pub fn take(&mut self, topic: usize, partition: usize) -> Option<Pending> {
        let topic = &mut self.topics[topic];
        let place = &mut topic.partitions[partition];
        if let Some(closed) = place.closed.pop_front() {
            return Some(closed);
        }
        let open = place.open.take()?;
        if topic.sticky == partition && topic.count > 0 {
            topic.sticky = (partition + 1) % topic.count;
        }
        Some(open)
    }
}

/// Where Kafka's Java clients send a key.
fn partition_of(key: &[u8], count: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % count
}

fn murmur2(data: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in &mut words {
        let mut word = u32::from_le_bytes(word.try_into().expect("four bytes")).wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (place, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * place);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        batch_bytes: 200,
        record_bytes: 1000,
        batch_records: 1000,
        transactional: false,
    };

    fn record<'a>(key: Option<&'a [u8]>, value: &'a [u8]) -> NewRecord<'a> {
        NewRecord {
            key,
            value: Some(value),
            timestamp_ms: 5,
            headers: &[],
        }
    }

    fn accumulator(partitions: usize) -> Accumulator {
        let mut made = Accumulator::new(LIMITS);
        made.add_topic();
        made.set_partitions(0, partitions);
        made
    }

    fn values(pending: &Pending) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        each(&pending.plain(), |_, record| found.push(record.value.unwrap().to_vec()));
        found
    }

    #[test]
    fn keys_go_where_the_java_clients_send_them() {
        // The cases of Kafka's UtilsTest.
        for (key, hash) in [
            ("21", -973_932_308),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key}");
        }
    }

    #[test]
    fn a_batch_is_closed_by_the_record_that_does_not_fit() {
        let mut made = accumulator(1);
        for value in [&[1; 60], &[2; 60]] {
            made.append(0, None, &record(Some(b"k"), value), 1.0).unwrap();
        }
        assert_eq!(made.take_news(), [(0, 0), (0, 0), (0, 0)]);
        assert_eq!(made.first(0, 0), Some((1.0, true)));
        assert_eq!(values(&made.take(0, 0).unwrap()), [[1; 60]]);
        assert_eq!(made.first(0, 0), Some((1.0, false)));
        assert_eq!(values(&made.take(0, 0).unwrap()), [[2; 60]]);
        assert!(made.take(0, 0).is_none());
    }

    #[test]
    fn records_without_a_key_go_to_the_next_partition_with_each_batch() {
        let mut made = accumulator(3);
        for value in 0..9 {
            made.append(0, None, &record(None, &[value; 60]), 1.0).unwrap();
        }
        for partition in 0..3 {
            let mut records = 0;
            while let Some(pending) = made.take(0, partition) {
                records += pending.records();
            }
            assert_eq!(records, 3);
        }
    }

    #[test]
    fn a_record_that_nobody_would_take_is_refused_and_leaves_nothing() {
        let mut made = accumulator(1);
        assert_eq!(made.append(0, None, &record(None, &[0; 1000]), 1.0), Err(TooLarge));
        assert!(!made.has_news());
        assert_eq!(made.bytes().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn what_is_part_of_a_transaction_says_so_and_so_do_its_halves() {
        let says_so = |pending: &Pending| {
            let sent = pending.encode(CompressionSetting::Uncompressed, 7, 3, 5);
            batches(&sent).next().unwrap().unwrap().is_transactional()
        };
        for transactional in [true, false] {
            let mut made = Accumulator::new(Limits {
                transactional,
                ..LIMITS
            });
            made.add_topic();
            made.set_partitions(0, 1);
            for value in [b"a", b"b"] {
                made.append(0, None, &record(None, value), 1.0).unwrap();
            }
            let pending = made.take(0, 0).unwrap();
            let (first, second) = pending.halves();
            assert_eq!([&pending, &first, &second].map(says_so), [transactional; 3]);
            assert_eq!(
                (values(&first), values(&second)),
                (vec![b"a".to_vec()], vec![b"b".to_vec()])
            );
        }
    }

    #[test]
    fn bytes_are_counted_until_their_batch_is_done_with() {
        let mut made = accumulator(1);
        made.append(0, None, &record(None, &[0; 20]), 1.0).unwrap();
        made.append(0, None, &record(None, &[1; 20]), 1.0).unwrap();
        let bytes = made.bytes();
        let pending = made.take(0, 0).unwrap();
        assert_eq!(bytes.load(Ordering::Relaxed), pending.size_bytes());
        let (first, second) = pending.halves();
        assert_eq!(
            (values(&first), values(&second)),
            (vec![vec![0; 20]], vec![vec![1; 20]])
        );
        drop(pending);
        assert_eq!(bytes.load(Ordering::Relaxed), first.size_bytes() + second.size_bytes());
        first.release();
        first.release();
        assert_eq!(bytes.load(Ordering::Relaxed), second.size_bytes());
        drop((first, second));
        assert_eq!(bytes.load(Ordering::Relaxed), 0);
    }
}
