//! The threads that compact, from the first settings to the end of the node.

use std::io;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use moldau_log::{CleanerSettings, CleanerThreads, LogManager};
use parking_lot::Mutex;

/// Runs once it has settings, until it is stopped for good.
#[derive(Default)]
pub struct Cleaner(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Running(CleanerThreads),
    Stopped,
}

impl Cleaner {
    /// Begins, or goes on with other settings.
    pub fn apply(&self, logs: &Arc<LogManager>, settings: CleanerSettings) -> io::Result<()> {
        let mut state = self.0.lock();
        match &*state {
            State::Waiting => {
                *state = State::Running(CleanerThreads::start(Arc::clone(logs), settings, wall_clock_ms)?);
                Ok(())
            }
            State::Running(threads) => threads.apply(settings),
            State::Stopped => Ok(()),
        }
    }

    /// Looks for work now.
    pub fn wake(&self) {
        if let State::Running(threads) = &*self.0.lock() {
            threads.wake();
        }
    }

    /// Ends the threads; nothing begins any more.
    pub fn stop(&self) {
        *self.0.lock() = State::Stopped;
    }
}

/// The threads run where no Python clock can be asked.
pub fn wall_clock_ms() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

/// What compaction has done, by the names of `moldau.observe.metrics`.
pub fn counters(logs: &LogManager) -> impl Iterator<Item = (String, u64)> + use<> {
    let cleaner = logs.cleaner_counters();
    [
        ("log_cleaner_passes", cleaner.passes),
        ("log_cleaner_read_bytes", cleaner.read_bytes),
        ("log_cleaner_written_bytes", cleaner.written_bytes),
        ("log_cleaner_removed_records", cleaner.removed_records),
        ("log_cleaner_max_dirty_percent", cleaner.dirtiest_percent),
        ("log_cleaner_uncleanable_partitions", cleaner.uncleanable_partitions),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}
