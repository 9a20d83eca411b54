//! What a server must be told before it starts.
//!
//! Plain values, no defaults: `moldau.config` on the Python side is where a setting has its default, its range and
//! its documentation. A field is named after the Kafka setting it carries.

use crate::quotas::QuotaWindows;

/// Everything that the listeners and the hot requests need to know.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `node.id`: who this node is in the cluster image.
    pub node_id: i32,
    /// The id that Metadata answers with.
    pub cluster_id: String,
    /// Where to listen, and what to tell clients about it.
    pub listeners: Vec<Listener>,
    /// `socket.request.max.bytes`: a frame that claims more costs its sender the connection.
    pub max_request_bytes: usize,
    /// `connections.max.idle.ms`; -1 keeps idle connections for ever.
    pub connections_max_idle_ms: i64,
    /// `max.connections`: past it nobody is accepted until somebody leaves.
    pub max_connections: usize,
    /// `max.connections.per.ip`: past it a new connection is closed at once.
    pub max_connections_per_ip: usize,
    /// Threads that serve sockets; 0 takes one per core.
    pub worker_threads: usize,
    /// `fetch.max.bytes` of the broker: the most that one Fetch answer carries, first batch aside.
    pub fetch_max_bytes: usize,
    /// `max.incremental.fetch.session.cache.slots`.
    pub max_incremental_fetch_sessions: usize,
    /// `auto.create.topics.enable`.
    pub auto_create_topics: bool,
    /// `quota.window.num` and `quota.window.size.seconds`.
    pub quota_windows: QuotaWindows,
    /// `controller.quota.window.num` and `controller.quota.window.size.seconds`.
    pub mutation_windows: QuotaWindows,
    /// `transaction.partition.verification.enable`.
    pub verify_transactions: bool,
    /// `add.partitions.to.txn.retry.backoff.ms`: the pause before the coordinator is asked again while it still ends
    /// the transaction before.
    pub verification_backoff_ms: u64,
    /// `add.partitions.to.txn.retry.backoff.max.ms`: how long it is asked again before the producer is.
    pub verification_backoff_max_ms: u64,
    /// `socket.send.buffer.bytes`; -1 leaves it to the system.
    pub socket_send_buffer_bytes: i32,
    /// `socket.receive.buffer.bytes`; -1 leaves it to the system.
    pub socket_receive_buffer_bytes: i32,
    /// The table that ApiVersions answers with.
    pub apis: Vec<ApiRange>,
    /// Features that this node supports, in the order to be told.
    pub supported_features: Vec<SupportedFeature>,
    /// Features with a finalized level.
    pub finalized_features: Vec<FinalizedFeature>,
    /// The metadata offset at which the finalized features were last changed; -1 when unknown.
    pub finalized_features_epoch: i64,
}

/// One listener.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name, `PLAINTEXT` for instance.
    pub name: String,
    /// The host or address to bind.
    pub host: String,
    /// The port to bind; 0 lets the system choose.
    pub port: u16,
    /// What clients of this listener are told.
    pub advertised: Advertised,
}

/// The address that clients of a listener are told to come back to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Advertised {
    /// `advertised.listeners` says so.
    Fixed {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
    },
    /// The address through which the client reached us: right for every client without a setting, as long as nothing
    /// translates addresses on the way.
    AsReached,
}

/// One row of the compatibility table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApiRange {
    /// API key.
    pub key: i16,
    /// Lowest version that is advertised.
    pub min: i16,
    /// Highest version that is advertised and served.
    pub max: i16,
    /// First version with a flexible header; [`ApiRange::NEVER_FLEXIBLE`] when there is none.
    pub flexible_since: i16,
    /// Answered in Rust.
    pub hot: bool,
}

impl ApiRange {
    /// `flexible_since` of an API without flexible versions.
    pub const NEVER_FLEXIBLE: i16 = i16::MAX;

    /// Lowest version that is served. Produce advertises 0 because old librdkafka insists (KAFKA-18659), and serves 3.
    pub(crate) fn lowest_served(&self) -> i16 {
        if self.key == 0 { self.min.max(3) } else { self.min }
    }
}

/// A feature that this node supports (KIP-584).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SupportedFeature {
    /// Its name, `group.version` for instance.
    pub name: String,
    /// Lowest level.
    pub min: i16,
    /// Highest level.
    pub max: i16,
}

/// A feature with a finalized level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalizedFeature {
    /// Its name.
    pub name: String,
    /// The cluster-wide level.
    pub level: i16,
}
