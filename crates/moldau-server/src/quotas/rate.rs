//! The two ways to measure: a rate over sampled windows, and a bucket of tokens.
//!
//! Both are Kafka's, to the millisecond, because what they give is told to clients: `Rate` over `SampledStat` for bytes
//! and time, `TokenBucket` for changes of topics (KIP-599). Pure arithmetic; time is an argument that never goes back.

/// Over how much time a rate is measured: `quota.window.num` windows of `quota.window.size.seconds`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuotaWindows {
    /// How many, the one that is being filled included.
    pub count: u32,
    /// How long each of them is.
    pub size_ms: u64,
}

impl QuotaWindows {
    pub(crate) fn total_ms(self) -> u64 {
        u64::from(self.count) * self.size_ms
    }

    /// The most that can be used at once without being over the limit by that alone, given that the first windows are
    /// counted as if they had passed.
    pub(crate) fn largest_use(self, limit: f64) -> f64 {
        limit * f64::from(self.count - 1) * self.size_ms as f64 / 1000.0
    }
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    started_ms: u64,
    last_ms: u64,
    value: f64,
}

impl Sample {
    fn begun(now_ms: u64) -> Sample {
        Sample {
            started_ms: now_ms,
            last_ms: now_ms,
            value: 0.0,
        }
    }
}

/// How much was used per second over the last windows.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    /// One more than there are windows: the oldest may have begun before the time that is measured.
    samples: Vec<Sample>,
    current: usize,
}

impl Rate {
    /// Count `value`, which is negative when something is taken back.
    pub(crate) fn record(&mut self, windows: QuotaWindows, value: f64, now_ms: u64) {
        if self.samples.is_empty() {
            self.samples.push(Sample::begun(now_ms));
        }
        if now_ms - self.samples[self.current].started_ms >= windows.size_ms {
            self.current = (self.current + 1) % (windows.count as usize + 1);
            match self.samples.get_mut(self.current) {
                Some(oldest) => *oldest = Sample::begun(now_ms),
                None => self.samples.push(Sample::begun(now_ms)),
            }
        }
        let sample = &mut self.samples[self.current];
        sample.value += value;
        sample.last_ms = now_ms;
    }

    /// How long to wait until the rate is down to `limit` per second, if nothing is used meanwhile; 0 when it is not
    /// above. With a rate of R over a time of W the wait X solves R * W / (W + X) = limit.
    pub(crate) fn throttle_ms(&mut self, windows: QuotaWindows, limit: f64, now_ms: u64) -> u64 {
        let used = self.used(windows, now_ms);
        let measured_ms = self.measured_ms(windows, now_ms) as f64;
        let rate = used / (measured_ms / 1000.0);
        if rate > limit {
            ((rate - limit) / limit * measured_ms).round() as u64
        } else {
            0
        }
    }

    /// What was used in all windows.
    pub(crate) fn used(&mut self, windows: QuotaWindows, now_ms: u64) -> f64 {
        for sample in &mut self.samples {
            if now_ms - sample.last_ms >= windows.total_ms() {
                *sample = Sample::begun(now_ms);
            }
        }
        self.samples.iter().map(|sample| sample.value).sum()
    }

    /// The time since the oldest sample; windows that have not been yet count as passed, or the first bytes of a client
    /// would look like an enormous rate.
    fn measured_ms(&self, windows: QuotaWindows, now_ms: u64) -> u64 {
        let oldest_ms = self.samples.iter().map(|sample| sample.started_ms).min();
        let elapsed_ms = now_ms - oldest_ms.unwrap_or(now_ms);
        let full_windows = elapsed_ms / windows.size_ms;
        let missing = u64::from(windows.count - 1).saturating_sub(full_windows);
        (elapsed_ms + missing * windows.size_ms).max(1)
    }

    /// Whether nothing of it counts any more: forgetting it makes no difference.
    pub(crate) fn is_over(&self, windows: QuotaWindows, now_ms: u64) -> bool {
        let last_ms = self.samples.iter().map(|sample| sample.last_ms).max();
        last_ms.is_none_or(|last_ms| now_ms - last_ms >= windows.total_ms())
    }
}

/// Tokens that come back at a steady rate, up to a burst of all windows at once.
#[derive(Debug)]
pub(crate) struct TokenBucket {
    tokens: f64,
    filled_ms: u64,
}

impl TokenBucket {
    /// A bucket that nobody has taken from.
    pub(crate) fn full(windows: QuotaWindows, limit: f64, now_ms: u64) -> TokenBucket {
        TokenBucket {
            tokens: burst(windows, limit),
            filled_ms: now_ms,
        }
    }

    /// Take `count` tokens; they may be owed. How long to wait until nothing is owed, 0 when nothing is.
    ///
    /// `strict`: take nothing while something is owed already, so that the answer is a refusal. Whoever owes nothing
    /// may take as many as they want and is not told to wait: the next one is.
    pub(crate) fn take(&mut self, windows: QuotaWindows, limit: f64, count: f64, strict: bool, now_ms: u64) -> u64 {
        let back = limit * (now_ms - self.filled_ms) as f64 / 1000.0;
        self.tokens = (self.tokens + back).min(burst(windows, limit));
        self.filled_ms = now_ms;
        let owed_before = self.owed_ms(limit);
        if strict && owed_before > 0 {
            return owed_before;
        }
        self.tokens -= count;
        if strict { 0 } else { self.owed_ms(limit) }
    }

    fn owed_ms(&self, limit: f64) -> u64 {
        if self.tokens < 0.0 {
            // Less than half a millisecond is still owed.
            ((-self.tokens / limit * 1000.0).round() as u64).max(1)
        } else {
            0
        }
    }

    /// Whether it is full again: forgetting it makes no difference.
    pub(crate) fn is_over(&self, windows: QuotaWindows, limit: f64, now_ms: u64) -> bool {
        self.tokens + limit * (now_ms - self.filled_ms) as f64 / 1000.0 >= burst(windows, limit)
    }
}

fn burst(windows: QuotaWindows, limit: f64) -> f64 {
    limit * windows.total_ms() as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: QuotaWindows = QuotaWindows {
        count: 11,
        size_ms: 1000,
    };

    fn used(values: &[(u64, f64)]) -> Rate {
        let mut rate = Rate::default();
        for (now_ms, value) in values {
            rate.record(WINDOWS, *value, *now_ms);
        }
        rate
    }

    #[test]
    fn the_first_bytes_are_spread_over_the_windows_before_them() {
        let mut rate = used(&[(0, 10_000.0)]);
        assert_eq!(
            rate.throttle_ms(WINDOWS, 1000.0, 0),
            0,
            "10,000 bytes in ten windows of a second"
        );
        rate.record(WINDOWS, 1.0, 0);
        assert_eq!(rate.throttle_ms(WINDOWS, 1000.0, 0), 1);
    }

    #[test]
    fn the_wait_brings_the_rate_down_to_the_limit() {
        // 20,000 bytes in 10 s are 2,000 a second; at 1,000 they take 20 s, of which 10 have passed.
        assert_eq!(used(&[(0, 20_000.0)]).throttle_ms(WINDOWS, 1000.0, 0), 10_000);
        // Half a second later the window being filled counts for half a second.
        assert_eq!(used(&[(0, 20_000.0)]).throttle_ms(WINDOWS, 1000.0, 500), 9_500);
    }

    #[test]
    fn what_is_older_than_all_windows_does_not_count() {
        let mut rate = used(&[(0, 20_000.0)]);
        assert!(rate.throttle_ms(WINDOWS, 1000.0, 10_999) > 0);
        assert!(!rate.is_over(WINDOWS, 10_999));
        assert!(rate.is_over(WINDOWS, 11_000));
        assert_eq!(rate.throttle_ms(WINDOWS, 1000.0, 11_000), 0);
    }

    #[test]
    fn windows_go_round() {
        let mut rate = Rate::default();
        for second in 0..100 {
            rate.record(WINDOWS, 1000.0, second * 1000);
            assert_eq!(
                rate.throttle_ms(WINDOWS, 1100.0, second * 1000),
                0,
                "in second {second}"
            );
            assert!(rate.samples.len() <= 12);
        }
        assert!(rate.throttle_ms(WINDOWS, 500.0, 99_000) > 0);
    }

    #[test]
    fn what_is_taken_back_was_never_used() {
        let mut rate = used(&[(0, 5_000.0), (10, 20_000.0)]);
        assert!(rate.throttle_ms(WINDOWS, 1000.0, 10) > 0);
        rate.record(WINDOWS, -20_000.0, 10);
        assert_eq!(rate.throttle_ms(WINDOWS, 1000.0, 10), 0);
    }

    #[test]
    fn a_limit_that_is_no_number_or_without_end_holds_nobody() {
        let mut rate = used(&[(0, 1e300)]);
        assert_eq!(rate.throttle_ms(WINDOWS, f64::NAN, 0), 0);
        assert_eq!(rate.throttle_ms(WINDOWS, f64::INFINITY, 0), 0);
    }

    #[test]
    fn one_window_alone_is_measured_by_the_millisecond() {
        let one = QuotaWindows {
            count: 1,
            size_ms: 1000,
        };
        let mut rate = Rate::default();
        rate.record(one, 100.0, 7);
        assert_eq!(
            rate.throttle_ms(one, 1000.0, 7),
            99,
            "100 bytes take 100 ms, the first of which is assumed"
        );
        assert_eq!(one.largest_use(1000.0), 0.0);
    }

    #[test]
    fn a_burst_is_free_until_the_bucket_is_empty() {
        let mut bucket = TokenBucket::full(WINDOWS, 5.0, 0);
        assert_eq!(bucket.take(WINDOWS, 5.0, 55.0, true, 0), 0);
        assert_eq!(
            bucket.take(WINDOWS, 5.0, 60.0, true, 0),
            0,
            "who owes nothing takes what they want"
        );
        assert_eq!(
            bucket.take(WINDOWS, 5.0, 1.0, true, 0),
            12_000,
            "60 are owed, 5 a second come back"
        );
        assert_eq!(
            bucket.take(WINDOWS, 5.0, 1.0, true, 11_999),
            1,
            "nothing was taken meanwhile"
        );
        assert_eq!(bucket.take(WINDOWS, 5.0, 1.0, true, 12_001), 0);
    }

    #[test]
    fn a_permissive_bucket_gives_and_says_how_much_is_owed() {
        let mut bucket = TokenBucket::full(WINDOWS, 1.0, 0);
        assert_eq!(bucket.take(WINDOWS, 1.0, 11.0, false, 0), 0);
        assert_eq!(bucket.take(WINDOWS, 1.0, 2.0, false, 0), 2000);
        assert_eq!(bucket.take(WINDOWS, 1.0, 1.0, false, 1000), 2000);
        assert!(!bucket.is_over(WINDOWS, 1.0, 2000));
        assert!(bucket.is_over(WINDOWS, 1.0, 14_000));
    }
}
