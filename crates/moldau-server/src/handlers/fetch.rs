//! Fetch: read what is there, or wait until there is enough.
//!
//! The answer lists partitions with their offsets and hands the records over as ranges of files. A consumer reads up
//! to the high watermark, or to the last stable offset under read_committed. Followers are told what Kafka tells a
//! replica that it does not know, until there are any.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moldau_log::LogSlice;
use uuid::Uuid;

use super::DelayedOperation;
use crate::access::{Operation, ResourceKind};
use crate::counters::add;
use crate::error_code::ErrorCode;
use crate::fetch_session::{FetchKind, FetchTarget, FetchTargets, TopicIdentity};
use crate::node::{ClientContext, Node};
use crate::output::Output;
use crate::partition::{FetchIsolation, FetchQuery, FetchedRecords};
use crate::purgatory::Waiter;
use crate::wire::fetch::{self, FetchRequest, PartitionData};
use crate::wire::{DecodeError, LeaderIdAndEpoch, NodeEndpoint};

/// One partition as it was read.
struct Reading {
    order: u64,
    outcome: Result<FetchedRecords, ErrorCode>,
}

/// A Fetch request.
pub(crate) struct FetchOperation {
    node: Arc<Node>,
    version: i16,
    kind: FetchKind,
    targets: FetchTargets,
    error: ErrorCode,
    from_follower: bool,
    isolation: FetchIsolation,
    max_wait_ms: i32,
    min_bytes: usize,
    max_bytes: usize,
    readings: Vec<Reading>,
    /// What the client may not read, and why. Asked when the request comes, and not again while it waits.
    refused: HashMap<u64, ErrorCode>,
    waiter: Option<Arc<Waiter>>,
}

impl FetchOperation {
    /// Decode the request and find its session. `largest` is the most that the client's quota lets through.
    pub(crate) fn start(
        node: &Arc<Node>,
        client: &ClientContext<'_>,
        body: &[u8],
        version: i16,
        largest: usize,
    ) -> Result<FetchOperation, DecodeError> {
        let request = FetchRequest::decode(body, version)?;
        let begun = node.sessions.begin(&request, version >= 13, Instant::now());
        let error = begun.as_ref().err().copied().unwrap_or(ErrorCode::NONE);
        let (kind, mut targets) = begun.unwrap_or((FetchKind::Sessionless, FetchTargets::default()));
        let max_bytes = (request.max_bytes.max(0) as usize)
            .min(node.config.fetch_max_bytes)
            .min(largest);
        let from_follower = request.replica_id >= 0;
        let refused = refused(node, client, &mut targets, from_follower);
        Ok(FetchOperation {
            node: node.clone(),
            version,
            kind,
            targets,
            error,
            from_follower,
            refused,
            isolation: match request.isolation_level {
                1 => FetchIsolation::LastStableOffset,
                _ => FetchIsolation::HighWatermark,
            },
            max_wait_ms: request.max_wait_ms,
            min_bytes: (request.min_bytes.max(0) as usize).min(max_bytes),
            max_bytes,
            readings: Vec::new(),
            waiter: None,
        })
    }

    /// Read every partition. Returns how many bytes there are, and whether something must be told at once.
    fn read_all(&mut self) -> (usize, bool) {
        let mut readings = std::mem::take(&mut self.readings);
        readings.clear();
        let mut readable = 0;
        let mut urgent = false;
        let mut known = false;
        for (order, target) in self.targets.iter_mut() {
            if let Some(code) = self.refused.get(&order) {
                readings.push(Reading {
                    order,
                    outcome: Err(*code),
                });
                continue;
            }
            // Unknown partitions are told with the rest, but do not end the wait: a client that polls for a topic
            // that is not there yet would spin.
            if let Err(code) = resolve(&self.node, target) {
                readings.push(Reading {
                    order,
                    outcome: Err(code),
                });
                continue;
            }
            known = true;
            let query = FetchQuery {
                offset: target.request.fetch_offset,
                current_leader_epoch: target.request.current_leader_epoch,
                last_fetched_epoch: target.request.last_fetched_epoch,
                max_bytes: (target.request.max_bytes.max(0) as usize)
                    .min(self.max_bytes - readable.min(self.max_bytes)),
                at_least_one: readable == 0,
                isolation: self.isolation,
            };
            let outcome = match &target.partition {
                Some(_) if self.from_follower => Err(unknown_replica(query.current_leader_epoch)),
                Some(partition) => partition.fetch(&query),
                None => Err(ErrorCode::UNKNOWN_SERVER_ERROR),
            };
            match &outcome {
                Ok(found) => {
                    readable += found.slice.length;
                    urgent |= found.diverging_epoch.is_some();
                }
                Err(_) => urgent = true,
            }
            readings.push(Reading { order, outcome });
        }
        self.readings = readings;
        (readable, urgent || !known)
    }

    /// Append the whole answer, and settle the session.
    pub(crate) fn respond(
        &mut self,
        client: &ClientContext<'_>,
        throttle_ms: u32,
        output: &mut Output,
    ) -> io::Result<()> {
        self.unregister();
        let version = self.version;
        let flexible = fetch::is_flexible(version);
        let readings = std::mem::take(&mut self.readings);
        let mut endpoints = Vec::new();
        let mut told = Vec::with_capacity(readings.len());
        for reading in readings {
            if let Some(entry) = self.describe(reading, client, &mut endpoints) {
                told.push(entry);
            }
        }
        let with_records: Vec<u64> = told
            .iter()
            .filter(|entry| entry.slice.length > 0)
            .map(|e| e.order)
            .collect();
        let session_id = match self.kind {
            FetchKind::Full => self.begin_session(),
            FetchKind::Incremental(_) | FetchKind::Sessionless => self.kind.session_id(),
        };
        let groups = told.chunk_by(|one, other| one.topic == other.topic).count();
        let mut head = output.writer(flexible);
        fetch::encode_head(&mut head, version, self.error.0, session_id, groups);
        let throttle_at = head.throttle_at();
        output.set_throttle_time(throttle_at, throttle_ms);
        let mut told = told.into_iter().peekable();
        let mut remaining: Vec<Told> = Vec::new();
        while let Some(first) = told.next() {
            remaining.push(first);
            while let Some(next) = told.next_if(|next| next.topic == remaining[0].topic) {
                remaining.push(next);
            }
            encode_group(output, version, &mut remaining)?;
        }
        fetch::encode_end(&mut output.writer(flexible), version, &endpoints);
        if let FetchKind::Incremental(id) = self.kind {
            with_records.iter().for_each(|order| self.targets.move_to_end(*order));
            self.kind = FetchKind::Sessionless;
            self.node.sessions.put_back(id, std::mem::take(&mut self.targets));
        }
        Ok(())
    }

    /// Bytes of records that are ready to go out.
    pub(crate) fn readable_bytes(&self) -> usize {
        let found = self.readings.iter().filter_map(|reading| reading.outcome.as_ref().ok());
        found.map(|found| found.slice.length).sum()
    }

    /// Tell a client that has used up its quota when to come back. The session it may have stays as it is: what was
    /// read is read again then.
    pub(crate) fn respond_without_records(&mut self, throttle_ms: u32, output: &mut Output) {
        self.unregister();
        let (version, session_id) = (self.version, self.kind.session_id());
        let mut writer = output.writer(fetch::is_flexible(version));
        fetch::encode_head(&mut writer, version, self.error.0, session_id, 0);
        fetch::encode_end(&mut writer, version, &[]);
        let throttle_at = writer.throttle_at();
        output.set_throttle_time(throttle_at, throttle_ms);
    }

    fn begin_session(&mut self) -> i32 {
        let targets = std::mem::take(&mut self.targets);
        let (id, evicted) = self
            .node
            .sessions
            .create(targets, self.from_follower, self.version >= 13, Instant::now());
        add(&self.node.counters.sessions_evicted, u64::from(evicted));
        id
    }

    /// What is told about a partition; `None` when an incremental session has nothing new to tell.
    fn describe(
        &mut self,
        reading: Reading,
        client: &ClientContext<'_>,
        endpoints: &mut Vec<NodeEndpoint>,
    ) -> Option<Told> {
        let target = self.targets.get_mut(reading.order)?;
        let mut data = PartitionData {
            partition: target.request.partition,
            error_code: 0,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            aborted_transactions: None,
        };
        let mut slice = LogSlice::empty(moldau_log::Offset(target.request.fetch_offset));
        match reading.outcome {
            Ok(found) => {
                data.high_watermark = found.high_watermark;
                data.last_stable_offset = found.last_stable_offset;
                data.log_start_offset = found.log_start_offset;
                data.diverging_epoch = found.diverging_epoch;
                data.aborted_transactions = found.aborted_transactions;
                slice = found.slice;
            }
            Err(code) => {
                add(&self.node.counters.failed_fetch_partitions, 1);
                data.error_code = told_code(code, self.version).0;
                // Kafka's answer for what it does not look at is not the one for what it cannot read.
                data.aborted_transactions = was_not_read(code).then(Vec::new);
                data.current_leader = current_leader(&self.node, target, code, client, endpoints);
            }
        }
        let changed = slice.length > 0
            || data.error_code != 0
            || data.diverging_epoch.is_some()
            || data.high_watermark != target.told_high_watermark
            || data.log_start_offset != target.told_log_start_offset;
        if matches!(self.kind, FetchKind::Incremental(_)) && !changed {
            return None;
        }
        // After an error the partition is told again as soon as the error is gone.
        target.told_high_watermark = if data.error_code == 0 { data.high_watermark } else { -1 };
        target.told_log_start_offset = data.log_start_offset;
        add(&self.node.counters.fetched_bytes, slice.length as u64);
        if let Some(partition) = target.partition.as_ref().filter(|_| slice.length > 0) {
            add(&partition.traffic.bytes_out, slice.length as u64);
        }
        Some(Told {
            order: reading.order,
            topic: target.topic.clone(),
            data,
            slice,
        })
    }

    fn unregister(&mut self) {
        let Some(waiter) = self.waiter.take() else { return };
        for partition in self.targets.iter().filter_map(|target| target.partition.as_ref()) {
            partition.watchers().remove(&waiter);
        }
    }
}

/// One partition of the answer.
struct Told {
    order: u64,
    topic: TopicIdentity,
    data: PartitionData,
    slice: LogSlice,
}

/// Append one topic with its partitions, taking them out of `group`.
fn encode_group(output: &mut Output, version: i16, group: &mut Vec<Told>) -> io::Result<()> {
    let flexible = fetch::is_flexible(version);
    let (name, id) = match &group[0].topic {
        TopicIdentity::Name(name) => (&**name, Uuid::nil()),
        TopicIdentity::Id(id) => ("", *id),
    };
    fetch::encode_topic(&mut output.writer(flexible), version, name, id, group.len());
    for told in group.drain(..) {
        told.data
            .encode_front(&mut output.writer(flexible), version, told.slice.length);
        output.put_records(told.slice)?;
        told.data.encode_tail(&mut output.writer(flexible), version);
    }
    output.writer(flexible).no_tags();
    Ok(())
}

/// Find the partition of a target anew, unless it is still the one found before.
fn resolve(node: &Node, target: &mut FetchTarget) -> Result<(), ErrorCode> {
    if target
        .partition
        .as_ref()
        .is_some_and(|partition| !partition.is_closed())
    {
        return Ok(());
    }
    target.partition = None;
    let topic = match &target.topic {
        TopicIdentity::Name(name) => node.replicas.topic(name).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?,
        TopicIdentity::Id(id) => node.replicas.topic_by_id(*id).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?,
    };
    let partition = topic.partition(target.request.partition, node.replicas.node_id())?;
    if partition.log().topic_id() != topic.image.id {
        return Err(ErrorCode::INCONSISTENT_TOPIC_ID);
    }
    target.partition = Some(partition.clone());
    Ok(())
}

/// The targets that the client may not read: a consumer reads topics, a follower needs the right of a broker.
fn refused(
    node: &Node,
    client: &ClientContext<'_>,
    targets: &mut FetchTargets,
    from_follower: bool,
) -> HashMap<u64, ErrorCode> {
    if client.permissions.is_none() {
        return HashMap::new();
    }
    let is_broker = from_follower && client.of_cluster().allow(Operation::ClusterAction);
    let may_read = |name: &str| client.may(Operation::Read, ResourceKind::Topic, name);
    let check = |topic: &TopicIdentity| {
        let allowed = match topic {
            _ if from_follower => is_broker,
            TopicIdentity::Name(name) => may_read(name),
            // An id that is unknown has no name to ask for. It stays unknown to this request, even if its topic comes
            // up while the request waits.
            TopicIdentity::Id(id) => may_read(
                &node
                    .replicas
                    .topic_by_id(*id)
                    .ok_or(ErrorCode::UNKNOWN_TOPIC_ID)?
                    .image
                    .name,
            ),
        };
        allowed.then_some(()).ok_or(ErrorCode::TOPIC_AUTHORIZATION_FAILED)
    };
    let refused = targets
        .iter_mut()
        .filter_map(|(order, target)| Some((order, check(&target.topic).err()?)));
    refused.collect()
}

/// What Kafka tells a replica that is not in the replica set.
fn unknown_replica(current_leader_epoch: i32) -> ErrorCode {
    if current_leader_epoch >= 0 {
        ErrorCode::UNKNOWN_LEADER_EPOCH
    } else {
        ErrorCode::NOT_LEADER_OR_FOLLOWER
    }
}

/// Whether an error is about a partition that there is not, or not for this client.
fn was_not_read(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED | ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID
    )
}

/// Clients before version 6 know no KAFKA_STORAGE_ERROR and would give up; this one makes them look for the leader.
fn told_code(code: ErrorCode, version: i16) -> ErrorCode {
    if code == ErrorCode::KAFKA_STORAGE_ERROR && version <= 5 {
        ErrorCode::NOT_LEADER_OR_FOLLOWER
    } else {
        code
    }
}

fn current_leader(
    node: &Node,
    target: &FetchTarget,
    code: ErrorCode,
    client: &ClientContext<'_>,
    endpoints: &mut Vec<NodeEndpoint>,
) -> Option<LeaderIdAndEpoch> {
    if code != ErrorCode::NOT_LEADER_OR_FOLLOWER && code != ErrorCode::FENCED_LEADER_EPOCH {
        return None;
    }
    let name = match &target.topic {
        TopicIdentity::Name(name) => name.clone(),
        TopicIdentity::Id(id) => node.replicas.topic_by_id(*id)?.image.name.clone(),
    };
    node.leader_of(&name, target.request.partition, client, endpoints)
}

impl DelayedOperation for FetchOperation {
    fn try_complete(&mut self) -> bool {
        if let Some(waiter) = &self.waiter {
            waiter.arm();
        }
        let (readable, urgent) = self.read_all();
        let complete = urgent || self.max_wait_ms <= 0 || readable >= self.min_bytes;
        if let Some(waiter) = self.waiter.as_ref().filter(|_| !complete) {
            waiter.expect((self.min_bytes - readable) as i64);
        }
        complete
    }

    fn expire(&mut self) {
        self.read_all();
    }

    fn waiter(&mut self) -> Arc<Waiter> {
        let waiter = self.waiter.get_or_insert_with(|| {
            let waiter = Waiter::new();
            for partition in self.targets.iter().filter_map(|target| target.partition.as_ref()) {
                partition.watchers().add(&waiter);
            }
            waiter
        });
        waiter.clone()
    }

    fn max_wait(&self) -> Duration {
        Duration::from_millis(self.max_wait_ms.max(0) as u64)
    }
}

impl Drop for FetchOperation {
    /// A client that goes away while it waits leaves no watcher behind, and its session can be used again.
    fn drop(&mut self) {
        self.unregister();
        if let FetchKind::Incremental(id) = self.kind {
            self.node.sessions.put_back(id, std::mem::take(&mut self.targets));
        }
    }
}
