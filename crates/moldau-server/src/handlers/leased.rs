//! Heartbeats of members that hold a lease ([`crate::Leases`]): answered here when nothing has changed.

use std::net::IpAddr;

use crate::access::{Operation, ResourceKind};
use crate::node::{ClientContext, Node};
use crate::wire::consumer_group_heartbeat::{self, ConsumerGroupHeartbeatRequest};
use crate::wire::heartbeat::{self, HeartbeatRequest};
use crate::wire::{Writer, api_key};

/// What to say to a member for whom nothing has changed.
pub(crate) enum Unchanged<'a> {
    Classic,
    Consumer {
        member_id: &'a str,
        member_epoch: i32,
        heartbeat_interval_ms: i32,
    },
}

/// The answer to a request of `key` and `version`; `None` for what the control plane has to see.
pub(crate) fn look<'a>(
    node: &Node,
    (key, version): (i16, i16),
    body: &'a [u8],
    client: &ClientContext<'_>,
    peer: IpAddr,
) -> Option<Unchanged<'a>> {
    // A client that may no longer read the group is for the control plane, which says so and logs it; and so is what
    // cannot be read: it closes the connection.
    let may_read = |group_id| client.operations(ResourceKind::Group, group_id).allow(Operation::Read);
    match key {
        api_key::HEARTBEAT => {
            let request = HeartbeatRequest::decode(body, version).ok()?;
            let covered = may_read(request.group_id) && node.leases.covers(&request);
            covered.then_some(Unchanged::Classic)
        }
        api_key::CONSUMER_GROUP_HEARTBEAT => {
            let request = ConsumerGroupHeartbeatRequest::decode(body, version).ok()?;
            may_read(request.group_id).then_some(())?;
            let host = format!("/{}", peer.to_canonical());
            let interval_ms = node
                .leases
                .covers_consumer(&request, client.client_id.unwrap_or_default(), &host)?;
            Some(Unchanged::Consumer {
                member_id: request.member_id,
                member_epoch: request.member_epoch,
                heartbeat_interval_ms: interval_ms,
            })
        }
        _ => None,
    }
}

impl Unchanged<'_> {
    pub(crate) fn encode(&self, version: i16, writer: &mut Writer<'_>) {
        match *self {
            Unchanged::Classic => heartbeat::encode_unchanged(version, writer),
            Unchanged::Consumer {
                member_id,
                member_epoch,
                heartbeat_interval_ms,
            } => consumer_group_heartbeat::encode_unchanged(member_id, member_epoch, heartbeat_interval_ms, writer),
        }
    }
}
