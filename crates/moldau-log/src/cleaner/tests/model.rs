//! Any history of appends, transactions, passes and kills leaves what a simple model says.

use super::*;
use crate::batch::Codec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Records = Vec<(u8, Option<u8>)>;

#[derive(Clone, Debug)]
enum Step {
    /// One batch of records of no producer.
    Put(Records, u8),
    /// One batch in the transaction of a producer, which begins with it if none is open.
    PutInTransaction(u8, Records),
    End(u8, bool),
    /// With so many places in the map, after so many milliseconds.
    Clean(usize, i64),
    Housekeeping(i64),
    Kill,
}

fn records() -> impl Strategy<Value = Records> {
    proptest::collection::vec((0u8..6, proptest::option::weighted(0.7, any::<u8>())), 1..5)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (records(), 0u8..5).prop_map(|(records, codec)| Step::Put(records, codec)),
        6 => (0u8..3, records()).prop_map(|(producer, records)| Step::PutInTransaction(producer, records)),
        3 => (0u8..3, any::<bool>()).prop_map(|(producer, commit)| Step::End(producer, commit)),
        4 => (6usize..60, 0i64..400).prop_map(|(places, later)| Step::Clean(places, later)),
        1 => (0i64..200).prop_map(Step::Housekeeping),
        1 => Just(Step::Kill),
    ]
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Written {
    key: u8,
    value: Option<u8>,
}

#[derive(Default)]
struct Model {
    /// Committed records by offset.
    committed: BTreeMap<i64, Written>,
    aborted: BTreeSet<i64>,
    /// Records of open transactions.
    open: HashMap<u8, Vec<(i64, Written)>>,
    sequences: HashMap<u8, i32>,
    /// When the first pass after its append began, by offset of the tombstone.
    first_seen_ms: HashMap<i64, i64>,
}

struct World {
    fixture: Fixture,
    model: Model,
    now_ms: i64,
}

fn fill(mut builder: BatchBuilder, records: &[(u8, Option<u8>)]) -> BytesMut {
    for (key, value) in records {
        builder.append(NOW, Some(&[*key]), value.as_ref().map(std::slice::from_ref), &[]);
    }
    builder.finish()
}

fn numbered(base: Offset, records: Records) -> impl Iterator<Item = (i64, Written)> {
    let records = records.into_iter().enumerate();
    records.map(move |(number, (key, value))| (base.0 + number as i64, Written { key, value }))
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Put(records, codec) => {
                let codec = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd][usize::from(codec)];
                let batch = fill(BatchBuilder::new().codec(codec), &records);
                let base = self.fixture.append(batch, AppendOrigin::Client);
                self.model.committed.extend(numbered(base, records));
            }
            Step::PutInTransaction(producer, records) => self.put_in_transaction(producer, records),
            Step::End(producer, commit) => self.end(producer, commit),
            Step::Clean(places, later_ms) => self.clean(places, later_ms),
            Step::Housekeeping(later_ms) => {
                self.now_ms += later_ms;
                self.fixture.manager.housekeeping(self.now_ms);
            }
            Step::Kill => self.kill(),
        }
    }

    fn put_in_transaction(&mut self, producer: u8, records: Records) {
        let sequence = self.model.sequences.entry(producer).or_default();
        let builder = BatchBuilder::new()
            .producer(ProducerId(i64::from(producer)), ProducerEpoch(0), *sequence)
            .transactional();
        *sequence += records.len() as i32;
        let base = self.fixture.append(fill(builder, &records), AppendOrigin::Client);
        self.model
            .open
            .entry(producer)
            .or_default()
            .extend(numbered(base, records));
    }

    fn end(&mut self, producer: u8, commit: bool) {
        let Some(records) = self.model.open.remove(&producer) else {
            return;
        };
        let end = if commit {
            EndTransaction::Commit
        } else {
            EndTransaction::Abort
        };
        let marker = BatchBuilder::end_transaction(end, ProducerId(i64::from(producer)), ProducerEpoch(0), 0, NOW);
        self.fixture.append(marker, AppendOrigin::Coordinator);
        if commit {
            self.model.committed.extend(records);
        } else {
            self.model.aborted.extend(records.into_iter().map(|(offset, _)| offset));
        }
    }

    fn clean(&mut self, places: usize, later_ms: i64) {
        self.now_ms += later_ms;
        for (&offset, record) in &self.model.committed {
            if record.value.is_none() {
                self.model.first_seen_ms.entry(offset).or_insert(self.now_ms);
            }
        }
        let limits = CleanerLimits {
            map_bytes: 24 * places,
            ..LIMITS
        };
        self.fixture
            .manager
            .clean_filthiest(limits, &mut Unhurried, self.now_ms);
        assert_eq!(self.fixture.manager.cleaner_counters().uncleanable_partitions, 0);
    }

    fn kill(&mut self) {
        let facts = |fixture: &Fixture| -> Vec<_> {
            let producers = fixture.log.active_producers().into_iter();
            let facts = producers.map(|each| {
                let is_open = each.current_transaction_start_offset.is_some();
                (each.producer_id, each.last_sequence, is_open)
            });
            facts.collect()
        };
        let before = facts(&self.fixture);
        let placeholder = Fixture::new(compacted());
        self.fixture = std::mem::replace(&mut self.fixture, placeholder).killed();
        assert_eq!(facts(&self.fixture), before);
    }

    /// What a `read_committed` consumer gets, and the aborted records that it had to skip.
    fn read_committed(&self) -> (BTreeMap<i64, Written>, BTreeSet<i64>) {
        let stable = self.fixture.log.last_stable_offset();
        let mut ahead = self.fixture.log.aborted_transactions(Offset(0), stable).unwrap();
        ahead.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        let (mut records, mut skipped, mut aborting) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        let mut last = Offset(-1);
        self.fixture.each_batch(|batch| {
            assert!(batch.base_offset() > last, "offsets ascend");
            last = batch.last_offset();
            while let Some(next) = ahead.pop_if(|next| next.first_offset <= batch.last_offset()) {
                aborting.insert(next.producer_id);
            }
            if batch.is_control() {
                aborting.remove(&batch.producer_id());
                return;
            }
            let skip = batch.is_transactional() && aborting.contains(&batch.producer_id());
            for record in &batch.decode().unwrap() {
                let record = record.unwrap();
                assert_eq!(record.timestamp_ms, NOW);
                if record.offset >= stable {
                    break;
                }
                if skip {
                    skipped.insert(record.offset.0);
                    continue;
                }
                let (key, value) = (record.key.unwrap()[0], record.value.map(|value| value[0]));
                records.insert(record.offset.0, Written { key, value });
            }
        });
        (records, skipped)
    }

    fn verify(&self) {
        let (read, skipped) = self.read_committed();
        let stable = self.fixture.log.last_stable_offset().0;
        let cleaned_to = self.fixture.log.cleaned_to().map_or(0, |offset| offset.0);
        let committed = &self.model.committed;
        assert!(skipped.is_subset(&self.model.aborted));
        assert!(skipped.range(..cleaned_to).next().is_none(), "aborted: {skipped:?}");
        let (mut last_of_key, mut last_of_cleaned) = (HashMap::new(), HashMap::new());
        for (&offset, record) in committed.range(..stable) {
            last_of_key.insert(record.key, offset);
            if offset < cleaned_to {
                last_of_cleaned.insert(record.key, offset);
            }
        }
        for (offset, record) in &read {
            assert_eq!(committed.get(offset), Some(record), "at {offset}");
            let is_last = *offset >= cleaned_to || last_of_cleaned.get(&record.key) == Some(offset);
            assert!(is_last, "{offset} is still there, cleaned to {cleaned_to}");
        }
        for (&offset, record) in committed.range(cleaned_to..stable) {
            // Beyond the cleaned part a record may be gone already if a later one of its key came into the map.
            let may_be_gone = last_of_key[&record.key] > offset;
            let is_there = may_be_gone || read.contains_key(&offset);
            assert!(is_there, "{offset} is lost, cleaned to {cleaned_to}");
        }
        for &offset in last_of_key.values().filter(|&offset| !read.contains_key(offset)) {
            let seen_ms = self.model.first_seen_ms.get(&offset);
            assert!(
                committed[&offset].value.is_none(),
                "the last of a key, at {offset}, is lost"
            );
            let is_due = seen_ms.is_some_and(|seen_ms| seen_ms + 300 <= self.now_ms);
            assert!(is_due, "the tombstone at {offset} went too early");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_cleaned_log_holds_what_the_model_says(
        steps in proptest::collection::vec(step(), 1..120),
        index_interval_bytes in 60u32..400,
    ) {
        let config = LogConfig {
            segment_bytes: 500,
            index_interval_bytes,
            segment_index_bytes: 200,
            delete_retention_ms: 300,
            ..compacted()
        };
        let mut world = World { fixture: Fixture::new(config), model: Model::default(), now_ms: NOW };
        for step in steps {
            let is_append = matches!(step, Step::Put(..) | Step::PutInTransaction(..));
            world.step(step);
            if !is_append {
                world.verify();
            }
        }
        world.verify();
    }
}
