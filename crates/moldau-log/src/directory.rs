//! Whether a log directory still works.
//!
//! All partitions of a directory share one [`DirectoryHealth`]. When a read, write or flush fails in a way that says
//! the disk is gone, the first to notice says so here, once; from then on these partitions answer `Offline` and the
//! rest of the node goes on.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(crate) struct DirectoryHealth {
    pub path: PathBuf,
    failure: OnceLock<String>,
    short: AtomicBool,
}

impl DirectoryHealth {
    pub fn new(path: PathBuf) -> DirectoryHealth {
        DirectoryHealth {
            path,
            failure: OnceLock::new(),
            short: AtomicBool::new(false),
        }
    }

    /// Why the directory is offline; `None` while it works.
    pub fn failure(&self) -> Option<&str> {
        self.failure.get().map(String::as_str)
    }

    /// Takes the directory offline. Only the first reason is kept, and told.
    pub fn fail(&self, doing: &str, error: &io::Error) -> String {
        let reason = format!("{doing} failed: {error}");
        if self.failure.set(reason.clone()).is_ok() {
            tracing::error!(directory = %self.path.display(), %reason, "the log directory goes offline");
        }
        reason
    }

    /// Something has run out (see [`is_shortage`]) and records are refused. Told when it begins, not for each of them.
    pub fn begin_shortage(&self, error: &io::Error) {
        if !self.short.swap(true, Ordering::Relaxed) {
            tracing::error!(directory = %self.path.display(), %error, "no room for more records; refusing them until there is");
        }
    }

    /// Records go through (again).
    pub fn end_shortage(&self) {
        if self.short.load(Ordering::Relaxed) && self.short.swap(false, Ordering::Relaxed) {
            tracing::warn!(directory = %self.path.display(), "there is room for records again");
        }
    }
}

/// Whether the same may go through later on the same disk: something has run out, nothing is broken.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let no_room = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    no_room || is_out_of_descriptors(error) || error.raw_os_error() == Some(libc::ENOMEM)
}

/// What can wait until there is room did not fail.
pub(crate) fn unless_short(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if is_shortage(&error) { Ok(()) } else { Err(error) })
}

/// Whether nothing but descriptors has run out: the file was not even opened.
pub(crate) fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
}
