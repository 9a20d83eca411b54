//! Starts and stops everything: threads, listeners, connections.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use moldau_log::{AppendContext, AppendInfo, LogManager, Offset, TopicPartition};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use crate::config::{Advertised, Listener, ServerConfig};
use crate::connection::{Connection, Origin};
use crate::control::ControlPlane;
use crate::counters::add;
use crate::error_code::ErrorCode;
use crate::exposition::{self, Exposition, Family, GroupOffsets};
use crate::fault::Faults;
use crate::image::ImageDelta;
use crate::leases::Leases;
use crate::node::Node;
use crate::partition::AppendFailure;
use crate::quotas::Principal;
use crate::registry::Registry;

const BACKLOG: u32 = 1024;
/// How long to wait after a failed accept: it fails when descriptors have run out, and only time brings them back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often a shutdown looks whether the last request has ended.
const SHUTDOWN_STEP: Duration = Duration::from_millis(2);
/// How much later than promised an idle connection may be closed.
const REAP_STEP_MAX_MS: u64 = 10_000;

/// Why a server did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address cannot be bound.
    #[error("cannot listen on {host}:{port} (listener {listener}): {source}")]
    Bind {
        /// Name of the listener.
        listener: String,
        /// Its host.
        host: String,
        /// Its port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The threads cannot be started.
    #[error("cannot start the threads that serve sockets: {0}")]
    Runtime(io::Error),
}

/// A running server. Dropping it ends it without grace.
pub struct Server {
    node: Arc<Node>,
    registry: Arc<Registry>,
    addresses: Vec<SocketAddr>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
    runtime: Mutex<Option<Runtime>>,
}

impl Server {
    /// Take over the cluster image, bind every listener, and begin to serve. On error nothing is left bound.
    pub fn start(
        config: ServerConfig,
        logs: Arc<LogManager>,
        control: Arc<dyn ControlPlane>,
        leases: Arc<Leases>,
        image: Vec<ImageDelta>,
    ) -> Result<Server, StartError> {
        let mut builder = Builder::new_multi_thread();
        if config.worker_threads > 0 {
            builder.worker_threads(config.worker_threads);
        }
        let runtime = builder
            .thread_name("moldau-server")
            .enable_all()
            .build()
            .map_err(StartError::Runtime)?;
        let mut bound = Vec::with_capacity(config.listeners.len());
        for listener in &config.listeners {
            let socket = runtime
                .block_on(bind(listener, &config))
                .map_err(|source| StartError::Bind {
                    listener: listener.name.clone(),
                    host: listener.host.clone(),
                    port: listener.port,
                    source,
                })?;
            bound.push((listener.clone(), socket));
        }
        let addresses = bound
            .iter()
            .filter_map(|(_, socket)| socket.local_addr().ok())
            .collect();
        let node = Arc::new(Node::new(config, logs, control, leases));
        image.into_iter().for_each(|delta| node.apply(delta));
        let registry = Arc::new(Registry::default());
        let mut tasks = Vec::new();
        for (listener, socket) in bound {
            tasks.push(runtime.spawn(accept_all(node.clone(), registry.clone(), listener, socket)));
        }
        tasks.push(runtime.spawn(reap_idle(node.clone(), registry.clone())));
        Ok(Server {
            node,
            registry,
            addresses,
            tasks: Mutex::new(tasks),
            runtime: Mutex::new(Some(runtime)),
        })
    }

    /// Where each listener really listens, in the order of the configuration.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Take over one step of the cluster image.
    pub fn apply(&self, delta: ImageDelta) {
        self.node.apply(delta);
    }

    /// Append a batch of this node's own, as the leader and with the promise of acks=all: it is refused while too few
    /// replicas are in sync, and committed when [`Server::on_committed`] says so.
    pub fn append_internal(
        &self,
        topic_partition: &TopicPartition,
        batch: BytesMut,
        context: impl Into<AppendContext>,
        now_ms: i64,
    ) -> Result<AppendInfo, AppendFailure> {
        let partition = self
            .node
            .replicas
            .partition(topic_partition)
            .map_err(|code| AppendFailure::Unavailable(code, format!("{topic_partition} is not served here")))?;
        partition.append(batch, true, context.into(), now_ms)
    }

    /// Have [`ControlPlane::committed`] called with `token` once the high watermark is above `offset`; at once, on
    /// this thread, if it is already.
    pub fn on_committed(&self, topic_partition: &TopicPartition, offset: Offset, token: u64) -> Result<(), ErrorCode> {
        self.node
            .replicas
            .partition(topic_partition)?
            .on_committed(offset, token);
        Ok(())
    }

    /// Move the log start of a partition up to `offset`, -1 for the high watermark. Returns the new log start.
    pub fn delete_records(&self, topic_partition: &TopicPartition, offset: i64) -> Result<Offset, ErrorCode> {
        self.node
            .replicas
            .partition(topic_partition)?
            .delete_records_before(offset)
    }

    /// Whether anybody is limited in time, so that the control plane must say how long it works for whom.
    pub fn limits_requests(&self) -> bool {
        self.node.quotas.limits_requests()
    }

    /// The control plane worked so long for this client. How many milliseconds the client has to wait.
    pub fn charge_time(&self, client_id: Option<&str>, busy: Duration) -> u64 {
        let who = Principal::anonymous(client_id);
        self.node.quotas.worked(who, busy, self.node.uptime_ms())
    }

    /// Whether anybody is limited in changes of topics.
    pub fn limits_mutations(&self) -> bool {
        self.node.quotas.limits_mutations()
    }

    /// This client wants to create or delete so many partitions. How many milliseconds it has to wait: afterwards, or,
    /// if `strict`, before it may.
    pub fn charge_mutations(&self, client_id: Option<&str>, partitions: u32, strict: bool) -> u64 {
        let who = Principal::anonymous(client_id);
        self.node.quotas.mutated(who, partitions, strict, self.node.uptime_ms())
    }

    /// What was counted since the start, by name.
    pub fn counters(&self) -> HashMap<String, u64> {
        let mut counts = self.node.counters.snapshot();
        counts.insert("connections_open".to_owned(), self.registry.open_count() as u64);
        counts
    }

    /// How long requests took, by API: see [`crate::TIME_BOUNDS_US`].
    pub fn request_times(&self) -> Vec<(i16, Vec<u64>, u64)> {
        self.node.counters.request_times()
    }

    /// Everything about partitions, topics and committed offsets in Prometheus' text format, at most `limit` partitions
    /// and as many committed offsets.
    pub fn render_metrics(&self, families: &[Family], groups: &[GroupOffsets], limit: usize) -> Exposition {
        exposition::render(&self.node, families, groups, limit)
    }

    /// The faults that tests ask for.
    pub fn faults(&self) -> &Faults {
        &self.node.faults
    }

    /// Stop accepting, let running requests end for at most `grace`, then end everything. Idempotent.
    pub fn shutdown(&self, grace: Duration) {
        let Some(runtime) = self.runtime.lock().take() else {
            return;
        };
        self.registry.begin_shutdown();
        self.tasks.lock().drain(..).for_each(|task| task.abort());
        let mut waited = Duration::ZERO;
        while self.registry.open_count() > 0 && waited < grace {
            self.registry.end_connections(false);
            std::thread::sleep(SHUTDOWN_STEP);
            waited += SHUTDOWN_STEP;
        }
        self.registry.end_connections(true);
        runtime.shutdown_timeout(Duration::from_secs(1));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

async fn bind(listener: &Listener, config: &ServerConfig) -> io::Result<TcpListener> {
    let host = if listener.host.is_empty() {
        "0.0.0.0"
    } else {
        &listener.host
    };
    let mut last_error = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in lookup_host((host, listener.port)).await? {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        socket.set_reuseaddr(true)?;
        // Connections inherit these, so that a window is right from the first packet on.
        socket.set_keepalive(true)?;
        if let Ok(size) = u32::try_from(config.socket_send_buffer_bytes) {
            socket.set_send_buffer_size(size)?;
        }
        if let Ok(size) = u32::try_from(config.socket_receive_buffer_bytes) {
            socket.set_recv_buffer_size(size)?;
        }
        match socket.bind(address).and_then(|()| socket.listen(BACKLOG)) {
            Ok(bound) => return Ok(bound),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

/// End a socket for everybody who holds it; closing it would leave it alive in a process that was forked from this one.
pub(crate) fn shut_down(socket: &impl AsRawFd) {
    // SAFETY: the descriptor is that of a live socket. It may have no peer any more, which does not matter here.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// A socket that listens until it is dropped.
struct Listening(TcpListener);

impl Drop for Listening {
    fn drop(&mut self) {
        shut_down(&self.0);
    }
}

async fn accept_all(node: Arc<Node>, registry: Arc<Registry>, listener: Listener, socket: TcpListener) {
    let socket = Listening(socket);
    let name: Arc<str> = listener.name.as_str().into();
    loop {
        registry.wait_for_room(node.config.max_connections).await;
        match socket.0.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = admit(&node, &registry, &name, &listener.advertised, stream, peer) {
                    tracing::debug!(%peer, %error, "a connection broke before it began");
                }
            }
            Err(error) => {
                tracing::warn!(listener = %name, %error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(
    node: &Arc<Node>,
    registry: &Arc<Registry>,
    listener: &Arc<str>,
    advertised: &Advertised,
    stream: TcpStream,
    peer: SocketAddr,
) -> io::Result<()> {
    let throttle_ms = node.quotas.connected(peer.ip(), node.uptime_ms());
    if throttle_ms > 0 {
        add(&node.counters.connections_refused, 1);
        tokio::spawn(refuse_later(stream, Duration::from_millis(throttle_ms)));
        return Ok(());
    }
    stream.set_nodelay(true)?;
    let advertised = match advertised {
        Advertised::Fixed { host, port } => (Arc::from(host.as_str()), *port),
        Advertised::AsReached => {
            let reached = stream.local_addr()?;
            (Arc::from(reached.ip().to_canonical().to_string()), reached.port())
        }
    };
    let id = node.next_connection_id();
    let Some(activity) = registry.admit(id, peer.ip(), node.config.max_connections_per_ip) else {
        add(&node.counters.connections_refused, 1);
        tracing::info!(%peer, "refusing a connection: its address has max.connections.per.ip of them");
        return Ok(());
    };
    add(&node.counters.connections_accepted, 1);
    let origin = Origin {
        listener: listener.clone(),
        peer,
        advertised,
    };
    let connection = Connection::new(node.clone(), registry.clone(), activity.clone(), id, origin, stream);
    let task = tokio::spawn(connection.run());
    activity.set_task(task.abort_handle());
    Ok(())
}

/// Close a connection that came too soon after others of its address, but not at once: its client would be back too soon
/// again (KIP-612).
async fn refuse_later(stream: TcpStream, wait: Duration) {
    tokio::time::sleep(wait).await;
    drop(stream);
}

async fn reap_idle(node: Arc<Node>, registry: Arc<Registry>) {
    let Ok(idle_max_ms) = u64::try_from(node.config.connections_max_idle_ms) else {
        return;
    };
    let step = Duration::from_millis((idle_max_ms / 4).clamp(1, REAP_STEP_MAX_MS));
    loop {
        tokio::time::sleep(step).await;
        let reaped = registry.reap(node.uptime_ms().saturating_sub(idle_max_ms));
        if reaped > 0 {
            add(&node.counters.connections_reaped, reaped as u64);
            tracing::debug!(reaped, "closed idle connections");
        }
    }
}
