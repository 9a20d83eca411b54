//! A connection whose client has used more than its quota: it gets its answer, and then nobody listens for a while.
//!
//! The answer says for how long (`throttle_time_ms`), so that a client that knows waits by itself (KIP-219); one that
//! does not finds its requests unread. The client is watched meanwhile: it may go.

use std::time::{Duration, Instant};

use super::{Connection, Disconnect, Request};
use crate::quotas::Principal;

/// How long the node has worked for a request, waiting left out. Without a limit on time nothing is measured.
#[derive(Debug, Default)]
pub(super) struct Stopwatch {
    started: Option<Instant>,
    waited: Duration,
}

impl Stopwatch {
    pub(super) fn start(measures: bool) -> Stopwatch {
        Stopwatch {
            started: measures.then(Instant::now),
            waited: Duration::ZERO,
        }
    }

    /// When a wait begins, if that matters.
    pub(super) fn pause(&self) -> Option<Instant> {
        self.started.map(|_| Instant::now())
    }

    pub(super) fn resume(&mut self, paused: Option<Instant>) {
        self.waited += paused.map_or(Duration::ZERO, |since| since.elapsed());
    }

    fn busy(&self) -> Option<Duration> {
        Some(self.started?.elapsed().saturating_sub(self.waited))
    }
}

impl Connection {
    /// The client of `request` has used so many bytes of Produce and the time on the stopwatch. How long it has to wait.
    pub(super) fn charge_produce(&self, request: &Request, frame_bytes: usize, answered: bool) -> u32 {
        let who = Principal::anonymous(request.client_id());
        let now_ms = self.node.uptime_ms();
        let for_bytes = self.node.quotas.produced(who, frame_bytes, now_ms);
        // As in Kafka the time of a request without an answer is not charged.
        let for_time = if answered { self.charge_time(who, now_ms) } else { 0 };
        throttle(for_bytes.max(for_time))
    }

    /// The same for a consumer, to whom so many bytes would go; whether they may go is the second answer. As in Kafka
    /// records are withheld as well when it is the time that was used up.
    pub(super) fn charge_fetch(&self, request: &Request, record_bytes: usize) -> (u32, bool) {
        let who = Principal::anonymous(request.client_id());
        let now_ms = self.node.uptime_ms();
        let for_time = self.charge_time(who, now_ms);
        let for_bytes = self.node.quotas.fetched(who, record_bytes, now_ms);
        let withheld = for_bytes.withheld || (for_time > 0 && for_bytes.throttle_ms == 0);
        (throttle(for_bytes.throttle_ms.max(for_time)), withheld)
    }

    /// The same for a request that costs nothing but time.
    pub(super) fn charge_request(&self, request: &Request) -> u32 {
        if self.node.quotas.limits_requests() {
            throttle(self.charge_time(Principal::anonymous(request.client_id()), self.node.uptime_ms()))
        } else {
            0
        }
    }

    fn charge_time(&self, who: Principal<'_>, now_ms: u64) -> u64 {
        let busy = self.stopwatch.busy();
        busy.map_or(0, |busy| self.node.quotas.worked(who, busy, now_ms))
    }

    /// Send what is owed, then read nothing that comes until the time is over.
    pub(super) async fn mute(&mut self) -> Result<(), Disconnect> {
        let throttle_ms = std::mem::take(&mut self.throttle_ms);
        self.flush().await?;
        // The client is not idle: it is told to wait. A shutdown need not.
        let muted = Duration::from_millis(u64::from(throttle_ms));
        self.activity.wait_for_client(true);
        self.activity.touch(self.node.uptime_ms() + u64::from(throttle_ms));
        let waited = self.wait_for(tokio::time::sleep(muted)).await;
        self.activity.wait_for_client(false);
        self.activity.touch(self.node.uptime_ms());
        waited
    }
}

fn throttle(throttle_ms: u64) -> u32 {
    u32::try_from(throttle_ms).unwrap_or(u32::MAX).min(i32::MAX as u32)
}
