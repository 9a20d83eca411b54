//! Where requests wait for what is not there yet: a fetch for records, a produce for its in-sync replicas.
//!
//! A waiting request has one [`Waiter`] and registers it with every partition that may end the wait. A partition tells
//! its watchers how many bytes became visible; a waiter wakes its task once enough have. That is a hint, not a proof:
//! the woken task looks again and may go on waiting. So an append costs a partition without watchers one atomic load.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering, fence};

use parking_lot::Mutex;
use tokio::sync::Notify;

/// One waiting request.
#[derive(Debug)]
pub(crate) struct Waiter {
    missing_bytes: AtomicI64,
    notify: Notify,
}

impl Waiter {
    pub(crate) fn new() -> Arc<Waiter> {
        Arc::new(Waiter {
            missing_bytes: AtomicI64::new(1),
            notify: Notify::new(),
        })
    }

    /// From now on anything new wakes. To be called before looking at what is there.
    pub(crate) fn arm(&self) {
        self.missing_bytes.store(1, Ordering::SeqCst);
    }

    /// What is there is too little by `deficit`: do not wake for less. What came since [`Waiter::arm`] counts.
    pub(crate) fn expect(&self, deficit: i64) {
        self.missing_bytes.fetch_add(deficit.max(1) - 1, Ordering::SeqCst);
    }

    fn became_visible(&self, bytes: i64) {
        let before = self.missing_bytes.fetch_sub(bytes, Ordering::SeqCst);
        if before > 0 && before <= bytes {
            self.notify.notify_one();
        }
    }

    fn wake(&self) {
        self.missing_bytes.store(0, Ordering::SeqCst);
        self.notify.notify_one();
    }

    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }
}

/// The waiting requests of one partition.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    waiters: Mutex<Vec<Arc<Waiter>>>,
    count: AtomicUsize,
}

impl Watchers {
    /// Register. The caller must look at the partition again afterwards: what happened before is not told.
    pub(crate) fn add(&self, waiter: &Arc<Waiter>) {
        let mut waiters = self.waiters.lock();
        waiters.push(waiter.clone());
        self.count.store(waiters.len(), Ordering::SeqCst);
        // With the fence in `quiet`: either the appender sees this watcher, or the watcher sees what was appended.
        fence(Ordering::SeqCst);
    }

    pub(crate) fn remove(&self, waiter: &Arc<Waiter>) {
        let mut waiters = self.waiters.lock();
        if let Some(index) = waiters.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            waiters.swap_remove(index);
        }
        self.count.store(waiters.len(), Ordering::SeqCst);
    }

    fn quiet(&self) -> bool {
        fence(Ordering::SeqCst);
        self.count.load(Ordering::SeqCst) == 0
    }

    /// `bytes` more can be read.
    pub(crate) fn became_visible(&self, bytes: usize) {
        if self.quiet() {
            return;
        }
        for waiter in self.waiters.lock().iter() {
            waiter.became_visible(bytes as i64);
        }
    }

    /// Something changed that every waiting request must look at: leadership, the log start, the end of the partition.
    pub(crate) fn wake_all(&self) {
        for waiter in self.waiters.lock().iter() {
            waiter.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn is_awake(waiter: &Waiter) -> bool {
        tokio::time::timeout(Duration::from_millis(1), waiter.woken())
            .await
            .is_ok()
    }

    #[tokio::test]
    async fn a_waiter_sleeps_until_enough_bytes_are_visible() {
        let (watchers, waiter) = (Watchers::default(), Waiter::new());
        watchers.add(&waiter);
        waiter.arm();
        waiter.expect(100);
        watchers.became_visible(60);
        assert!(!is_awake(&waiter).await);
        watchers.became_visible(40);
        assert!(is_awake(&waiter).await);
    }

    #[tokio::test]
    async fn bytes_that_came_while_looking_count() {
        let (watchers, waiter) = (Watchers::default(), Waiter::new());
        watchers.add(&waiter);
        waiter.arm();
        watchers.became_visible(100);
        waiter.expect(100);
        assert!(is_awake(&waiter).await);
    }

    #[tokio::test]
    async fn a_removed_waiter_is_left_alone() {
        let (watchers, waiter) = (Watchers::default(), Waiter::new());
        watchers.add(&waiter);
        watchers.remove(&waiter);
        waiter.arm();
        watchers.became_visible(1);
        watchers.wake_all();
        assert!(!is_awake(&waiter).await);
    }
}
