//! The same log in another directory, while it is written and read.
//!
//! A [`Relocation`] copies files byte for byte: closed segments once, of the newest what was added since the last round.
//! So positions and indexes in memory are as true of the copy as of the original, and the exchange is one of folders
//! only: appends, flushes and whatever reshapes the list of segments wait for the last few bytes to be copied, and then
//! find every file where it is now. Readers wait for nothing; who has a file open reads on from the old one.

use super::PartitionLog;
use crate::checkpoint;
use crate::cleaner::Pace;
use crate::directory::DirectoryHealth;
use crate::folder::{LazyFile, SNAPSHOT, parse_name};
use crate::segment::Segment;
use crate::storage::{OpenMode, Storage, StorageFile};
use crate::types::Offset;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const CHUNK_BYTES: u64 = 1 << 20;
/// So little is left to copy that appends may wait for it.
const NEARLY_BYTES: u64 = 1 << 18;

/// Why a log stays where it is.
#[derive(Debug)]
pub(crate) enum RelocationError {
    /// The log cannot be read.
    Source(io::Error),
    /// The copy cannot be written.
    Destination(io::Error),
    /// It is not wanted any more, or the node is shutting down.
    GivenUp,
}

/// A copy on its way.
#[derive(Debug)]
pub(crate) struct Relocation {
    storage: Arc<dyn Storage>,
    path: PathBuf,
    durable: bool,
    copied: Vec<Copied>,
    truncations: u64,
}

#[derive(Debug)]
struct Copied {
    segment: Arc<Segment>,
    log_bytes: u64,
    /// It was closed when it was copied.
    closed: bool,
}

impl Relocation {
    /// A copy of `log` into the folder `path`, which exists and is empty.
    pub fn new(log: &PartitionLog, path: PathBuf) -> Relocation {
        Relocation {
            storage: Arc::clone(&log.folder.storage),
            path,
            durable: log.folder.durable,
            copied: Vec::new(),
            truncations: log.truncations.load(Ordering::Acquire),
        }
    }

    /// Copies what is not copied yet. True when so little was added meanwhile that appends may wait for it. `reached` is
    /// told the bytes copied and the offset up to which the copy is complete.
    pub fn catch_up(
        &mut self,
        log: &PartitionLog,
        pace: &mut dyn Pace,
        reached: &dyn Fn(u64, Offset),
    ) -> Result<bool, RelocationError> {
        match self.copy_round(log, pace, reached) {
            // Retention or compaction took the file away: the next round sees that it did.
            Err(RelocationError::Source(error)) if error.kind() == io::ErrorKind::NotFound && !log.is_offline() => {
                Ok(false)
            }
            Err(error) => Err(error),
            Ok(()) => {
                let active = self.copied.last().expect("a log has a segment");
                let left = log.size_bytes().saturating_sub(self.size_bytes());
                Ok(!active.closed && left <= NEARLY_BYTES)
            }
        }
    }

    fn size_bytes(&self) -> u64 {
        self.copied.iter().map(|copied| copied.log_bytes).sum()
    }

    fn copy_round(
        &mut self,
        log: &PartitionLog,
        pace: &mut dyn Pace,
        reached: &dyn Fn(u64, Offset),
    ) -> Result<(), RelocationError> {
        let truncations = log.truncations.load(Ordering::Acquire);
        let (end_offset, end_position, segments) = {
            // Rolled under this lock: the end is one of the list's last segment.
            let tail = log.tail.lock();
            let (offset, position) = tail.end();
            (offset, position, log.segment_list())
        };
        if std::mem::replace(&mut self.truncations, truncations) != truncations {
            self.forget(|_| false)?;
        }
        self.forget(|copied| segments.iter().any(|segment| Arc::ptr_eq(segment, &copied.segment)))?;
        for (index, segment) in segments.iter().enumerate() {
            let next = segments.get(index + 1);
            let known = self
                .copied
                .iter()
                .position(|copied| Arc::ptr_eq(&copied.segment, segment));
            let slot = known.unwrap_or_else(|| {
                self.copied.push(Copied {
                    segment: Arc::clone(segment),
                    log_bytes: 0,
                    closed: false,
                });
                self.copied.len() - 1
            });
            if self.copied[slot].closed {
                continue;
            }
            let until = if next.is_some() {
                segment.size_bytes()
            } else {
                end_position.min(segment.size_bytes())
            };
            self.copy_records(slot, until, pace, reached)?;
            if let Some(next) = next {
                self.copy_indexes(segment)?;
                self.copied[slot].closed = true;
                reached(self.size_bytes(), next.base_offset);
            } else {
                reached(self.size_bytes(), end_offset);
            }
        }
        Ok(())
    }

    /// Removes the copies of segments that are not `wanted`.
    fn forget(&mut self, wanted: impl Fn(&Copied) -> bool) -> Result<(), RelocationError> {
        for gone in self.copied.extract_if(.., |copied| !wanted(copied)) {
            for name in gone.segment.files().map(LazyFile::name) {
                let removed = self.storage.remove_file(&self.path.join(name));
                removed.map_err(RelocationError::Destination)?;
            }
        }
        Ok(())
    }

    fn copy_records(
        &mut self,
        slot: usize,
        until: u64,
        pace: &mut dyn Pace,
        reached: &dyn Fn(u64, Offset),
    ) -> Result<(), RelocationError> {
        let copied = &mut self.copied[slot];
        let source = copied.segment.log_file().map_err(RelocationError::Source)?;
        let path = self.path.join(copied.segment.files()[0].name());
        let destination = self
            .storage
            .open(&path, OpenMode::Create)
            .map_err(RelocationError::Destination)?;
        let base_offset = copied.segment.base_offset;
        while self.copied[slot].log_bytes < until {
            let at = self.copied[slot].log_bytes;
            let length = CHUNK_BYTES.min(until - at);
            copy_bytes(&*source, &*destination, at, length)?;
            self.copied[slot].log_bytes += length;
            if at + length < until {
                reached(self.size_bytes(), base_offset);
            }
            if !pace.spent(length) {
                return Err(RelocationError::GivenUp);
            }
        }
        self.sync(&*destination)
    }

    fn copy_indexes(&self, segment: &Segment) -> Result<(), RelocationError> {
        for file in &segment.files()[1..] {
            let source = match file.get() {
                // There are no aborted transactions in it, or no index is written yet.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                other => other.map_err(RelocationError::Source)?,
            };
            let length = source.length().map_err(RelocationError::Source)?;
            let destination = self.storage.open(&self.path.join(file.name()), OpenMode::Create);
            let destination = destination.map_err(RelocationError::Destination)?;
            copy_bytes(&*source, &*destination, 0, length)?;
            destination.set_length(length).map_err(RelocationError::Destination)?;
            self.sync(&*destination)?;
        }
        Ok(())
    }

    /// The producers' snapshots. They are not flushed: one that is torn fails its checksum.
    fn copy_snapshots(&self, from: &Path) -> Result<(), RelocationError> {
        for entry in self.storage.list(from).map_err(RelocationError::Source)? {
            if parse_name(&entry.name).is_none_or(|(_, suffix)| suffix != SNAPSHOT) {
                continue;
            }
            let bytes = self.storage.read_file(&from.join(&entry.name), entry.length);
            let bytes = bytes.map_err(RelocationError::Source)?;
            let written = self.storage.replace_file(&self.path.join(&entry.name), &bytes, false);
            written.map_err(RelocationError::Destination)?;
        }
        Ok(())
    }

    fn sync(&self, file: &dyn StorageFile) -> Result<(), RelocationError> {
        if self.durable {
            file.sync_data().map_err(RelocationError::Destination)?;
        }
        Ok(())
    }
}

fn copy_bytes(
    source: &dyn StorageFile,
    destination: &dyn StorageFile,
    mut at: u64,
    length: u64,
) -> Result<(), RelocationError> {
    let end = at + length;
    let mut buffer = vec![0; CHUNK_BYTES.min(length) as usize];
    while at < end {
        let count = CHUNK_BYTES.min(end - at) as usize;
        source
            .read_exact_at(&mut buffer[..count], at)
            .map_err(RelocationError::Source)?;
        destination
            .write_all_at(&buffer[..count], at)
            .map_err(RelocationError::Destination)?;
        at += count as u64;
    }
    Ok(())
}

/// Where a copy becomes the log.
pub(crate) struct Destination<'a> {
    pub health: &'a Arc<DirectoryHealth>,
    /// The folder under the partition's own name.
    pub path: PathBuf,
}

impl PartitionLog {
    /// Copies the rest while nothing is appended, has `rename` give the folders their names, and is in the other
    /// directory from then on. If it fails the log is where it was.
    pub(crate) fn relocate(
        &self,
        relocation: &mut Relocation,
        destination: &Destination<'_>,
        rename: impl FnOnce() -> Result<(), RelocationError>,
    ) -> Result<(), RelocationError> {
        let _no_swap = self.reshaping.lock();
        let appender = self.appender.lock();
        let _no_flush = self.flushing.lock();
        if self.is_offline() {
            return Err(RelocationError::GivenUp);
        }
        relocation.copy_round(self, &mut crate::cleaner::Unhurried, &|_, _| {})?;
        appender.active.persist_indexes().map_err(RelocationError::Source)?;
        relocation.copy_indexes(&appender.active)?;
        relocation.copy_snapshots(&self.folder.path())?;
        let epochs = checkpoint::format_epochs(self.epochs.lock().entries());
        let durable = self.folder.durable;
        let written = relocation
            .storage
            .replace_file(&relocation.path.join(checkpoint::LEADER_EPOCHS), &epochs, durable)
            .and_then(|()| {
                if durable {
                    relocation.storage.sync_directory(&relocation.path)
                } else {
                    Ok(())
                }
            });
        written.map_err(RelocationError::Destination)?;
        rename()?;
        self.folder.set_path(destination.path.clone());
        *self.health.write() = Arc::clone(destination.health);
        for segment in self.segment_list().iter() {
            segment.reopen_files();
        }
        // Files that wait for their removal went with the old folder.
        self.removals.lock().clear();
        self.names_unsynced.store(false, Ordering::Release);
        self.birth_unsynced.store(false, Ordering::Release);
        self.epochs_unsynced.store(false, Ordering::Release);
        self.unflushed_since_ms.store(-1, Ordering::Relaxed);
        self.recovery_point.fetch_max(self.log_end_offset().0, Ordering::AcqRel);
        Ok(())
    }
}
