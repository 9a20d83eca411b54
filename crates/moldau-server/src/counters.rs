//! What the server counted since it started. The names are those of the fields; `moldau.observe` says what they mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// API keys are far below this.
const KEYS: usize = 128;

/// Upper bounds of the buckets in which times of requests are counted, in microseconds; what took longer is in one
/// more bucket.
pub const TIME_BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000,
];

/// How long the requests of one API took.
#[derive(Debug)]
pub(crate) struct Times {
    buckets: [AtomicU64; TIME_BOUNDS_US.len() + 1],
    sum_us: AtomicU64,
}

impl Times {
    const fn new() -> Times {
        Times {
            buckets: [const { AtomicU64::new(0) }; TIME_BOUNDS_US.len() + 1],
            sum_us: AtomicU64::new(0),
        }
    }

    fn add(&self, taken: Duration) {
        let taken_us = taken.as_micros() as u64;
        let bucket = TIME_BOUNDS_US.partition_point(|bound| *bound < taken_us);
        add(&self.buckets[bucket], 1);
        add(&self.sum_us, taken_us);
    }
}

/// What went through one partition since it was opened.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) messages_in: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

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
    times: [Times; KEYS],
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
            times: [const { Times::new() }; KEYS],
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

    /// From when a request was read until its answer is written down, waiting included.
    pub(crate) fn time_request(&self, api_key: i16, taken: Duration) {
        if let Some(times) = usize::try_from(api_key).ok().and_then(|key| self.times.get(key)) {
            times.add(taken);
        }
    }

    /// How many requests of each API took how long: the key, a count per bucket of [`TIME_BOUNDS_US`] and one for what
    /// took longer, and all times added up in microseconds. APIs never asked for are left out.
    pub(crate) fn request_times(&self) -> Vec<(i16, Vec<u64>, u64)> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let each = self.times.iter().enumerate().map(|(key, times)| {
            let buckets: Vec<u64> = times.buckets.iter().map(read).collect();
            (key as i16, buckets, read(&times.sum_us))
        });
        each.filter(|(_, buckets, _)| buckets.iter().any(|count| *count > 0))
            .collect()
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
