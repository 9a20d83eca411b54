//! The seam to everything that is not hot: one trait that takes requests, one reply that must be ended.
//!
//! The server parses the header of a request and hands the body over as it came. What comes back is a body too; size
//! and response header are the server's. A reply that is dropped unanswered closes its connection: the client sees a
//! broken connection and tries again, it never hangs.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::error_code::ErrorCode;

/// Names a connection for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(pub u64);

/// Answers the requests that the server does not answer itself. No method may block, or call back into the server:
/// they run on the threads that serve sockets, `committed` while a partition is held.
pub trait ControlPlane: Send + Sync + 'static {
    /// Take a request; end its [`Reply`] now or later.
    fn submit(&self, request: ControlRequest);
    /// A connection that had sent at least one request to [`ControlPlane::submit`] is gone.
    fn connection_closed(&self, connection: ConnectionId);
    /// What [`crate::Server::on_committed`] was asked to watch is committed.
    fn committed(&self, token: u64);
}

/// One request for the control plane.
#[derive(Debug)]
pub struct ControlRequest {
    /// The connection it came by.
    pub connection_id: ConnectionId,
    /// The name of the listener it came by.
    pub listener: Arc<str>,
    /// The user of the connection, type and name; `None` for a question of this node itself.
    pub principal: Option<Arc<str>>,
    /// Who asks.
    pub peer: SocketAddr,
    /// Host and port by which this client should be told to reach this node.
    pub advertised: (Arc<str>, u16),
    /// API key.
    pub api_key: i16,
    /// API version; within the range of the table.
    pub api_version: i16,
    /// Of the request header.
    pub correlation_id: i32,
    /// Of the request header.
    pub client_id: Option<String>,
    /// From this connection's ApiVersions request.
    pub software: Option<ClientSoftware>,
    /// It is to be refused with this error, because a test asked for it ([`crate::Faults`]).
    pub refusal: Option<ErrorCode>,
    /// What follows the request header.
    pub body: Bytes,
    /// Where the answer goes.
    pub reply: Reply,
}

/// What a client says it is (KIP-511).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSoftware {
    /// `client_software_name`.
    pub name: Arc<str>,
    /// `client_software_version`.
    pub version: Arc<str>,
}

/// How a control request ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The body, and for how many milliseconds the client is not listened to afterwards.
    Body(Bytes, u32),
    ServeHot,
    Close,
}

/// The one way to answer a [`ControlRequest`].
#[derive(Debug)]
pub struct Reply {
    sender: oneshot::Sender<Outcome>,
}

impl Reply {
    pub(crate) fn channel() -> (Reply, oneshot::Receiver<Outcome>) {
        let (sender, receiver) = oneshot::channel();
        (Reply { sender }, receiver)
    }

    /// Send `body`; the server writes the size and the response header before it.
    pub fn send(self, body: Bytes) {
        self.send_and_mute(body, 0);
    }

    /// Send `body`, in which the client reads that it has used up a quota, and do not listen to it for `throttle_ms`.
    pub fn send_and_mute(self, body: Bytes, throttle_ms: u32) {
        self.end(Outcome::Body(body, throttle_ms));
    }

    /// Close the connection without an answer.
    pub fn close(self) {
        self.end(Outcome::Close);
    }

    /// Let the Rust handler of this key answer from the cluster image as it is now, creating nothing.
    pub fn serve_hot(self) {
        self.end(Outcome::ServeHot);
    }

    fn end(self, outcome: Outcome) {
        // The receiver is gone when the client is: nobody is left to tell.
        let _ = self.sender.send(outcome);
    }
}
