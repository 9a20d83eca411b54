//! At most so many files open at once, however many partitions there are.
//!
//! A process may hold some ten thousand descriptors; a node may hold 100,000 partitions with three files each. So
//! nobody keeps a file open for long: users hold a weak reference, the pool the strong ones. When the pool is full, the
//! oldest file that was not used since its last turn is closed; its user opens it again when it is needed. Whoever is
//! reading from a file meanwhile has a reference of their own and notices nothing.

use crate::storage::StorageFile;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// An open file of the pool.
#[derive(Debug)]
pub(crate) struct PooledFile {
    file: Arc<dyn StorageFile>,
    used: AtomicBool,
}

impl PooledFile {
    /// The file, marked as being of use.
    pub fn file(&self) -> Arc<dyn StorageFile> {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
        Arc::clone(&self.file)
    }

    /// It need not wait for a second turn.
    pub fn release(&self) {
        self.used.store(false, Ordering::Relaxed);
    }
}

/// The open files of all partitions.
#[derive(Debug)]
pub(crate) struct FilePool {
    limit: usize,
    files: Mutex<VecDeque<Arc<PooledFile>>>,
}

impl FilePool {
    /// A pool of at most `limit` files, and at least one.
    pub fn new(limit: usize) -> FilePool {
        FilePool {
            limit: limit.max(1),
            files: Mutex::new(VecDeque::new()),
        }
    }

    /// Takes in a file that was just opened, closing another if there are too many.
    pub fn admit(&self, file: Arc<dyn StorageFile>) -> Weak<PooledFile> {
        let pooled = Arc::new(PooledFile {
            file,
            used: AtomicBool::new(false),
        });
        let weak = Arc::downgrade(&pooled);
        let mut files = self.files.lock();
        // Each file gets one second chance per admission, so this ends.
        let mut chances = files.len();
        while files.len() >= self.limit {
            let Some(oldest) = files.pop_front() else { break };
            if chances > 0 && oldest.used.swap(false, Ordering::Relaxed) {
                files.push_back(oldest);
            }
            chances = chances.saturating_sub(1);
        }
        files.push_back(pooled);
        weak
    }

    /// Closes the files that were not used since the last call.
    pub fn close_idle(&self) {
        self.files
            .lock()
            .retain(|pooled| pooled.used.swap(false, Ordering::Relaxed));
    }

    /// Files open now.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.files.lock().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{FileSystem, OpenMode, Storage};
    use crate::temporary::TemporaryFolder;

    #[test]
    fn the_pool_stays_in_its_limit_and_keeps_what_is_used() {
        let temporary = TemporaryFolder::new();
        let open = |name: u32| {
            FileSystem
                .open(&temporary.path().join(name.to_string()), OpenMode::Create)
                .unwrap()
        };
        let pool = FilePool::new(4);
        let busy = pool.admit(open(0));
        let idle = pool.admit(open(1));
        for number in 2..20 {
            pool.admit(open(number));
            busy.upgrade().expect("a file in use stays open").file();
            assert!(pool.len() <= 4);
        }
        assert!(idle.upgrade().is_none());
        pool.close_idle();
        pool.close_idle();
        assert_eq!(pool.len(), 0);
        assert!(busy.upgrade().is_none());
    }
}
