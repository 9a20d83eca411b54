//! The bytes of the six hot APIs, of the heartbeats that are answered under a lease, and of the one question to the
//! control plane, by hand.
//!
//! Requests are decoded from the frame without a copy: strings borrow from it, record batches are ranges of it.
//! Responses are encoded straight into the connection's output. Two rules hold everywhere: a length is compared with
//! the bytes that are really there before anything is allocated for it, and a decoder returns an error, it never
//! panics. General-purpose codecs give neither: they reserve what the wire claims, and they copy.
//!
//! Field order and versions follow Kafka's message schemas. The tests in `tests/wire_*.rs` compare every version with
//! the `kafka-protocol` crate, which is generated from those schemas.

pub mod add_partitions_to_txn;
pub mod api_versions;
pub mod consumer_group_heartbeat;
pub mod fetch;
pub mod header;
pub mod heartbeat;
pub mod list_offsets;
pub mod metadata;
pub mod offset_for_leader_epoch;
pub mod produce;
mod reader;
mod writer;

pub use reader::{DecodeError, Reader};
pub use writer::Writer;

/// API keys of the requests that are answered in Rust.
pub mod api_key {
    #![allow(missing_docs)]
    pub const PRODUCE: i16 = 0;
    pub const FETCH: i16 = 1;
    pub const LIST_OFFSETS: i16 = 2;
    pub const METADATA: i16 = 3;
    /// Only under a lease: see [`crate::Leases`].
    pub const HEARTBEAT: i16 = 12;
    pub const API_VERSIONS: i16 = 18;
    pub const OFFSET_FOR_LEADER_EPOCH: i16 = 23;
    /// Only under a lease.
    pub const CONSUMER_GROUP_HEARTBEAT: i16 = 68;
    /// Not answered in Rust, but asked from there.
    pub const ADD_PARTITIONS_TO_TXN: i16 = 24;
}

/// Where a node is reached; told beside NOT_LEADER_OR_FOLLOWER so that a client needs no metadata request (KIP-951).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Node id.
    pub node_id: i32,
    /// Host name or address.
    pub host: std::sync::Arc<str>,
    /// Port.
    pub port: u16,
    /// `broker.rack` of that node.
    pub rack: Option<std::sync::Arc<str>>,
}

impl NodeEndpoint {
    pub(crate) fn encode_all(endpoints: &[NodeEndpoint], writer: &mut Writer<'_>) {
        writer.array_length(endpoints.len());
        for endpoint in endpoints {
            writer.i32(endpoint.node_id);
            writer.string(&endpoint.host);
            writer.i32(i32::from(endpoint.port));
            writer.nullable_string(endpoint.rack.as_deref());
            writer.no_tags();
        }
    }
}

/// Who leads a partition, in tagged fields of produce and fetch answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaderIdAndEpoch {
    /// Node id of the leader, -1 when unknown.
    pub leader_id: i32,
    /// Its epoch, -1 when unknown.
    pub leader_epoch: i32,
}
