//! What the server counted since it started. The names are those of the fields; `moldau.observe` says what they mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// API keys are far below this.
const KEYS: usize = 128;

/// Atomic counts, one set per server.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) connections_accepted: AtomicU64,
    /// Closed at once because their address had too many.
    pub(crate) connections_refused: AtomicU64,
    /// Closed because they were idle.
    pub(crate) connections_reaped: AtomicU64,
    /// Requests that were not what they claimed to be; each cost its connection.
    pub(crate) malformed_requests: AtomicU64,
    /// Bytes of complete frames, sizes included.
    pub(crate) bytes_received: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    /// Bytes of records that clients appended.
    pub(crate) produced_bytes: AtomicU64,
    pub(crate) produced_messages: AtomicU64,
    /// Bytes of records handed to consumers.
    pub(crate) fetched_bytes: AtomicU64,
    pub(crate) failed_produce_partitions: AtomicU64,
    pub(crate) failed_fetch_partitions: AtomicU64,
    /// Fetch sessions that made room for others.
    pub(crate) sessions_evicted: AtomicU64,
    requests: [AtomicU64; KEYS],
}

impl Default for Counters {
    fn default() -> Self {
        Counters {
            connections_accepted: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_reaped: AtomicU64::new(0),
            malformed_requests: AtomicU64::new(0),
            bytes_received: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            produced_bytes: AtomicU64::new(0),
            produced_messages: AtomicU64::new(0),
            fetched_bytes: AtomicU64::new(0),
            failed_produce_partitions: AtomicU64::new(0),
            failed_fetch_partitions: AtomicU64::new(0),
            sessions_evicted: AtomicU64::new(0),
            requests: [const { AtomicU64::new(0) }; KEYS],
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}

impl Counters {
    pub(crate) fn count_request(&self, api_key: i16) {
        if let Some(counter) = usize::try_from(api_key).ok().and_then(|key| self.requests.get(key)) {
            add(counter, 1);
        }
    }

    /// Every count by its name; requests as `requests_<key>`, keys never asked for left out.
    pub(crate) fn snapshot(&self) -> HashMap<String, u64> {
        let single = [
            ("connections_accepted", &self.connections_accepted),
            ("connections_refused", &self.connections_refused),
            ("connections_reaped", &self.connections_reaped),
            ("malformed_requests", &self.malformed_requests),
            ("bytes_received", &self.bytes_received),
            ("bytes_sent", &self.bytes_sent),
            ("produced_bytes", &self.produced_bytes),
            ("produced_messages", &self.produced_messages),
            ("fetched_bytes", &self.fetched_bytes),
            ("failed_produce_partitions", &self.failed_produce_partitions),
            ("failed_fetch_partitions", &self.failed_fetch_partitions),
            ("sessions_evicted", &self.sessions_evicted),
        ];
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts: HashMap<_, _> = single.map(|(name, counter)| (name.to_owned(), read(counter))).into();
        let requests = self
            .requests
            .iter()
            .enumerate()
            .map(|(key, counter)| (key, read(counter)));
        counts.extend(
            requests
                .filter(|(_, count)| *count > 0)
                .map(|(key, count)| (format!("requests_{key}"), count)),
        );
        counts
    }
}
