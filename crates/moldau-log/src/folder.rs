//! A partition's folder and the files in it, opened only when needed.
//!
//! A node may hold 100,000 partitions: a file that nobody reads must cost neither a descriptor nor a path in memory.
//! So a [`LazyFile`] knows only which file it would be; it opens on first use and is closed again when a round of
//! housekeeping found it unused. Whoever still reads keeps their own reference.

use crate::storage::{OpenMode, Storage, StorageFile};
use parking_lot::Mutex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Suffix of record files.
pub(crate) const LOG: &str = "log";
/// Suffix of offset indexes.
pub(crate) const OFFSET_INDEX: &str = "index";
/// Suffix of time indexes.
pub(crate) const TIME_INDEX: &str = "timeindex";
/// Suffix of transaction indexes.
pub(crate) const TRANSACTION_INDEX: &str = "txnindex";
/// Suffix of producer state snapshots.
pub(crate) const SNAPSHOT: &str = "snapshot";
/// Appended to the name of a file that waits for its removal.
pub(crate) const DELETED: &str = ".deleted";

/// Where a partition lives and how.
#[derive(Debug)]
pub(crate) struct Folder {
    pub storage: Arc<dyn Storage>,
    pub path: PathBuf,
    /// `false` skips every flush.
    pub durable: bool,
}

impl Folder {
    /// The path of one of a segment's files: twenty digits and a suffix.
    pub fn file(&self, base_offset: i64, suffix: &str) -> PathBuf {
        self.path.join(format!("{base_offset:020}.{suffix}"))
    }

    /// Makes the names in the folder durable.
    pub fn sync_names(&self) -> io::Result<()> {
        if self.durable {
            self.storage.sync_directory(&self.path)
        } else {
            Ok(())
        }
    }
}

/// Splits `00000000000000000042.index` into 42 and `index`; other names are none of ours.
pub(crate) fn parse_name(name: &str) -> Option<(i64, &str)> {
    let (digits, suffix) = name.split_once('.')?;
    if digits.len() != 20 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((digits.parse().ok()?, suffix))
}

/// One file of a segment, open or not.
#[derive(Debug)]
pub(crate) struct LazyFile {
    folder: Arc<Folder>,
    base_offset: i64,
    suffix: &'static str,
    handle: Mutex<Option<Arc<dyn StorageFile>>>,
    used: AtomicBool,
}

impl LazyFile {
    pub fn new(folder: Arc<Folder>, base_offset: i64, suffix: &'static str) -> LazyFile {
        LazyFile {
            folder,
            base_offset,
            suffix,
            handle: Mutex::new(None),
            used: AtomicBool::new(false),
        }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.file(self.base_offset, self.suffix)
    }

    /// The open file; it must exist.
    pub fn get(&self) -> io::Result<Arc<dyn StorageFile>> {
        self.open(OpenMode::ReadWrite)
    }

    /// The open file, made if missing.
    pub fn get_or_create(&self) -> io::Result<Arc<dyn StorageFile>> {
        self.open(OpenMode::Create)
    }

    fn open(&self, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        let mut handle = self.handle.lock();
        if let Some(file) = &*handle {
            return Ok(Arc::clone(file));
        }
        let file = self.folder.storage.open(&self.path(), mode)?;
        *handle = Some(Arc::clone(&file));
        Ok(file)
    }

    /// Flushes the file, opening it if need be; a file that was never made has nothing to flush.
    pub fn sync(&self) -> io::Result<()> {
        if !self.folder.durable {
            return Ok(());
        }
        match self.get() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other?.sync_data(),
        }
    }

    /// Closes the file unless it was used since the last call.
    pub fn close_if_idle(&self) {
        if !self.used.swap(false, Ordering::Relaxed) {
            *self.handle.lock() = None;
        }
    }

    /// Closes the file.
    pub fn close(&self) {
        *self.handle.lock() = None;
    }

    /// Renames the file so that it waits for its removal; returns the new path, or `None` when there is no file.
    pub fn mark_deleted(&self) -> io::Result<Option<PathBuf>> {
        mark_deleted(&*self.folder.storage, &self.path())
    }
}

/// Renames `path` to `path.deleted`; `None` when it was not there.
pub(crate) fn mark_deleted(storage: &dyn Storage, path: &Path) -> io::Result<Option<PathBuf>> {
    let mut marked = path.as_os_str().to_owned();
    marked.push(DELETED);
    let marked = PathBuf::from(marked);
    match storage.rename(path, &marked) {
        Ok(()) => Ok(Some(marked)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_twenty_digits_are_ours() {
        assert_eq!(parse_name("00000000000000000042.index"), Some((42, "index")));
        assert_eq!(
            parse_name("00000000000000000042.log.deleted"),
            Some((42, "log.deleted"))
        );
        assert_eq!(parse_name("42.log"), None);
        assert_eq!(parse_name("+0000000000000000042.log"), None);
        assert_eq!(parse_name("99999999999999999999.log"), None);
        assert_eq!(parse_name("leader-epoch-checkpoint"), None);
    }
}
