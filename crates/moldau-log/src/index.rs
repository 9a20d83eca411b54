//! The sparse indexes of a segment: offset to file position, and timestamp to offset.
//!
//! On disk they are Kafka's: fixed-size entries, big-endian, ascending, one entry per `index.interval.bytes` of log.
//! Kafka maps the active index at its full `segment.index.bytes` (10 MB); here the newest entries wait in a small
//! window in memory and the file holds the others, packed. A partition that stays under a window of log never writes
//! its index before the segment is rolled, flushed or closed, and after a crash both are made anew anyway.
//!
//! A lookup first tries the window, where consumers at the tail always hit, then bisects the file with small reads.

use crate::folder::{Folder, LazyFile};
use parking_lot::Mutex;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;

/// Entries that may wait in memory before the older half is dropped.
const WINDOW_ENTRIES: usize = 1024;
/// Entries read at once when a bisection has come close.
const PAGE_ENTRIES: u64 = 128;

/// One entry of a fixed size.
pub(crate) trait IndexEntry: Copy + Debug + PartialEq + Send {
    /// Bytes on disk.
    const BYTES: usize;
    fn encode(self, out: &mut Vec<u8>);
    fn decode(bytes: &[u8]) -> Self;
    /// Whether `next` may stand after `self`.
    fn precedes(self, next: Self) -> bool;
    /// Whether it may stand anywhere in the index of a log of this size.
    fn fits(self, log_bytes: u64) -> bool;
}

/// Where the batch that ends with an offset begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    /// Last offset of the batch, relative to the segment's base.
    pub relative_offset: u32,
    /// Where the batch begins in the `.log`.
    pub position: u32,
}

impl IndexEntry for OffsetEntry {
    const BYTES: usize = 8;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
        out.extend_from_slice(&self.position.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> OffsetEntry {
        let [a, b, c, d, e, f, g, h] = bytes[..8] else {
            unreachable!("eight bytes")
        };
        OffsetEntry {
            relative_offset: u32::from_be_bytes([a, b, c, d]),
            position: u32::from_be_bytes([e, f, g, h]),
        }
    }

    fn precedes(self, next: OffsetEntry) -> bool {
        self.relative_offset < next.relative_offset && self.position < next.position
    }

    fn fits(self, log_bytes: u64) -> bool {
        self.relative_offset <= i32::MAX as u32 && u64::from(self.position) < log_bytes
    }
}

/// The largest timestamp up to an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeEntry {
    pub timestamp_ms: i64,
    /// Last offset of the batch with this timestamp, relative to the segment's base.
    pub relative_offset: u32,
}

impl IndexEntry for TimeEntry {
    const BYTES: usize = 12;

    fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.timestamp_ms.to_be_bytes());
        out.extend_from_slice(&self.relative_offset.to_be_bytes());
    }

    fn decode(bytes: &[u8]) -> TimeEntry {
        let [a, b, c, d, e, f, g, h, i, j, k, l] = bytes[..12] else {
            unreachable!("twelve bytes")
        };
        TimeEntry {
            timestamp_ms: i64::from_be_bytes([a, b, c, d, e, f, g, h]),
            relative_offset: u32::from_be_bytes([i, j, k, l]),
        }
    }

    fn precedes(self, next: TimeEntry) -> bool {
        self.timestamp_ms < next.timestamp_ms && self.relative_offset <= next.relative_offset
    }

    fn fits(self, _log_bytes: u64) -> bool {
        self.relative_offset <= i32::MAX as u32
    }
}

/// One index of one segment.
#[derive(Debug)]
pub(crate) struct SparseIndex<E> {
    file: LazyFile,
    state: Mutex<State<E>>,
}

#[derive(Debug)]
struct State<E> {
    /// Entries in the file.
    persisted: u64,
    /// The newest entries; the first of them has number `window_start`.
    window: Vec<E>,
    window_start: u64,
    /// The file was made by us, or was looked at and is in order.
    checked: bool,
    /// Behind the persisted entries the file holds old ones, which the next write cuts off. Cutting first would make
    /// some file systems flush each file of a recovery on its own.
    stale: bool,
}

impl<E: IndexEntry> SparseIndex<E> {
    /// The index whose file has `length_bytes`; nothing is opened.
    pub fn new(folder: Arc<Folder>, base_offset: i64, suffix: &'static str, length_bytes: u64) -> SparseIndex<E> {
        let persisted = length_bytes / E::BYTES as u64;
        SparseIndex {
            file: LazyFile::new(folder, base_offset, suffix),
            state: Mutex::new(State {
                persisted,
                window: Vec::new(),
                window_start: persisted,
                checked: persisted == 0,
                stale: false,
            }),
        }
    }

    /// Number of entries.
    pub fn len(&self) -> u64 {
        self.state.lock().len()
    }

    /// Whether an index limited to `limit_bytes` has no room for one entry and the one kept for the roll.
    pub fn is_full(&self, limit_bytes: u32) -> bool {
        self.len() + 1 >= u64::from(limit_bytes) / E::BYTES as u64
    }

    /// The newest entry.
    pub fn last(&self) -> io::Result<Option<E>> {
        let state = self.state.lock();
        match (state.window.last(), state.persisted) {
            (Some(entry), _) => Ok(Some(*entry)),
            (None, 0) => Ok(None),
            (None, count) => Ok(self.read_entries(count - 1, 1)?.pop()),
        }
    }

    /// Adds an entry. The window is written out when it is full; if that fails it stays in memory and is tried again.
    pub fn push(&self, entry: E) {
        let mut state = self.state.lock();
        state.window.push(entry);
        if state.window.len() >= WINDOW_ENTRIES
            && state.window.len().is_multiple_of(WINDOW_ENTRIES / 2)
            && self.persist_locked(&mut state).is_ok()
        {
            let dropped = state.window.len() - WINDOW_ENTRIES / 2;
            state.window.drain(..dropped);
            state.window_start += dropped as u64;
        }
    }

    /// Writes what waits in memory to the file, which is made if missing.
    pub fn persist(&self) -> io::Result<()> {
        self.persist_locked(&mut self.state.lock())
    }

    fn persist_locked(&self, state: &mut State<E>) -> io::Result<()> {
        let first = (state.persisted - state.window_start) as usize;
        let mut bytes = Vec::with_capacity((state.window.len() - first) * E::BYTES);
        for entry in &state.window[first..] {
            entry.encode(&mut bytes);
        }
        let file = self.file.get_or_create()?;
        if !bytes.is_empty() {
            file.write_all_at(&bytes, state.persisted * E::BYTES as u64)?;
            state.persisted = state.len();
        }
        if state.stale {
            file.set_length(state.persisted * E::BYTES as u64)?;
            state.stale = false;
        }
        Ok(())
    }

    /// Whether the file holds entries of an earlier life, which must not be taken for ours.
    pub fn is_stale(&self) -> bool {
        self.state.lock().stale
    }

    /// Makes the written entries durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// The last entry for which `at_or_before` holds; it must hold for a prefix of the index.
    ///
    /// `log_bytes` is the size of the log; an index that does not fit to it is `InvalidData`.
    pub fn floor(&self, log_bytes: u64, at_or_before: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        Ok(self.floor_slot(log_bytes, at_or_before)?.map(|(_, entry)| entry))
    }

    /// The first entry for which `at_or_before` does not hold; as with [`SparseIndex::floor`].
    pub fn first_behind(&self, log_bytes: u64, at_or_before: impl Fn(&E) -> bool) -> io::Result<Option<E>> {
        let slot = self
            .floor_slot(log_bytes, at_or_before)?
            .map_or(0, |(slot, _)| slot + 1);
        {
            let state = self.state.lock();
            if slot >= state.window_start {
                return Ok(state.window.get((slot - state.window_start) as usize).copied());
            }
        }
        Ok(self.read_entries(slot, 1)?.pop())
    }

    fn floor_slot(&self, log_bytes: u64, at_or_before: impl Fn(&E) -> bool) -> io::Result<Option<(u64, E)>> {
        let window_start = {
            let mut state = self.state.lock();
            if state.window.first().is_some_and(&at_or_before) {
                let slot = state.window.partition_point(&at_or_before) - 1;
                return Ok(Some((state.window_start + slot as u64, state.window[slot])));
            }
            if !state.checked {
                self.check(&state, log_bytes)?;
                state.checked = true;
            }
            state.window_start
        };
        // Entries before the window are in the file and do not change; no lock is held while reading them.
        let (mut low, mut high) = (0, window_start);
        while high - low > PAGE_ENTRIES {
            let middle = low + (high - low) / 2;
            match self.read_entries(middle, 1)?.first() {
                Some(entry) if at_or_before(entry) => low = middle,
                Some(_) => high = middle,
                None => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        let page = self.read_entries(low, high - low)?;
        let count = page.partition_point(at_or_before);
        Ok(count.checked_sub(1).map(|slot| (low + slot as u64, page[slot])))
    }

    /// Whether the file is ascending and fits to a log of `log_bytes`.
    fn check(&self, state: &State<E>, log_bytes: u64) -> io::Result<()> {
        let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message.to_owned());
        let mut previous: Option<E> = None;
        let mut at = 0;
        while at < state.persisted {
            let page = self.read_entries(at, (state.persisted - at).min(8192))?;
            at += page.len() as u64;
            for entry in page {
                if !entry.fits(log_bytes) {
                    return Err(invalid("an index entry points outside of the log"));
                }
                if previous.is_some_and(|previous| !previous.precedes(entry)) {
                    return Err(invalid("the index is not sorted"));
                }
                previous = Some(entry);
            }
        }
        Ok(())
    }

    fn read_entries(&self, first: u64, count: u64) -> io::Result<Vec<E>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; count as usize * E::BYTES];
        self.file.get()?.read_exact_at(&mut bytes, first * E::BYTES as u64)?;
        Ok(bytes.chunks_exact(E::BYTES).map(E::decode).collect())
    }

    /// Keeps only the entries for which `keep` holds, a prefix of the index.
    pub fn truncate(&self, log_bytes: u64, keep: impl Fn(&E) -> bool) -> io::Result<()> {
        let count = self.floor_slot(log_bytes, keep)?.map_or(0, |(slot, _)| slot + 1);
        self.truncate_to_entries(count)
    }

    /// Forgets everything; the entries are about to be made anew.
    pub fn reset(&self) {
        let mut state = self.state.lock();
        // The file may hold a part of an entry even when it holds no whole one.
        *state = State {
            persisted: 0,
            window: Vec::new(),
            window_start: 0,
            checked: true,
            stale: true,
        };
    }

    fn truncate_to_entries(&self, count: u64) -> io::Result<()> {
        let mut state = self.state.lock();
        if count <= state.window_start {
            state.window.clear();
            state.window_start = count;
        } else {
            let kept = (count - state.window_start) as usize;
            state.window.truncate(kept);
        }
        self.file
            .get_or_create()?
            .set_length(state.persisted.min(count) * E::BYTES as u64)?;
        state.persisted = state.persisted.min(count);
        state.checked |= count == 0;
        state.stale = false;
        Ok(())
    }

    pub fn file(&self) -> &LazyFile {
        &self.file
    }
}

impl<E> State<E> {
    fn len(&self) -> u64 {
        self.window_start + self.window.len() as u64
    }
}

#[cfg(test)]
mod tests;
