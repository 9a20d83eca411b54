//! How fast a pass may be.

use std::time::{Duration, Instant};

/// How much may be spent at once before somebody has to wait.
const BURST: Duration = Duration::from_millis(300);

/// Asked between batches.
pub trait Pace {
    /// `bytes` were read or written: waits where that was too fast. False when the pass is to be broken off.
    fn spent(&mut self, bytes: u64) -> bool;
}

/// As fast as the disk allows, to the end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unhurried;

impl Pace for Unhurried {
    fn spent(&mut self, _bytes: u64) -> bool {
        true
    }
}

/// What was spent so far, and until when that keeps one busy at the speed allowed.
#[derive(Debug)]
pub(crate) struct Ledger {
    paid_at: Instant,
}

impl Ledger {
    pub fn new() -> Ledger {
        Ledger {
            paid_at: Instant::now(),
        }
    }

    pub fn spend(&mut self, bytes: u64, bytes_per_second: f64) {
        let cost = Duration::try_from_secs_f64(bytes as f64 / bytes_per_second);
        self.paid_at = self.paid_at.max(Instant::now()) + cost.unwrap_or(Duration::ZERO);
    }

    /// How long to wait before anything more is spent.
    pub fn wait(&self) -> Option<Duration> {
        let ahead = self.paid_at.saturating_duration_since(Instant::now());
        ahead.checked_sub(BURST).filter(|wait| !wait.is_zero())
    }
}
