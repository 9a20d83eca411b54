//! Whether a log directory still works.
//!
//! All partitions of a directory share one [`DirectoryHealth`]. When a read, write or flush fails in a way that says
//! the disk is gone, the first to notice says so here, once; from then on these partitions answer `Offline` and the
//! rest of the node goes on.

use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;

#[derive(Debug)]
pub(crate) struct DirectoryHealth {
    pub path: PathBuf,
    failure: OnceLock<String>,
}

impl DirectoryHealth {
    pub fn new(path: PathBuf) -> DirectoryHealth {
        DirectoryHealth {
            path,
            failure: OnceLock::new(),
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
}

/// Whether the same may go through later on the same disk: something has run out, nothing is broken.
pub(crate) fn is_shortage(error: &io::Error) -> bool {
    let no_room = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    no_room || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
}
