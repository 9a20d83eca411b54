//! The only file that touches the file system.
//!
//! Everything else asks a [`Storage`] for files, renames and flushes, so a test can stand in a disk that loses what
//! was not flushed, tears a write, runs full or fails. The trait is as narrow as the log needs: positioned reads and
//! writes (no cursor, so readers and the writer share one handle), whole-file replacement for checkpoints, and the
//! flushes that make names and bytes durable.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// It must exist; it will only be read.
    Read,
    /// It must exist; it will be read and written.
    ReadWrite,
    /// Made if missing, kept as it is otherwise; it will be read and written.
    Create,
}

/// An open file.
pub trait StorageFile: Send + Sync + Debug {
    /// Reads up to `buffer.len()` bytes at `position`; 0 means the end.
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes all of `bytes` at `position`.
    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()>;
    /// Bytes in the file.
    fn length(&self) -> io::Result<u64>;
    /// Cuts or extends (with zeroes) the file.
    fn set_length(&self, length: u64) -> io::Result<()>;
    /// Makes bytes and length durable.
    fn sync_data(&self) -> io::Result<()>;
    /// The descriptor, for `sendfile`; `None` when there is no real file behind.
    fn as_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Fills `buffer` from `position` or says `UnexpectedEof`.
    fn read_exact_at(&self, buffer: &mut [u8], position: u64) -> io::Result<()> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read_at(&mut buffer[filled..], position + filled as u64)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }
}

/// One name in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// The name alone. Names that are not UTF-8 are none of ours and are left out.
    pub name: String,
    /// A folder, not a file.
    pub is_directory: bool,
    /// Bytes of a file; 0 for a folder.
    pub length: u64,
}

/// Held while a directory belongs to this process; dropping it gives the directory back.
pub trait StorageLock: Send + Sync + Debug {}

/// A file system.
pub trait Storage: Send + Sync + Debug {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>>;
    /// Reads a whole small file; more than `limit` bytes is an error, not an allocation.
    fn read_file(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>>;
    /// Puts `bytes` under `path` so that a crash leaves either the old or the new content: writes `path.tmp`, flushes
    /// it when `durable`, renames it over `path` and flushes the folder's names when `durable`.
    fn replace_file(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()>;
    /// The names in a folder, sorted.
    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>>;
    /// Whether something has this name.
    fn exists(&self, path: &Path) -> io::Result<bool>;
    /// Makes a folder and its parents.
    fn create_directory(&self, path: &Path) -> io::Result<()>;
    /// Gives a file or folder another name, replacing a file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file; that it is gone already is no error.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a folder with all in it; that it is gone already is no error.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a folder durable.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
    /// Makes everything durable that was written to the file system of `path`; `false` where that cannot be asked for.
    fn sync_file_system(&self, path: &Path) -> io::Result<bool>;
    /// Takes the lock file `path`; `None` when another process holds it.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>>;
    /// Total and usable bytes of the file system that holds `path`.
    fn space(&self, path: &Path) -> io::Result<(u64, u64)>;
    /// When the file was last written, in milliseconds since 1970.
    fn modified_ms(&self, path: &Path) -> io::Result<i64>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl FileSystem {
    /// How many files and sockets this process may have open.
    #[must_use]
    pub fn open_files_limit() -> usize {
        let mut limit = libc::rlimit {
            rlim_cur: 0,
            rlim_max: 0,
        };
        // SAFETY: `limit` is writable for the length of the call.
        let result = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) };
        // Every system grants at least so many.
        if result == 0 {
            usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX)
        } else {
            256
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl StorageFile for RealFile {
    fn read_at(&self, buffer: &mut [u8], position: u64) -> io::Result<usize> {
        loop {
            match self.0.read_at(buffer, position) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn write_all_at(&self, bytes: &[u8], position: u64) -> io::Result<()> {
        self.0.write_all_at(bytes, position)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.0.as_fd())
    }
}

#[derive(Debug)]
struct RealLock(File);

impl StorageLock for RealLock {}

impl Drop for RealLock {
    /// Closing the file would not do: a process that was forked from this one holds it open too.
    fn drop(&mut self) {
        unlock(&self.0);
    }
}

impl Storage for FileSystem {
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options
            .read(true)
            .write(mode != OpenMode::Read)
            .create(mode == OpenMode::Create);
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn read_file(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?
            .take(limit.saturating_add(1))
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("more than {limit} bytes"),
            ));
        }
        Ok(bytes)
    }

    fn replace_file(&self, path: &Path, bytes: &[u8], durable: bool) -> io::Result<()> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(".tmp");
        let temporary = Path::new(&temporary);
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        if durable {
            file.sync_data()?;
        }
        drop(file);
        fs::rename(temporary, path)?;
        match path.parent() {
            Some(parent) if durable => self.sync_directory(parent),
            _ => Ok(()),
        }
    }

    fn list(&self, path: &Path) -> io::Result<Vec<DirectoryEntry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            // The listing itself knows what is a folder: a log directory has ten thousands of them.
            let is_directory = entry.file_type()?.is_dir();
            let length = if is_directory {
                0
            } else {
                // A file may vanish between the listing and the question for its size.
                match entry.metadata() {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    other => other?.len(),
                }
            };
            entries.push(DirectoryEntry {
                name,
                is_directory,
                length,
            });
        }
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        path.try_exists()
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_file(path))
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_dir_all(path))
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    #[cfg(target_os = "linux")]
    fn sync_file_system(&self, path: &Path) -> io::Result<bool> {
        let directory = File::open(path)?;
        // SAFETY: the descriptor is open for the length of the call.
        match unsafe { libc::syncfs(directory.as_raw_fd()) } {
            0 => Ok(true),
            _ => Err(io::Error::last_os_error()),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn sync_file_system(&self, _path: &Path) -> io::Result<bool> {
        Ok(false)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn StorageLock>>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(lock_exclusively(&file)?.then(|| Box::new(RealLock(file)) as Box<dyn StorageLock>))
    }

    fn space(&self, path: &Path) -> io::Result<(u64, u64)> {
        let path = std::ffi::CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: `statvfs` is plain old data for which all zeroes is a value.
        let mut status: libc::statvfs = unsafe { std::mem::zeroed() };
        // SAFETY: `path` ends with a zero byte and `status` is writable, both for the length of the call.
        if unsafe { libc::statvfs(path.as_ptr(), &raw mut status) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let block_bytes = status.f_frsize;
        Ok((
            status.f_blocks.saturating_mul(block_bytes),
            status.f_bavail.saturating_mul(block_bytes),
        ))
    }

    fn modified_ms(&self, path: &Path) -> io::Result<i64> {
        let modified = fs::metadata(path)?.modified()?;
        let since = modified
            .duration_since(std::time::UNIX_EPOCH)
            .map_err(io::Error::other)?;
        Ok(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Tries to lock the whole file; `false` when somebody else holds it.
///
/// The lock belongs to the open file, so it keeps out other processes and this one alike, and it meets the record
/// locks that Java takes: Apache Kafka and Moldau cannot share a directory by mistake.
#[cfg(target_os = "linux")]
fn lock_exclusively(file: &File) -> io::Result<bool> {
    locked(set_lock(file, libc::F_WRLCK))
}

#[cfg(target_os = "linux")]
fn unlock(file: &File) {
    set_lock(file, libc::F_UNLCK);
}

#[cfg(target_os = "linux")]
fn set_lock(file: &File, kind: libc::c_int) -> libc::c_int {
    // SAFETY: `flock` is plain old data for which all zeroes is a value: from the start, of any length.
    let mut request: libc::flock = unsafe { std::mem::zeroed() };
    request.l_type = kind as libc::c_short;
    request.l_whence = libc::SEEK_SET as libc::c_short;
    // SAFETY: the descriptor is open and `request` is readable for the length of the call.
    unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const request) }
}

/// Tries to lock the whole file; `false` when somebody else holds it.
#[cfg(not(target_os = "linux"))]
fn lock_exclusively(file: &File) -> io::Result<bool> {
    // SAFETY: the descriptor is open for the length of the call.
    locked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) })
}

#[cfg(not(target_os = "linux"))]
fn unlock(file: &File) {
    // SAFETY: the descriptor is open for the length of the call.
    unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_UN) };
}

fn locked(result: libc::c_int) -> io::Result<bool> {
    if result == 0 {
        return Ok(true);
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        Some(libc::EAGAIN | libc::EACCES) => Ok(false),
        _ => Err(error),
    }
}

fn gone_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
