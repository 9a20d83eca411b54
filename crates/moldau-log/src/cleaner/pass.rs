//! One pass over one log.

use super::choose::Cleanable;
use super::filter::{Filter, Verdict};
use super::offset_map::OffsetMap;
use super::throttle::Pace;
use super::transactions::Transactions;
use super::{CleanError, CleanerLimits};
use crate::batch::{BatchHeader, BatchView, stored_records};
use crate::config::LogConfig;
use crate::partition_log::PartitionLog;
use crate::scan::BatchScan;
use crate::segment::{IndexProgress, Segment};
use crate::types::{Offset, TopicPartition};
use std::io;
use std::sync::Arc;

/// What one pass did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CleanedLog {
    /// Which log.
    pub topic_partition: TopicPartition,
    /// Where the dirty part began.
    pub from: Offset,
    /// Where it begins now.
    pub to: Offset,
    /// Bytes read, of the dirty part twice.
    pub bytes_read: u64,
    /// Bytes of the new segments.
    pub bytes_written: u64,
    /// Records that were looked at for copying.
    pub records_read: u64,
    /// Records that are still there.
    pub records_kept: u64,
    /// Keys of the dirty part.
    pub keys: u64,
}

struct Pass<'a> {
    log: &'a PartitionLog,
    config: Arc<LogConfig>,
    cleanable: &'a Cleanable,
    limits: CleanerLimits,
    pace: &'a mut dyn Pace,
    now_ms: i64,
    done: CleanedLog,
}

/// Cleans `log`. Whatever it gives back, and wherever it is broken off, the log is whole.
pub(crate) fn clean(
    log: &PartitionLog,
    cleanable: &Cleanable,
    limits: CleanerLimits,
    pace: &mut dyn Pace,
    now_ms: i64,
) -> Result<CleanedLog, CleanError> {
    let mut pass = Pass {
        log,
        config: log.config(),
        cleanable,
        limits,
        pace,
        now_ms,
        done: CleanedLog {
            topic_partition: log.topic_partition().clone(),
            from: cleanable.first_dirty,
            to: cleanable.first_dirty,
            bytes_read: 0,
            bytes_written: 0,
            records_read: 0,
            records_kept: 0,
            keys: 0,
        },
    };
    match pass.run() {
        Ok(()) => Ok(pass.done),
        // Its files were removed under our hands: retention, or the whole partition went.
        Err(CleanError::Storage(error)) if error.kind() == io::ErrorKind::NotFound => Err(CleanError::Aborted),
        Err(error) => Err(error),
    }
}

impl Pass<'_> {
    fn run(&mut self) -> Result<(), CleanError> {
        // A new segment never has a hole that a recovery would take for the end of the log.
        self.log.flush_to(self.cleanable.upper_bound)?;
        let map = self.read_keys()?;
        let Some(latest) = map.latest() else {
            return Err(CleanError::Uncleanable(format!(
                "the keys of one batch at offset {} do not fit into log.cleaner.dedupe.buffer.size",
                self.cleanable.first_dirty
            )));
        };
        self.done.keys = map.len() as u64;
        let segments = &self.cleanable.segments;
        let upper_bound = self.cleanable.upper_bound.min(latest.plus(1));
        let count = segments.partition_point(|segment| segment.base_offset < upper_bound);
        let mut transactions = Transactions::default();
        let config = Arc::clone(&self.config);
        for group in group(&segments[..count], &config, self.cleanable.upper_bound) {
            transactions = self.clean_group(group, &map, transactions)?;
        }
        self.done.to = latest.plus(1);
        Ok(())
    }

    /// Notes the last offset of each key in the dirty part, or in as much of it as the map holds.
    fn read_keys(&mut self) -> Result<OffsetMap, CleanError> {
        let (from, to) = (self.cleanable.first_dirty, self.cleanable.upper_bound);
        let records = u64::try_from(to.0 - from.0).unwrap_or(0);
        let mut map = OffsetMap::new(records, self.limits.map_bytes, self.limits.map_load_factor);
        let mut transactions = Transactions::default();
        transactions.announce(self.log.aborted_entries(from, to)?);
        let segments = Arc::clone(&self.cleanable.segments);
        let first = segments
            .partition_point(|segment| segment.base_offset <= from)
            .saturating_sub(1);
        for (segment, next) in segments[first..].iter().zip(&segments[first + 1..]) {
            if segment.base_offset >= to {
                break;
            }
            let size = segment.size_bytes();
            let position = segment.locate(from, size)?.map_or(size, |located| located.position);
            let mut scan = BatchScan::new(segment.log_file()?, size, segment.base_offset)
                .starting_at(position, self.limits.buffer_bytes);
            while let Some((_, batch)) = scan.next()? {
                self.go_on(batch.bytes().len())?;
                if !read_keys_of(&batch, from, &mut map, &mut transactions)? {
                    return Ok(map);
                }
                map.reached(batch.last_offset());
            }
            map.reached(Offset(next.base_offset.0 - 1));
        }
        Ok(map)
    }

    /// Copies what is wanted of `group` into one segment, and puts that in its place.
    fn clean_group(
        &mut self,
        group: &[Arc<Segment>],
        map: &OffsetMap,
        transactions: Transactions,
    ) -> Result<Transactions, CleanError> {
        let config = Arc::clone(&self.config);
        let mut filter = Filter {
            map,
            config: &config,
            now_ms: self.now_ms,
            upper_bound: self.cleanable.upper_bound,
            last_records: self.log.last_records_of_producers(),
            transactions,
            aborted: Vec::new(),
        };
        let segment = Arc::new(self.log.create_cleaned_segment(group[0].base_offset, self.now_ms)?);
        let mut copy = Copy::new(
            Arc::clone(&segment),
            self.limits.buffer_bytes,
            config.index_interval_bytes,
        );
        // What could not be written whole is of no use; if it cannot be removed either, the next start does it.
        let written = self.copy(group, &mut filter, &mut copy).and_then(|()| {
            segment.complete(false)?;
            Ok(segment.sync()?)
        });
        // A single segment of which everything stays may as well stay itself.
        if written.is_err() || group.len() == 1 && !copy.changed {
            let _ = segment.discard();
            return written.map(|()| filter.transactions);
        }
        if self.log.replace_segments(&segment, group, self.now_ms)? {
            return Ok(filter.transactions);
        }
        segment.discard()?;
        Err(CleanError::Aborted)
    }

    fn copy(&mut self, group: &[Arc<Segment>], filter: &mut Filter<'_>, copy: &mut Copy) -> Result<(), CleanError> {
        let segments = Arc::clone(&self.cleanable.segments);
        for segment in group {
            let next = segments.partition_point(|other| other.base_offset <= segment.base_offset);
            let end = segments[next].base_offset;
            let aborted = self.log.aborted_entries(segment.base_offset, end)?;
            filter.transactions.announce(aborted);
            let mut scan = BatchScan::new(segment.log_file()?, segment.size_bytes(), segment.base_offset)
                .starting_at(0, self.limits.buffer_bytes);
            while let Some((_, batch)) = scan.next()? {
                self.go_on(batch.bytes().len())?;
                let verdict = filter.judge(&batch)?;
                self.done.records_read += batch.record_count() as u64;
                self.done.records_kept += copy.take(&batch, verdict)?;
                let written = copy.write_if_full()?;
                self.written(written)?;
            }
        }
        let written = copy.write()?;
        self.written(written)?;
        for entry in filter.aborted.drain(..) {
            copy.segment.aborted.append(&entry)?;
        }
        Ok(())
    }

    fn go_on(&mut self, read: usize) -> Result<(), CleanError> {
        self.done.bytes_read += read as u64;
        if self.log.offline_reason().is_some() || !self.pace.spent(read as u64) {
            return Err(CleanError::Aborted);
        }
        Ok(())
    }

    fn written(&mut self, bytes: u64) -> Result<(), CleanError> {
        self.done.bytes_written += bytes;
        if bytes > 0 && !self.pace.spent(bytes) {
            return Err(CleanError::Aborted);
        }
        Ok(())
    }
}

/// Puts the keys of one batch into the map; false when there is no room for one of them.
fn read_keys_of(
    batch: &BatchView<'_>,
    from: Offset,
    map: &mut OffsetMap,
    transactions: &mut Transactions,
) -> Result<bool, CleanError> {
    if batch.is_control() {
        transactions.saw_marker(batch);
        return Ok(true);
    }
    if transactions.saw_data(batch) {
        return Ok(true);
    }
    let decoded = batch.decode()?;
    for record in stored_records(&decoded) {
        let record = record?;
        if let Some(key) = record.key
            && record.offset >= from
            && !map.put(key, record.offset)
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A segment that is being written.
struct Copy {
    segment: Arc<Segment>,
    buffer: Vec<u8>,
    headers: Vec<BatchHeader>,
    limit_bytes: usize,
    index_interval_bytes: u32,
    progress: IndexProgress,
    /// Something is not as in the segments that are being copied.
    changed: bool,
}

impl Copy {
    fn new(segment: Arc<Segment>, limit_bytes: usize, index_interval_bytes: u32) -> Copy {
        Copy {
            segment,
            buffer: Vec::with_capacity(limit_bytes),
            headers: Vec::new(),
            limit_bytes,
            index_interval_bytes,
            progress: IndexProgress::default(),
            changed: false,
        }
    }

    /// Takes over what the filter left of a batch; returns how many records that are.
    fn take(&mut self, batch: &BatchView<'_>, verdict: Verdict) -> Result<u64, CleanError> {
        let header = match verdict {
            Verdict::Unchanged => {
                self.buffer.extend_from_slice(batch.bytes());
                *batch.header()
            }
            Verdict::Rewritten(bytes) => {
                self.changed = true;
                self.buffer.extend_from_slice(&bytes);
                BatchHeader::parse(&bytes)?
            }
            Verdict::Dropped => {
                self.changed = true;
                return Ok(0);
            }
        };
        self.headers.push(header);
        Ok(header.record_count as u64)
    }

    fn write_if_full(&mut self) -> Result<u64, CleanError> {
        if self.buffer.len() < self.limit_bytes {
            return Ok(0);
        }
        self.write()
    }

    /// Writes what waits; returns how many bytes that were.
    fn write(&mut self) -> Result<u64, CleanError> {
        let bytes = self.buffer.len() as u64;
        if bytes > 0 {
            let result = self.segment.append(
                &self.buffer,
                &self.headers,
                self.index_interval_bytes,
                &mut self.progress,
            );
            result.map_err(|(Ok(error) | Err(error))| error)?;
            self.buffer.clear();
            self.headers.clear();
        }
        Ok(bytes)
    }
}

/// Neighbours that fit into one segment together: by `segment.bytes`, by the size of their indexes, and because offsets
/// in a segment have 31 bits. So logs do not end up as thousands of tiny segments.
fn group<'a>(
    segments: &'a [Arc<Segment>],
    config: &LogConfig,
    upper_bound: Offset,
) -> impl Iterator<Item = &'a [Arc<Segment>]> {
    let (limit_bytes, index_limit) = (u64::from(config.segment_bytes), u64::from(config.segment_index_bytes));
    let mut rest = segments;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let mut sizes = [0, 0, 0];
        let mut count = 0;
        for (index, segment) in rest.iter().enumerate() {
            sizes[0] += segment.size_bytes();
            sizes[1] += segment.offsets.len() * 8;
            sizes[2] += segment.times.len() * 12;
            let end = rest.get(index + 1).map_or(upper_bound, |next| next.base_offset);
            let fits = sizes[0] <= limit_bytes && sizes[1] <= index_limit && sizes[2] <= index_limit;
            let in_range = segment.size_bytes() == 0 || first.can_hold(Offset(end.0 - 1));
            if index > 0 && !(fits && in_range) {
                break;
            }
            count = index + 1;
        }
        let (group, after) = rest.split_at(count);
        rest = after;
        Some(group)
    })
}
