//! Sockets, framing, and the requests that never take the GIL.
//!
//! A connection is one task: it reads a frame, handles it and writes the answer before it looks at the next, so
//! answers leave in the order of the requests, and a slow reader holds nobody but itself. Six APIs are answered here
//! (Produce, Fetch, ListOffsets, Metadata, ApiVersions, OffsetForLeaderEpoch) from the logs of `moldau-log` and from a
//! cluster image that the control plane pushes; every other request goes through the one trait [`ControlPlane`], but
//! for heartbeats of members that hold one of its [`Leases`].
//!
//! `docs/internals/server.md` follows one produce request through this crate.

mod access;
pub mod config;
mod connection;
mod control;
mod counters;
mod error_code;
mod exposition;
mod fault;
mod fetch_session;
mod handlers;
mod image;
mod input;
mod leases;
mod node;
mod output;
mod partition;
mod purgatory;
mod quotas;
mod registry;
mod replica_manager;
mod server;
pub mod wire;

pub use access::{AccessRule, AccessTable, Operation, Operations, ResourceKind};
pub use config::{Advertised, ApiRange, FinalizedFeature, Listener, ServerConfig, SupportedFeature};
pub use control::{ClientSoftware, ConnectionId, ControlPlane, ControlRequest, Reply};
pub use counters::TIME_BOUNDS_US;
pub use error_code::ErrorCode;
pub use exposition::{Exposition, Family, GroupOffsets, Measure};
pub use fault::{FaultKind, Faults};
pub use image::{BrokerEndpoint, BrokerImage, ImageDelta, PartitionImage, TopicImage};
pub use leases::{ConsumerLease, Lease, Leases};
pub use partition::AppendFailure;
pub use quotas::{ClientQuota, QuotaImage, QuotaKind, QuotaName, QuotaWindows};
pub use server::{Server, StartError};
