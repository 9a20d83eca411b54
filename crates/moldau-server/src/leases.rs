//! Leases: what a group's coordinator has answered a member last, and lets this server answer in its place.
//!
//! The control plane decides about groups. Most of what it is asked is a heartbeat of a member for whom nothing has
//! changed, and to say so takes no decision. So it *grants* a lease: as long as it holds, a heartbeat that brings
//! nothing new is answered here, and the time at which the member was seen is kept. Before the coordinator changes a
//! group it *ends* the group's leases, which tells it when each member was last seen. After `end` has returned no answer
//! is given under what it has ended; `docs/internals/decisions/0004-leases-for-heartbeats.md` has the proof.
//!
//! A lease is never needed: whatever it does not cover goes to the control plane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::RwLock;

use crate::wire::consumer_group_heartbeat::ConsumerGroupHeartbeatRequest;
use crate::wire::heartbeat::HeartbeatRequest;

const NEVER: i64 = -1;

/// What a member may be told without asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Name of a static member (KIP-345).
    pub instance_id: Option<String>,
    /// The generation of a classic group, the epoch of a member of the consumer protocol.
    pub epoch: i32,
    /// For a member of the consumer protocol (KIP-848).
    pub consumer: Option<ConsumerLease>,
}

/// What a member of the consumer protocol must not have changed, and what it is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerLease {
    /// Client id of its last request, empty for none.
    pub client_id: String,
    /// Where it came from, as groups describe it: `/127.0.0.1`.
    pub client_host: String,
    /// When it shall come again.
    pub heartbeat_interval_ms: i32,
}

#[derive(Debug)]
struct Held {
    lease: Lease,
    /// [`Leases::cluster`] when it was granted.
    cluster: u64,
    seen_ms: AtomicI64,
}

impl Held {
    fn is_for(&self, epoch: i32, instance_id: Option<&str>) -> bool {
        // Who does not say its instance id is known by its member id, as in the coordinator.
        epoch == self.lease.epoch && (instance_id.is_none() || instance_id == self.lease.instance_id.as_deref())
    }
}

type Members = HashMap<String, Held>;

/// Every lease of a node.
#[derive(Debug)]
pub struct Leases {
    groups: RwLock<HashMap<String, Members>>,
    /// Goes up with each change of the cluster that a consumer group may have to notice.
    cluster: AtomicU64,
    started: Instant,
}

impl Default for Leases {
    fn default() -> Self {
        Leases {
            groups: RwLock::default(),
            cluster: AtomicU64::new(0),
            started: Instant::now(),
        }
    }
}

impl Leases {
    /// From now on heartbeats of this member that match `lease` are answered here.
    pub fn grant(&self, group_id: &str, member_id: &str, lease: Lease) {
        let mut held = Held {
            lease,
            cluster: self.cluster.load(Ordering::Acquire),
            seen_ms: AtomicI64::new(NEVER),
        };
        let mut groups = self.groups.write();
        let members = groups.entry(group_id.to_owned()).or_default();
        if let Some(before) = members.get(member_id) {
            // Nobody has been told yet when it was seen under the lease that this one replaces.
            held.seen_ms = AtomicI64::new(before.seen_ms.load(Ordering::Relaxed));
        }
        members.insert(member_id.to_owned(), held);
    }

    /// End the lease of a member, or of all members of a group. Of each that was seen under it: how many milliseconds
    /// ago that was.
    pub fn end(&self, group_id: &str, member_id: Option<&str>) -> Vec<(String, i64)> {
        let ended: Members = {
            let mut groups = self.groups.write();
            match (member_id, groups.get_mut(group_id)) {
                (_, None) => return Vec::new(),
                (Some(member_id), Some(members)) if members.len() > 1 => {
                    members.remove_entry(member_id).into_iter().collect()
                }
                (Some(member_id), Some(members)) if !members.contains_key(member_id) => return Vec::new(),
                _ => groups.remove(group_id).unwrap_or_default(),
            }
        };
        let now_ms = self.now_ms();
        ended
            .into_iter()
            .map(|(member_id, held)| (member_id, held.seen_ms.into_inner()))
            .filter(|(_, seen_ms)| *seen_ms != NEVER)
            .map(|(member_id, seen_ms)| (member_id, now_ms - seen_ms))
            .collect()
    }

    /// Topics or settings have changed: no lease of a consumer group holds until its coordinator has seen the member
    /// again. When each was seen is kept.
    pub fn cluster_changed(&self) {
        // Under the lock, so that no answer that was begun before is given after this.
        let _groups = self.groups.write();
        self.cluster.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether this heartbeat may be answered with "nothing has changed".
    pub(crate) fn covers(&self, request: &HeartbeatRequest<'_>) -> bool {
        self.look(request.group_id, request.member_id, |held| {
            let covered = held.lease.consumer.is_none() && held.is_for(request.generation_id, request.instance_id);
            covered.then_some(())
        })
        .is_some()
    }

    /// The same in the consumer protocol: when the member shall come again.
    pub(crate) fn covers_consumer(
        &self,
        request: &ConsumerGroupHeartbeatRequest<'_>,
        client_id: &str,
        client_host: &str,
    ) -> Option<i32> {
        if request.says_something_new {
            return None;
        }
        self.look(request.group_id, request.member_id, |held| {
            let consumer = held.lease.consumer.as_ref()?;
            let covered = held.cluster == self.cluster.load(Ordering::Acquire)
                && held.is_for(request.member_epoch, request.instance_id)
                && consumer.client_id == client_id
                && consumer.client_host == client_host;
            covered.then_some(consumer.heartbeat_interval_ms)
        })
    }

    /// What `judge` says of a lease; if that is something the member has been seen.
    fn look<T>(&self, group_id: &str, member_id: &str, judge: impl FnOnce(&Held) -> Option<T>) -> Option<T> {
        let groups = self.groups.read();
        let held = groups.get(group_id)?.get(member_id)?;
        let judged = judge(held)?;
        // Before the lock is free again: who ends the lease learns of it.
        held.seen_ms.fetch_max(self.now_ms(), Ordering::Relaxed);
        Some(judged)
    }

    fn now_ms(&self) -> i64 {
        self.started.elapsed().as_millis() as i64
    }
}
