//! One segment: a `.log` of batches and the indexes that find them.
//!
//! Many threads read a segment while at most one, the holder of the partition's append lock, adds to the newest one.
//! What a reader may see ends at `size`, published after the bytes are in the file; so reading takes no lock that an
//! append holds for longer than it takes to push an index entry.
//!
//! Indexes are only shortcuts. When one is missing, unsorted or points past the log, it is made anew from the batch
//! headers, and the lookup goes on.

use crate::batch::{BatchHeader, BatchView};
use crate::directory::{is_shortage, unless_short};
use crate::folder::{Extension, Folder, LOG, LazyFile, OFFSET_INDEX, SNAPSHOT, TIME_INDEX, mark_deleted};
use crate::index::{OffsetEntry, SparseIndex, TimeEntry};
use crate::scan::{HeaderScan, Located, ScanError};
use crate::storage::StorageFile;
use crate::transaction_index::TransactionIndex;
use crate::types::{Offset, SegmentInfo};
use parking_lot::Mutex;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The largest timestamp of a segment and the last offset of the batch that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LargestTimestamp {
    pub timestamp_ms: i64,
    pub offset: Offset,
}

/// Bytes of the files that a segment was found with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FileSizes {
    pub log: u64,
    pub offset_index: u64,
    pub time_index: u64,
    pub transaction_index: u64,
}

/// What an append must know about the segment it adds to, besides its size.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexProgress {
    pub bytes_since_entry: u64,
}

#[derive(Debug)]
pub(crate) struct Segment {
    pub base_offset: Offset,
    /// When it was made or opened; for the age of a segment without timestamps.
    pub created_ms: i64,
    folder: Arc<Folder>,
    log: LazyFile,
    size: AtomicU64,
    pub offsets: SparseIndex<OffsetEntry>,
    pub times: SparseIndex<TimeEntry>,
    pub aborted: TransactionIndex,
    timestamps: Mutex<Timestamps>,
    rebuilding: Mutex<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Timestamps {
    largest: Option<LargestTimestamp>,
    /// Of the first batch; rolling by age counts from it.
    first_ms: Option<i64>,
}

impl Segment {
    /// A segment over files that are there already; nothing is opened.
    pub fn existing(folder: &Arc<Folder>, base_offset: Offset, sizes: FileSizes, now_ms: i64) -> Segment {
        let base = base_offset.0;
        Segment {
            base_offset,
            created_ms: now_ms,
            folder: Arc::clone(folder),
            log: LazyFile::new(Arc::clone(folder), base, LOG),
            size: AtomicU64::new(sizes.log),
            offsets: SparseIndex::new(Arc::clone(folder), base, OFFSET_INDEX, sizes.offset_index),
            times: SparseIndex::new(Arc::clone(folder), base, TIME_INDEX, sizes.time_index),
            aborted: TransactionIndex::new(Arc::clone(folder), base, sizes.transaction_index),
            timestamps: Mutex::new(Timestamps::default()),
            rebuilding: Mutex::new(()),
        }
    }

    /// A new, empty segment; its `.log` is made, grown to `preallocated_bytes` when the topic asks for it.
    pub fn create(
        folder: &Arc<Folder>,
        base_offset: Offset,
        preallocated_bytes: Option<u32>,
        now_ms: i64,
    ) -> io::Result<Segment> {
        let segment = Segment::existing(folder, base_offset, FileSizes::default(), now_ms);
        let file = segment.log.get_or_create()?;
        if let Some(bytes) = preallocated_bytes {
            file.set_length(u64::from(bytes))?;
        }
        Ok(segment)
    }

    /// A new segment for compaction to write to, beside the one that has its name.
    pub fn create_cleaned(folder: &Arc<Folder>, base_offset: Offset, now_ms: i64) -> io::Result<Segment> {
        let segment = Segment::existing(folder, base_offset, FileSizes::default(), now_ms);
        for file in segment.files() {
            file.set_extension(Extension::Cleaned);
        }
        // What a pass that was broken off has left must not be found behind what this one writes.
        segment.discard()?;
        segment.log.get_or_create()?;
        Ok(segment)
    }

    /// Bytes of batches.
    pub fn size_bytes(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    pub fn log_file(&self) -> io::Result<Arc<dyn StorageFile>> {
        self.log.get()
    }

    pub fn log_path(&self) -> PathBuf {
        self.log.path()
    }

    fn relative(&self, offset: Offset) -> u32 {
        (offset.0 - self.base_offset.0) as u32
    }

    /// Whether the segment's indexes can name this offset.
    pub fn can_hold(&self, offset: Offset) -> bool {
        (0..=i64::from(i32::MAX)).contains(&(offset.0 - self.base_offset.0))
    }

    /// Writes `bytes`, the batches of `headers` back to back, in one write, and indexes them. After an error the file is
    /// what it was: it was not opened, or was cut back; if that fails the caller is told through `Err(Err(_))`.
    pub fn append(
        &self,
        bytes: &[u8],
        headers: &[BatchHeader],
        index_interval_bytes: u32,
        progress: &mut IndexProgress,
    ) -> Result<(), Result<io::Error, io::Error>> {
        let size = self.size.load(Ordering::Relaxed);
        let file = self.log.get().map_err(Ok)?;
        if let Err(error) = file.write_all_at(bytes, size) {
            return Err(match file.set_length(size) {
                Ok(()) => Ok(error),
                Err(_) => Err(error),
            });
        }
        let mut position = size;
        for header in headers {
            self.note_timestamp(header, position == 0);
            if progress.bytes_since_entry > u64::from(index_interval_bytes) {
                self.index_batch(header, position);
                progress.bytes_since_entry = 0;
            }
            position += header.size_bytes as u64;
            progress.bytes_since_entry += header.size_bytes as u64;
        }
        self.size.store(position, Ordering::Release);
        Ok(())
    }

    /// Takes note of a batch's timestamp without indexing it.
    pub fn note_timestamp(&self, header: &BatchHeader, is_first: bool) {
        let mut timestamps = self.timestamps.lock();
        if is_first {
            timestamps.first_ms = Some(header.max_timestamp_ms);
        }
        let candidate = LargestTimestamp {
            timestamp_ms: header.max_timestamp_ms,
            offset: header.last_offset(),
        };
        match timestamps.largest {
            Some(largest) if largest.timestamp_ms >= candidate.timestamp_ms => {}
            // Not loaded yet and not the first batch: it will be read from the files when somebody asks.
            None if !is_first => {}
            _ => timestamps.largest = Some(candidate),
        }
    }

    /// Adds the entries for the batch at `position` to both indexes.
    pub fn index_batch(&self, header: &BatchHeader, position: u64) {
        self.offsets.push(OffsetEntry {
            relative_offset: self.relative(header.last_offset()),
            position: position as u32,
        });
        self.index_largest_timestamp();
    }

    /// Adds the largest timestamp so far to the time index, unless it is there already.
    pub fn index_largest_timestamp(&self) {
        let Some(largest) = self.timestamps.lock().largest else {
            return;
        };
        let entry = TimeEntry {
            timestamp_ms: largest.timestamp_ms,
            relative_offset: self.relative(largest.offset),
        };
        // An index that cannot be read is found out, and made anew, by the next lookup.
        if largest.timestamp_ms >= 0
            && self
                .times
                .last()
                .is_ok_and(|last| last.is_none_or(|last| last.precedes_time(entry)))
        {
            self.times.push(entry);
        }
    }

    /// The largest timestamp, read from the files if it is not known yet; `None` in an empty segment.
    pub fn largest_timestamp(&self) -> io::Result<Option<LargestTimestamp>> {
        if let Some(largest) = self.timestamps.lock().largest {
            return Ok(Some(largest));
        }
        let size = self.size_bytes();
        if size == 0 {
            return Ok(None);
        }
        let indexed = self.with_indexes(|segment| segment.times.floor(size, |_| true))?;
        let (mut largest, from) = match indexed {
            None => (None, 0),
            Some(entry) => {
                let offset = self.base_offset.plus(i64::from(entry.relative_offset));
                (
                    Some(LargestTimestamp {
                        timestamp_ms: entry.timestamp_ms,
                        offset,
                    }),
                    self.indexed_position(offset)?,
                )
            }
        };
        for batch in HeaderScan::new(self.log.get()?, from, size) {
            let header = batch.map_err(ScanError::into_io)?.header;
            if largest.is_none_or(|largest| largest.timestamp_ms < header.max_timestamp_ms) {
                largest = Some(LargestTimestamp {
                    timestamp_ms: header.max_timestamp_ms,
                    offset: header.last_offset(),
                });
            }
        }
        let mut timestamps = self.timestamps.lock();
        // An append may have been faster.
        if timestamps
            .largest
            .is_none_or(|known| largest.is_some_and(|found| found.timestamp_ms > known.timestamp_ms))
        {
            timestamps.largest = largest;
        }
        Ok(timestamps.largest)
    }

    /// The first batch's timestamp, read from the file if it is not known yet; `None` in an empty segment.
    pub fn first_timestamp_ms(&self) -> io::Result<Option<i64>> {
        if let Some(first) = self.timestamps.lock().first_ms {
            return Ok(Some(first));
        }
        let first = HeaderScan::new(self.log.get()?, 0, self.size_bytes()).next();
        let Some(first) = first.transpose().map_err(ScanError::into_io)? else {
            return Ok(None);
        };
        self.timestamps.lock().first_ms = Some(first.header.max_timestamp_ms);
        Ok(Some(first.header.max_timestamp_ms))
    }

    /// Runs a lookup; when it finds an index broken or missing, makes both anew and runs it again.
    fn with_indexes<T>(&self, lookup: impl Fn(&Segment) -> io::Result<T>) -> io::Result<T> {
        let broken = |error: &io::Error| {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::NotFound
            )
        };
        match lookup(self) {
            Err(error) if broken(&error) => {}
            other => return other,
        }
        let _one_at_a_time = self.rebuilding.lock();
        match lookup(self) {
            Err(error) if broken(&error) => {
                tracing::warn!(segment = %self.log.path().display(), %error, "making the indexes anew");
                self.rebuild_indexes(4096).map_err(ScanError::into_io)?;
                lookup(self)
            }
            other => other,
        }
    }

    /// Makes both indexes anew from the batch headers.
    pub fn rebuild_indexes(&self, index_interval_bytes: u32) -> Result<(), ScanError> {
        // The log itself must be there; an index must not be made for a segment that is being deleted.
        let file = self.log.get()?;
        self.reset_indexes();
        let mut since = 0;
        for batch in HeaderScan::new(file, 0, self.size_bytes()) {
            let Located { position, header } = batch?;
            self.note_timestamp(&header, position == 0);
            if since > u64::from(index_interval_bytes) {
                self.index_batch(&header, position);
                since = 0;
            }
            since += header.size_bytes as u64;
        }
        self.index_largest_timestamp();
        // What is not written waits in memory, as it does after an append.
        Ok(unless_short(self.persist_indexes())?)
    }

    /// Forgets both indexes and the timestamps; they are about to be noted anew.
    pub fn reset_indexes(&self) {
        self.offsets.reset();
        self.times.reset();
        *self.timestamps.lock() = Timestamps::default();
    }

    /// Writes out what waits in memory.
    pub fn persist_indexes(&self) -> io::Result<()> {
        self.offsets.persist()?;
        self.times.persist()?;
        self.aborted.persist()
    }

    /// Where a scan for `offset` may begin.
    fn indexed_position(&self, offset: Offset) -> io::Result<u64> {
        let relative = self.relative(offset);
        let size = self.size_bytes();
        let entry =
            self.with_indexes(|segment| segment.offsets.floor(size, |entry| entry.relative_offset <= relative))?;
        Ok(entry.map_or(0, |entry| u64::from(entry.position)))
    }

    /// The first batch whose last offset is at or after `target`, within the first `end` bytes.
    pub fn locate(&self, target: Offset, end: u64) -> Result<Option<Located>, ScanError> {
        if target <= self.base_offset {
            return HeaderScan::new(self.log.get()?, 0, end).next().transpose();
        }
        let from = if self.can_hold(target) {
            self.indexed_position(target)?
        } else {
            0
        };
        match self.scan_for(target, from, end) {
            Err(ScanError::Invalid { .. }) if from > 0 => {
                // The index is in order but its positions are not those of batches.
                tracing::warn!(segment = %self.log.path().display(), "the index misleads; making it anew");
                let _one_at_a_time = self.rebuilding.lock();
                self.rebuild_indexes(4096)?;
                self.scan_for(target, 0, end)
            }
            other => other,
        }
    }

    fn scan_for(&self, target: Offset, from: u64, end: u64) -> Result<Option<Located>, ScanError> {
        for batch in HeaderScan::new(self.log.get()?, from, end) {
            let batch = batch?;
            if batch.header.last_offset() >= target {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// The last batch; `None` in an empty segment.
    pub fn last_batch(&self) -> Result<Option<Located>, ScanError> {
        let size = self.size_bytes();
        if size == 0 {
            return Ok(None);
        }
        let entry = self.with_indexes(|segment| match segment.offsets.last()? {
            Some(entry) if u64::from(entry.position) >= size => Err(io::ErrorKind::InvalidData.into()),
            other => Ok(other),
        })?;
        let from = entry.map_or(0, |entry| u64::from(entry.position));
        let mut last = None;
        for batch in HeaderScan::new(self.log.get()?, from, size) {
            last = Some(batch?);
        }
        Ok(last)
    }

    /// Every batch from `position` on, by header.
    pub fn headers_from(&self, position: u64) -> io::Result<HeaderScan> {
        Ok(HeaderScan::new(self.log.get()?, position, self.size_bytes()))
    }

    /// Where the first batch is that may hold a record at or after `timestamp_ms` and `offset`.
    pub fn timestamp_position(&self, timestamp_ms: i64, offset: Offset) -> io::Result<u64> {
        let size = self.size_bytes();
        let entry =
            self.with_indexes(|segment| segment.times.floor(size, |entry| entry.timestamp_ms <= timestamp_ms))?;
        let indexed = entry.map_or(self.base_offset, |entry| {
            self.base_offset.plus(i64::from(entry.relative_offset))
        });
        self.indexed_position(indexed.max(offset))
    }

    /// An offset behind every record before `position`; `None` where only the end of the segment is known to be.
    pub fn offset_behind(&self, position: u64) -> io::Result<Option<Offset>> {
        let size = self.size_bytes();
        let before = |entry: &OffsetEntry| u64::from(entry.position) < position;
        let entry = self.with_indexes(|segment| segment.offsets.first_behind(size, before))?;
        Ok(entry.map(|entry| self.base_offset.plus(i64::from(entry.relative_offset))))
    }

    /// Reads one batch whole.
    pub fn read_batch(&self, located: &Located) -> Result<Vec<u8>, ScanError> {
        // The size was compared with the end of the log by the scan.
        let mut bytes = vec![0; located.header.size_bytes];
        self.log.get()?.read_exact_at(&mut bytes, located.position)?;
        match BatchView::parse(&bytes) {
            Ok(_) => Ok(bytes),
            Err(reason) => Err(ScanError::Invalid {
                position: located.position,
                reason,
            }),
        }
    }

    /// Cuts the log and its indexes so that `offset` and what follows are gone. Returns the bytes cut.
    pub fn truncate_to(&self, offset: Offset) -> Result<u64, ScanError> {
        let size = self.size_bytes();
        let Some(located) = self.locate(offset, size)? else {
            return Ok(0);
        };
        self.cut_at(located.position)?;
        let relative = self.relative(offset.max(self.base_offset));
        self.offsets.truncate(size, |entry| entry.relative_offset < relative)?;
        self.times.truncate(size, |entry| entry.relative_offset < relative)?;
        self.aborted.truncate(offset)?;
        *self.timestamps.lock() = Timestamps::default();
        Ok(size - located.position)
    }

    /// Cuts the log alone.
    pub fn cut_at(&self, position: u64) -> io::Result<()> {
        self.size.store(position, Ordering::Release);
        self.log.get()?.set_length(position)
    }

    /// Readies the segment for being one of the old ones: the last time entry, indexes written, no spare bytes.
    pub fn complete(&self, preallocated: bool) -> io::Result<()> {
        self.largest_timestamp()?;
        self.index_largest_timestamp();
        self.persist_indexes()?;
        if preallocated {
            self.log.get()?.set_length(self.size_bytes())?;
        }
        Ok(())
    }

    /// Writes out what must be there before the log counts as flushed. Index entries for which there is no room may be
    /// missing: a lookup goes on where an index ends.
    pub fn persist(&self) -> io::Result<()> {
        self.aborted.persist()?;
        match self.persist_indexes() {
            Err(error) if is_shortage(&error) && !self.offsets.is_stale() && !self.times.is_stale() => Ok(()),
            other => other,
        }
    }

    /// Makes log and indexes durable; comes after [`Segment::persist`].
    pub fn sync(&self) -> io::Result<()> {
        self.log.sync()?;
        self.offsets.sync()?;
        self.times.sync()?;
        self.aborted.file().sync()
    }

    /// Nobody will use the files soon.
    pub fn release_files(&self) {
        for file in self.files() {
            file.release();
        }
    }

    /// The folder has moved: the next use of a file opens it where it is now.
    pub fn reopen_files(&self) {
        for file in self.files() {
            file.forget();
        }
    }

    pub fn files(&self) -> [&LazyFile; 4] {
        [&self.log, self.offsets.file(), self.times.file(), self.aborted.file()]
    }

    /// Gives every file `extension`, the `.log` first: whether it has its new name tells a recovery how far a swap
    /// came. Returns the new paths.
    pub fn rename(&self, extension: Extension) -> io::Result<Vec<PathBuf>> {
        let mut renamed = Vec::new();
        for file in self.files() {
            renamed.extend(file.rename(extension)?);
        }
        Ok(renamed)
    }

    /// First step of deletion: the files get the suffix `.deleted`. Returns what must be removed later.
    pub fn mark_deleted(&self) -> io::Result<Vec<PathBuf>> {
        self.release_files();
        let mut marked = self.rename(Extension::Deleted)?;
        marked.extend(self.mark_snapshot_deleted()?);
        Ok(marked)
    }

    /// The same for the producers' snapshot at the beginning of the segment.
    pub fn mark_snapshot_deleted(&self) -> io::Result<Option<PathBuf>> {
        let snapshot = self.folder.file(self.base_offset.0, SNAPSHOT);
        mark_deleted(&*self.folder.storage, &snapshot)
    }

    /// Removes what compaction has written of a segment that will not be swapped in; the `.log` last, for without it the
    /// indexes would look as if they belonged to the old one.
    pub fn discard(&self) -> io::Result<()> {
        self.release_files();
        for file in self.files().into_iter().rev() {
            self.folder.storage.remove_file(&file.path())?;
        }
        Ok(())
    }

    pub fn info(&self) -> SegmentInfo {
        // A listing for people does not fail because a timestamp cannot be read.
        let largest = self.largest_timestamp().ok().flatten();
        SegmentInfo {
            base_offset: self.base_offset,
            size_bytes: self.size_bytes(),
            largest_timestamp_ms: largest.map_or(-1, |largest| largest.timestamp_ms),
        }
    }
}

impl TimeEntry {
    /// Whether `next` has news: Kafka's time index takes only larger timestamps.
    fn precedes_time(self, next: TimeEntry) -> bool {
        self.timestamp_ms < next.timestamp_ms && self.relative_offset <= next.relative_offset
    }
}
