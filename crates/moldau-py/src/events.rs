//! Where the server's threads leave what asyncio has to know: requests, committed tokens, closed connections.
//!
//! The threads of the server never take the GIL. They push to a queue and, if nobody was woken yet, write one byte to
//! a socket pair whose other end the event loop watches. The loop drains in batches, so a thousand waiting requests
//! cost it one wake-up.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

use moldau_server::{ConnectionId, ControlPlane, ControlRequest};
use parking_lot::Mutex;

#[derive(Default)]
struct Waiting {
    requests: VecDeque<ControlRequest>,
    committed: Vec<u64>,
    closed: Vec<u64>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.requests.is_empty() && self.committed.is_empty() && self.closed.is_empty()
    }
}

/// The queue between the server and the event loop.
pub struct Events {
    waiting: Mutex<Waiting>,
    /// A byte is on its way to the loop, or the loop has not read it yet.
    woken: AtomicBool,
    sender: UnixStream,
    receiver: UnixStream,
}

impl Events {
    /// An empty queue.
    pub fn new() -> io::Result<Events> {
        let (sender, receiver) = UnixStream::pair()?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        Ok(Events {
            waiting: Mutex::default(),
            woken: AtomicBool::new(false),
            sender,
            receiver,
        })
    }

    /// Readable while there is something to take.
    pub fn wake_fd(&self) -> RawFd {
        self.receiver.as_raw_fd()
    }

    /// Take up to `limit` requests, oldest first. What is left keeps the descriptor readable.
    pub fn take_requests(&self, limit: usize) -> Vec<ControlRequest> {
        self.clear_wake();
        let mut waiting = self.waiting.lock();
        let count = limit.min(waiting.requests.len());
        let taken = waiting.requests.drain(..count).collect();
        let more = !waiting.is_empty();
        drop(waiting);
        if more {
            self.wake();
        }
        taken
    }

    /// Take the tokens of committed records.
    pub fn take_committed(&self) -> Vec<u64> {
        std::mem::take(&mut self.waiting.lock().committed)
    }

    /// Take the ids of closed connections.
    pub fn take_closed(&self) -> Vec<u64> {
        std::mem::take(&mut self.waiting.lock().closed)
    }

    /// Drop every waiting request; their connections close.
    pub fn clear(&self) {
        let requests = std::mem::take(&mut self.waiting.lock().requests);
        drop(requests);
    }

    fn push(&self, put: impl FnOnce(&mut Waiting)) {
        put(&mut self.waiting.lock());
        self.wake();
    }

    /// Make the descriptor readable.
    pub fn wake(&self) {
        if !self.woken.swap(true, Ordering::SeqCst) {
            // A full pipe is readable already; any other failure means that the loop is gone.
            let _ = (&self.sender).write(&[1]);
        }
    }

    fn clear_wake(&self) {
        // The bytes first, then the flag. The other way round a push in between would have its byte read away while
        // the flag says that it is on its way, and nobody would be woken again. A push before the flag is cleared is
        // seen by the caller, who looks into the queue next; one after it writes a byte.
        let mut bytes = [0; 64];
        while matches!((&self.receiver).read(&mut bytes), Ok(count) if count == bytes.len()) {}
        self.woken.store(false, Ordering::SeqCst);
    }
}

impl ControlPlane for Events {
    fn submit(&self, request: ControlRequest) {
        self.push(|waiting| waiting.requests.push_back(request));
    }

    fn connection_closed(&self, connection: ConnectionId) {
        self.push(|waiting| waiting.closed.push(connection.0));
    }

    fn committed(&self, token: u64) {
        self.push(|waiting| waiting.committed.push(token));
    }
}
