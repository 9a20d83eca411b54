//! The threads that compact in the background.
//!
//! Each looks for the filthiest log that no other thread is at; when there is none it sleeps for `log.cleaner.backoff.ms`
//! or until somebody says that settings have changed. All of them share the memory and the speed that the node gives to
//! compaction.

use super::CleanerLimits;
use super::throttle::{Ledger, Pace};
use crate::manager::LogManager;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Kafka's limit for the map of one thread: its slots are counted in 31 bits.
const MAP_LIMIT_BYTES: usize = i32::MAX as usize;

/// The node's settings, under Kafka's names without `log.cleaner`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CleanerSettings {
    /// `threads`
    pub threads: usize,
    /// `dedupe.buffer.size`, of all threads together
    pub dedupe_buffer_bytes: usize,
    /// `io.buffer.load.factor`
    pub load_factor: f64,
    /// `io.buffer.size`, of all threads together
    pub io_buffer_bytes: usize,
    /// `io.max.bytes.per.second`, read and written, of all threads together
    pub io_max_bytes_per_second: f64,
    /// `backoff.ms`
    pub backoff_ms: u64,
}

impl CleanerSettings {
    fn limits(&self) -> CleanerLimits {
        let threads = self.threads.max(1);
        CleanerLimits {
            map_bytes: (self.dedupe_buffer_bytes / threads).min(MAP_LIMIT_BYTES),
            map_load_factor: self.load_factor,
            // One half to read, one to write.
            buffer_bytes: self.io_buffer_bytes / threads / 2,
        }
    }
}

/// Where threads learn that it is now `ms` since 1970.
type Clock = dyn Fn() -> i64 + Send + Sync;

struct Shared {
    logs: Arc<LogManager>,
    clock: Box<Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    settings: CleanerSettings,
    /// Grows whenever a thread should look again.
    looks: u64,
    stopping: bool,
    spent: Ledger,
}

/// The running threads; dropped or stopped, they end between two batches.
pub struct CleanerThreads {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl CleanerThreads {
    /// Starts `settings.threads` threads.
    ///
    /// # Errors
    /// The system grants no more threads.
    pub fn start(
        logs: Arc<LogManager>,
        settings: CleanerSettings,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> io::Result<CleanerThreads> {
        let state = State {
            settings,
            looks: 0,
            stopping: false,
            spent: Ledger::new(),
        };
        let cleaner = CleanerThreads {
            shared: Arc::new(Shared {
                logs,
                clock: Box::new(clock),
                state: Mutex::new(state),
                changed: Condvar::new(),
            }),
            threads: Mutex::new(Vec::new()),
        };
        cleaner.match_count()?;
        Ok(cleaner)
    }

    /// Takes over changed settings at once.
    ///
    /// # Errors
    /// The system grants no more threads; those that run go on.
    pub fn apply(&self, settings: CleanerSettings) -> io::Result<()> {
        self.shared.state.lock().settings = settings;
        self.wake();
        self.match_count()
    }

    /// Looks for work now: settings of topics have changed.
    pub fn wake(&self) {
        self.shared.state.lock().looks += 1;
        self.shared.changed.notify_all();
    }

    /// Ends the threads, in the middle of a log if need be, and waits for them.
    pub fn stop(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.changed.notify_all();
        for thread in self.threads.lock().drain(..) {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }

    /// Starts the threads that are missing; those that are too many end by themselves.
    fn match_count(&self) -> io::Result<()> {
        let wanted = self.shared.state.lock().settings.threads;
        let mut threads = self.threads.lock();
        while threads.len() > wanted {
            if let Some(thread) = threads.pop() {
                let _ = thread.join();
            }
        }
        for number in threads.len()..wanted {
            let shared = Arc::clone(&self.shared);
            let thread = std::thread::Builder::new().name(format!("moldau-cleaner-{number}"));
            threads.push(thread.spawn(move || run(&shared, number))?);
        }
        Ok(())
    }
}

impl Drop for CleanerThreads {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: &Shared, number: usize) {
    loop {
        let (limits, looks) = {
            let state = shared.state.lock();
            if state.is_over(number) {
                return;
            }
            (state.settings.limits(), state.looks)
        };
        let now_ms = (shared.clock)();
        if shared
            .logs
            .clean_filthiest(limits, &mut Shift { shared, number }, now_ms)
            .is_none()
        {
            let mut state = shared.state.lock();
            let until = Instant::now() + Duration::from_millis(state.settings.backoff_ms);
            while state.looks == looks && !state.is_over(number) {
                if shared.changed.wait_until(&mut state, until).timed_out() {
                    break;
                }
            }
        }
    }
}

impl State {
    fn is_over(&self, number: usize) -> bool {
        self.stopping || number >= self.settings.threads
    }
}

/// One thread's share of the common speed.
struct Shift<'a> {
    shared: &'a Shared,
    number: usize,
}

impl Pace for Shift<'_> {
    fn spent(&mut self, bytes: u64) -> bool {
        let mut state = self.shared.state.lock();
        let limit = state.settings.io_max_bytes_per_second;
        state.spent.spend(bytes, limit);
        while !state.is_over(self.number) {
            let Some(wait) = state.spent.wait() else {
                return true;
            };
            self.shared.changed.wait_for(&mut state, wait);
        }
        false
    }
}
