//! A partition's folder and the files in it, opened only when needed.
//!
//! A node may hold 100,000 partitions: a file that nobody reads must cost neither a descriptor nor a path in memory.
//! So a [`LazyFile`] knows only which file it would be; it opens on use, and the [`FilePool`] of the node decides how
//! long it stays open.

use crate::checkpoint;
use crate::file_pool::{FilePool, PooledFile};
use crate::storage::{OpenMode, Storage, StorageFile};
use parking_lot::{Mutex, RwLock};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

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

/// What is appended to the name of a segment's file, from the writing of a compacted segment to the removal of an old
/// one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Extension {
    /// A part of the log.
    #[default]
    None,
    /// Compaction is writing it.
    Cleaned,
    /// Compaction has written it whole; it is taking the place of older segments.
    Swap,
    /// It waits for its removal.
    Deleted,
}

impl Extension {
    pub fn text(self) -> &'static str {
        match self {
            Extension::None => "",
            Extension::Cleaned => ".cleaned",
            Extension::Swap => ".swap",
            Extension::Deleted => ".deleted",
        }
    }
}

/// Where a partition lives and how.
#[derive(Debug)]
pub(crate) struct Folder {
    pub storage: Arc<dyn Storage>,
    /// Another one once the partition was moved to another log directory.
    path: RwLock<PathBuf>,
    /// `false` skips every flush.
    pub durable: bool,
    /// The node's open files.
    pub pool: Arc<FilePool>,
}

impl Folder {
    pub fn new(storage: Arc<dyn Storage>, path: PathBuf, durable: bool, pool: Arc<FilePool>) -> Folder {
        Folder {
            storage,
            path: RwLock::new(path),
            durable,
            pool,
        }
    }

    pub fn path(&self) -> PathBuf {
        self.path.read().clone()
    }

    /// The same files are to be found here from now on; whoever has one open must let go of it.
    pub fn set_path(&self, path: PathBuf) {
        *self.path.write() = path;
    }

    /// Has `rename` give the folder another name; nobody opens a file in it meanwhile. Returns whether it has one.
    pub fn rename(&self, rename: impl FnOnce(&Path) -> io::Result<Option<PathBuf>>) -> io::Result<bool> {
        let mut path = self.path.write();
        let Some(renamed) = rename(&path)? else {
            return Ok(false);
        };
        *path = renamed;
        Ok(true)
    }

    /// The path of one of a segment's files: twenty digits and a suffix.
    pub fn file(&self, base_offset: i64, suffix: &str) -> PathBuf {
        self.path.read().join(file_name(base_offset, suffix))
    }

    /// Opens one of a segment's files where it is: the folder keeps its name meanwhile.
    fn open(
        &self,
        base_offset: i64,
        suffix: &str,
        extension: Extension,
        mode: OpenMode,
    ) -> io::Result<Arc<dyn StorageFile>> {
        let folder = self.path.read();
        let path = folder.join(file_name(base_offset, suffix));
        self.storage.open(&with_extension(&path, extension), mode)
    }

    /// Makes the folder itself durable, and whose it is.
    pub fn sync_birth(&self) -> io::Result<()> {
        let path = self.path();
        self.storage
            .open(&path.join(checkpoint::PARTITION_METADATA), OpenMode::Read)?
            .sync_data()?;
        match path.parent() {
            Some(directory) => self.storage.sync_directory(directory),
            None => Ok(()),
        }
    }

    /// Makes the names in the folder durable.
    pub fn sync_names(&self) -> io::Result<()> {
        if self.durable {
            self.storage.sync_directory(&self.path())
        } else {
            Ok(())
        }
    }
}

fn file_name(base_offset: i64, suffix: &str) -> String {
    format!("{base_offset:020}.{suffix}")
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
    /// The lock is held for one `open` or one `rename`, so that nobody opens what has this name next.
    handle: Mutex<Handle>,
}

#[derive(Debug, Default)]
struct Handle {
    open: Weak<PooledFile>,
    extension: Extension,
}

impl LazyFile {
    pub fn new(folder: Arc<Folder>, base_offset: i64, suffix: &'static str) -> LazyFile {
        LazyFile {
            folder,
            base_offset,
            suffix,
            handle: Mutex::default(),
        }
    }

    /// Its name in a log that it is a part of.
    pub fn name(&self) -> String {
        file_name(self.base_offset, self.suffix)
    }

    pub fn path(&self) -> PathBuf {
        self.path_as(self.handle.lock().extension)
    }

    fn path_as(&self, extension: Extension) -> PathBuf {
        with_extension(&self.folder.file(self.base_offset, self.suffix), extension)
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
        let mut handle = self.handle.lock();
        if let Some(pooled) = handle.open.upgrade() {
            return Ok(pooled.file());
        }
        let file = self
            .folder
            .open(self.base_offset, self.suffix, handle.extension, mode)?;
        handle.open = self.folder.pool.admit(Arc::clone(&file));
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

    /// It will not be used again soon: it is closed at the pool's next turn.
    pub fn release(&self) {
        if let Some(pooled) = self.handle.lock().open.upgrade() {
            pooled.release();
        }
    }

    /// The folder has moved: the next use opens the file where it is now.
    pub fn forget(&self) {
        self.handle.lock().open = Weak::new();
    }

    /// The file is to be found, or made, with `extension`.
    pub fn set_extension(&self, extension: Extension) {
        self.handle.lock().extension = extension;
    }

    /// Renames the file so that it has `extension`; returns the new path, or `None` when there is no file. Whoever has
    /// it open reads on, and whoever opens it later finds it by its new name.
    pub fn rename(&self, extension: Extension) -> io::Result<Option<PathBuf>> {
        let mut handle = self.handle.lock();
        let renamed = rename(
            &*self.folder.storage,
            &self.path_as(handle.extension),
            self.path_as(extension),
        )?;
        handle.extension = extension;
        Ok(renamed)
    }
}

fn with_extension(path: &Path, extension: Extension) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(extension.text());
    PathBuf::from(name)
}

/// Renames `path` to `path.deleted`; `None` when it was not there.
pub(crate) fn mark_deleted(storage: &dyn Storage, path: &Path) -> io::Result<Option<PathBuf>> {
    rename(storage, path, with_extension(path, Extension::Deleted))
}

fn rename(storage: &dyn Storage, from: &Path, to: PathBuf) -> io::Result<Option<PathBuf>> {
    match storage.rename(from, &to) {
        Ok(()) => Ok(Some(to)),
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
