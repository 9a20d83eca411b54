//! The thread that moves partitions between directories, one after the other, no faster than it is allowed to.

use crate::cleaner::{Ledger, Pace};
use crate::manager::LogManager;
use parking_lot::{Condvar, Mutex};
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

/// Where the thread learns that it is now `ms` since 1970.
type Clock = dyn Fn() -> i64 + Send + Sync;

struct Shared {
    logs: Arc<LogManager>,
    clock: Box<Clock>,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    bytes_per_second: f64,
    /// Somebody has asked for a move since the thread looked.
    asked: bool,
    stopping: bool,
    spent: Ledger,
}

/// The running thread; dropped or stopped, it ends between two blocks. What is half copied is begun anew by the next start.
pub struct Mover {
    shared: Arc<Shared>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Mover {
    /// Starts the thread, which looks for moves at once.
    ///
    /// # Errors
    /// The system grants no more threads.
    pub fn start(
        logs: Arc<LogManager>,
        bytes_per_second: f64,
        clock: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> io::Result<Mover> {
        let state = State {
            bytes_per_second,
            asked: true,
            stopping: false,
            spent: Ledger::new(),
        };
        let shared = Arc::new(Shared {
            logs,
            clock: Box::new(clock),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let working = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("moldau-mover".to_owned());
        let thread = thread.spawn(move || run(&working))?;
        Ok(Mover {
            shared,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// No faster than this from now on.
    pub fn limit(&self, bytes_per_second: f64) {
        self.shared.state.lock().bytes_per_second = bytes_per_second;
        self.shared.changed.notify_all();
    }

    /// A move was asked for.
    pub fn wake(&self) {
        self.shared.state.lock().asked = true;
        self.shared.changed.notify_all();
    }

    /// Ends the thread and waits for it.
    pub fn stop(&self) {
        self.shared.state.lock().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.lock().take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.stop();
    }
}

fn run(shared: &Shared) {
    loop {
        {
            let mut state = shared.state.lock();
            while !state.asked && !state.stopping {
                shared.changed.wait(&mut state);
            }
            if state.stopping {
                return;
            }
            state.asked = false;
        }
        while !shared.state.lock().stopping {
            if shared.logs.move_next(&mut Allowed(shared), (shared.clock)()).is_none() {
                break;
            }
        }
    }
}

struct Allowed<'a>(&'a Shared);

impl Pace for Allowed<'_> {
    fn spent(&mut self, bytes: u64) -> bool {
        let mut state = self.0.state.lock();
        let limit = state.bytes_per_second;
        state.spent.spend(bytes, limit);
        while !state.stopping {
            let Some(wait) = state.spent.wait() else {
                return true;
            };
            self.0.changed.wait_for(&mut state, wait);
        }
        false
    }
}
