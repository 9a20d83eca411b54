//! All open connections: who may come in, who has been idle for too long, who is still busy at the end.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::control::ConnectionId;

/// What others need to know of a connection. Its task alone writes.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// When the last byte went in or out, in milliseconds since the start of the server.
    last_ms: AtomicU64,
    /// Waits for the client: to send the next request, or to read an answer.
    waiting_for_client: AtomicBool,
    task: OnceLock<AbortHandle>,
}

impl Activity {
    pub(crate) fn touch(&self, now_ms: u64) {
        self.last_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(crate) fn wait_for_client(&self, waits: bool) {
        self.waiting_for_client.store(waits, Ordering::Relaxed);
    }

    pub(crate) fn set_task(&self, task: AbortHandle) {
        // Set once, by the listener that spawned the task.
        let _ = self.task.set(task);
    }

    fn is_idle_since(&self, limit_ms: u64) -> bool {
        self.waiting_for_client.load(Ordering::Relaxed) && self.last_ms.load(Ordering::Relaxed) < limit_ms
    }

    /// End the connection: its task is dropped at its next wait, and the socket with it.
    fn end(&self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}

/// The open connections.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    open: Mutex<HashMap<ConnectionId, Arc<Activity>>>,
    per_address: Mutex<HashMap<IpAddr, usize>>,
    left: Notify,
    shutting_down: AtomicBool,
}

impl Registry {
    /// Count a connection in, unless its address has `per_address_max` already.
    pub(crate) fn admit(&self, id: ConnectionId, address: IpAddr, per_address_max: usize) -> Option<Arc<Activity>> {
        let mut per_address = self.per_address.lock();
        let count = per_address.entry(address).or_insert(0);
        if *count >= per_address_max {
            return None;
        }
        *count += 1;
        drop(per_address);
        let activity = Arc::new(Activity::default());
        self.open.lock().insert(id, activity.clone());
        Some(activity)
    }

    /// Count a connection out.
    pub(crate) fn leave(&self, id: ConnectionId, address: IpAddr) {
        self.open.lock().remove(&id);
        let mut per_address = self.per_address.lock();
        if let Some(count) = per_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                per_address.remove(&address);
            }
        }
        drop(per_address);
        self.left.notify_one();
    }

    pub(crate) fn open_count(&self) -> usize {
        self.open.lock().len()
    }

    /// Wait until fewer than `limit` connections are open.
    pub(crate) async fn wait_for_room(&self, limit: usize) {
        while self.open_count() >= limit {
            self.left.notified().await;
        }
        // Several listeners may wait: pass on what this one did not need.
        if self.open_count() + 1 < limit {
            self.left.notify_one();
        }
    }

    /// End the connections on which nothing has moved since `limit_ms`. Returns how many.
    pub(crate) fn reap(&self, limit_ms: u64) -> usize {
        let idle: Vec<_> = self
            .open
            .lock()
            .values()
            .filter(|activity| activity.is_idle_since(limit_ms))
            .cloned()
            .collect();
        idle.iter().for_each(|activity| activity.end());
        idle.len()
    }

    pub(crate) fn is_shutting_down(&self) -> bool {
        self.shutting_down.load(Ordering::Relaxed)
    }

    /// From now on no connection takes another request.
    pub(crate) fn begin_shutdown(&self) {
        self.shutting_down.store(true, Ordering::Relaxed);
    }

    /// End what waits for its client; `all` ends what is busy too.
    pub(crate) fn end_connections(&self, all: bool) {
        let open: Vec<_> = self.open.lock().values().cloned().collect();
        open.iter()
            .filter(|activity| all || activity.is_idle_since(u64::MAX))
            .for_each(|activity| activity.end());
    }
}
