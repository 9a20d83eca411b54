//! Incremental fetch sessions (KIP-227).
//!
//! A consumer names its partitions once; afterwards it sends what changed and gets what changed. The state of a
//! session belongs to the request that is being answered: it is taken out of the cache and put back, so nothing is
//! locked or copied while a fetch waits. A second request that names the session meanwhile is told the same as one
//! with a wrong epoch.
//!
//! Slots are limited. A new session may take the slot of one that was unused for long, or of a long-lived one that is
//! worth less: fewer partitions, and a consumer rather than a follower.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use uuid::Uuid;

use crate::error_code::ErrorCode;
use crate::partition::Partition;
use crate::wire::fetch::{FetchPartition, FetchRequest};

/// How long a session is safe from those that want its slot (Kafka's `MIN_INCREMENTAL_FETCH_SESSION_EVICTION_MS`).
const SAFE_FOR: Duration = Duration::from_secs(120);

/// What identifies a topic in a session: its name before version 13, its id from then on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TopicIdentity {
    Name(Arc<str>),
    Id(Uuid),
}

/// One partition of a fetch, with what the client was last told about it.
#[derive(Debug)]
pub(crate) struct FetchTarget {
    pub(crate) topic: TopicIdentity,
    pub(crate) request: FetchPartition,
    pub(crate) told_high_watermark: i64,
    pub(crate) told_log_start_offset: i64,
    pub(crate) partition: Option<Arc<Partition>>,
}

/// The partitions of a fetch, in the order in which they are read. Those that gave records go to the end, so that a
/// busy partition does not starve the others.
#[derive(Debug, Default)]
pub(crate) struct FetchTargets {
    by_order: BTreeMap<u64, FetchTarget>,
    order_of: HashMap<(TopicIdentity, i32), u64>,
    next_order: u64,
}

impl FetchTargets {
    pub(crate) fn len(&self) -> usize {
        self.by_order.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_order.is_empty()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut FetchTarget)> {
        self.by_order.iter_mut().map(|(order, target)| (*order, target))
    }

    pub(crate) fn get_mut(&mut self, order: u64) -> Option<&mut FetchTarget> {
        self.by_order.get_mut(&order)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &FetchTarget> {
        self.by_order.values()
    }

    pub(crate) fn move_to_end(&mut self, order: u64) {
        if let Some(target) = self.by_order.remove(&order) {
            self.order_of
                .insert((target.topic.clone(), target.request.partition), self.next_order);
            self.by_order.insert(self.next_order, target);
            self.next_order += 1;
        }
    }

    fn put(&mut self, topic: &TopicIdentity, request: FetchPartition) {
        let key = (topic.clone(), request.partition);
        if let Some(target) = self.order_of.get(&key).and_then(|order| self.by_order.get_mut(order)) {
            target.request = request;
            return;
        }
        self.order_of.insert(key, self.next_order);
        let target = FetchTarget {
            topic: topic.clone(),
            request,
            told_high_watermark: -1,
            told_log_start_offset: -1,
            partition: None,
        };
        self.by_order.insert(self.next_order, target);
        self.next_order += 1;
    }

    fn forget(&mut self, topic: &TopicIdentity, partition: i32) {
        if let Some(order) = self.order_of.remove(&(topic.clone(), partition)) {
            self.by_order.remove(&order);
        }
    }

    /// Take over what a request adds, changes and forgets.
    fn update(&mut self, request: &FetchRequest<'_>, uses_topic_ids: bool) {
        let identity = |name: &str, id: Uuid| match uses_topic_ids {
            true => TopicIdentity::Id(id),
            false => TopicIdentity::Name(name.into()),
        };
        for topic in &request.topics {
            let identity = identity(topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                self.put(&identity, *partition);
            }
        }
        for topic in &request.forgotten_topics {
            let identity = identity(topic.topic, topic.topic_id);
            for partition in &topic.partitions {
                self.forget(&identity, *partition);
            }
        }
    }
}

/// How a request relates to sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FetchKind {
    /// No session, and none wanted.
    Sessionless,
    /// All partitions, and a session if there is a slot.
    Full,
    /// What changed, in this session.
    Incremental(i32),
}

impl FetchKind {
    /// The session as it is told; 0 is none.
    pub(crate) fn session_id(self) -> i32 {
        match self {
            FetchKind::Incremental(id) => id,
            FetchKind::Full | FetchKind::Sessionless => 0,
        }
    }
}

#[derive(Debug)]
struct Session {
    privileged: bool,
    uses_topic_ids: bool,
    epoch: i32,
    size: usize,
    created: Instant,
    last_used: Instant,
    /// `None` while a request of this session is being answered.
    targets: Option<FetchTargets>,
}

/// All sessions of a node.
#[derive(Debug)]
pub(crate) struct FetchSessions {
    sessions: Mutex<Slots>,
    slots_max: usize,
}

#[derive(Debug)]
struct Slots {
    by_id: HashMap<i32, Session>,
    /// State of a xorshift generator: ids need to be spread, not secret.
    random: u32,
}

fn next_epoch(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl FetchSessions {
    pub(crate) fn new(slots_max: usize, seed: u32) -> Self {
        FetchSessions {
            sessions: Mutex::new(Slots {
                by_id: HashMap::new(),
                random: seed | 1,
            }),
            slots_max,
        }
    }

    /// The partitions that a request is about. On error the request is answered with the code and nothing else.
    pub(crate) fn begin(
        &self,
        request: &FetchRequest<'_>,
        uses_topic_ids: bool,
        now: Instant,
    ) -> Result<(FetchKind, FetchTargets), ErrorCode> {
        if request.session_epoch <= 0 {
            self.sessions.lock().by_id.remove(&request.session_id);
            let mut targets = FetchTargets::default();
            targets.update(request, uses_topic_ids);
            let kind = if request.session_epoch == 0 {
                FetchKind::Full
            } else {
                FetchKind::Sessionless
            };
            return Ok((kind, targets));
        }
        let mut slots = self.sessions.lock();
        let Some(session) = slots.by_id.get_mut(&request.session_id) else {
            return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        };
        if session.epoch != request.session_epoch {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        }
        if session.uses_topic_ids != uses_topic_ids {
            return Err(ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        }
        let Some(mut targets) = session.targets.take() else {
            return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        };
        targets.update(request, uses_topic_ids);
        if targets.is_empty() {
            slots.by_id.remove(&request.session_id);
            return Ok((FetchKind::Sessionless, targets));
        }
        session.epoch = next_epoch(session.epoch);
        session.last_used = now;
        session.size = targets.len();
        Ok((FetchKind::Incremental(request.session_id), targets))
    }

    /// Put the partitions of an answered request back. If the session was evicted meanwhile they are dropped.
    pub(crate) fn put_back(&self, session_id: i32, targets: FetchTargets) {
        if let Some(session) = self.sessions.lock().by_id.get_mut(&session_id) {
            session.targets = Some(targets);
        }
    }

    /// Begin a session for the partitions of a full request. Returns its id, 0 when there is no slot, and whether
    /// another session had to go.
    pub(crate) fn create(
        &self,
        targets: FetchTargets,
        privileged: bool,
        uses_topic_ids: bool,
        now: Instant,
    ) -> (i32, bool) {
        let mut slots = self.sessions.lock();
        let mut evicted = false;
        if slots.by_id.len() >= self.slots_max {
            evicted = slots.evict_for(privileged, targets.len(), now);
            if !evicted {
                return (0, false);
            }
        }
        let id = slots.unused_id();
        let session = Session {
            privileged,
            uses_topic_ids,
            epoch: 1,
            size: targets.len(),
            created: now,
            last_used: now,
            targets: Some(targets),
        };
        slots.by_id.insert(id, session);
        (id, evicted)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.sessions.lock().by_id.len()
    }
}

impl Slots {
    fn unused_id(&mut self) -> i32 {
        loop {
            self.random ^= self.random << 13;
            self.random ^= self.random >> 17;
            self.random ^= self.random << 5;
            let id = (self.random >> 1) as i32;
            if id != 0 && !self.by_id.contains_key(&id) {
                return id;
            }
        }
    }

    /// Free a slot for a newcomer: that of the session longest unused if that is long, else that of the least of
    /// those that are no longer safe, unless the newcomer is worth less still.
    fn evict_for(&mut self, privileged: bool, size: usize, now: Instant) -> bool {
        let Some((oldest, session)) = self.by_id.iter().min_by_key(|(_, session)| session.last_used) else {
            return false;
        };
        if now.duration_since(session.last_used) > SAFE_FOR {
            let oldest = *oldest;
            self.by_id.remove(&oldest);
            return true;
        }
        let evictable = self.by_id.iter().filter(|(_, session)| {
            now.duration_since(session.created) > SAFE_FOR || (privileged && !session.privileged)
        });
        let least = evictable
            .map(|(id, session)| (session.privileged, session.size, *id))
            .min();
        match least {
            Some(least) if (privileged, size, 0) >= least => {
                self.by_id.remove(&least.2);
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::fetch::{FetchTopic, ForgottenTopic};

    fn request(session_id: i32, session_epoch: i32, partitions: &[i32], forgotten: &[i32]) -> FetchRequest<'static> {
        let partition = |index: &i32| FetchPartition {
            partition: *index,
            current_leader_epoch: -1,
            fetch_offset: 0,
            last_fetched_epoch: -1,
            log_start_offset: -1,
            max_bytes: 1024,
        };
        FetchRequest {
            replica_id: -1,
            replica_epoch: -1,
            max_wait_ms: 0,
            min_bytes: 1,
            max_bytes: 1024,
            isolation_level: 0,
            session_id,
            session_epoch,
            topics: vec![FetchTopic {
                topic: "orders",
                topic_id: Uuid::nil(),
                partitions: partitions.iter().map(partition).collect(),
            }],
            forgotten_topics: vec![ForgottenTopic {
                topic: "orders",
                topic_id: Uuid::nil(),
                partitions: forgotten.to_vec(),
            }],
            rack_id: "",
        }
    }

    fn begin_session(sessions: &FetchSessions, partitions: &[i32], now: Instant) -> i32 {
        let (kind, targets) = sessions.begin(&request(0, 0, partitions, &[]), false, now).unwrap();
        assert_eq!(kind, FetchKind::Full);
        sessions.create(targets, false, false, now).0
    }

    fn partitions(targets: &FetchTargets) -> Vec<i32> {
        targets.iter().map(|target| target.request.partition).collect()
    }

    #[test]
    fn a_session_remembers_adds_and_forgets_partitions() {
        let (sessions, now) = (FetchSessions::new(10, 7), Instant::now());
        let id = begin_session(&sessions, &[0, 1], now);
        let (kind, targets) = sessions.begin(&request(id, 1, &[2], &[0]), false, now).unwrap();
        assert_eq!((kind, partitions(&targets)), (FetchKind::Incremental(id), vec![1, 2]));
        sessions.put_back(id, targets);
        let (_, targets) = sessions.begin(&request(id, 2, &[], &[]), false, now).unwrap();
        assert_eq!(partitions(&targets), [1, 2]);
    }

    #[test]
    fn a_partition_that_gave_records_goes_to_the_end() {
        let (sessions, now) = (FetchSessions::new(10, 7), Instant::now());
        let (_, mut targets) = sessions.begin(&request(0, 0, &[0, 1, 2], &[]), false, now).unwrap();
        targets.move_to_end(0);
        assert_eq!(partitions(&targets), [1, 2, 0]);
        let id = sessions.create(targets, false, false, now).0;
        let (_, targets) = sessions.begin(&request(id, 1, &[], &[0]), false, now).unwrap();
        assert_eq!(partitions(&targets), [1, 2]);
    }

    #[test]
    fn unknown_sessions_wrong_epochs_and_changed_identities_are_refused() {
        let (sessions, now) = (FetchSessions::new(10, 7), Instant::now());
        let id = begin_session(&sessions, &[0], now);
        let error = |id, epoch, ids| {
            sessions
                .begin(&request(id, epoch, &[], &[]), ids, now)
                .map(|_| ())
                .unwrap_err()
        };
        assert_eq!(error(id + 1, 1, false), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
        assert_eq!(error(id, 5, false), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        assert_eq!(error(id, 1, true), ErrorCode::FETCH_SESSION_TOPIC_ID_ERROR);
        let taken = sessions.begin(&request(id, 1, &[], &[]), false, now).unwrap();
        assert_eq!(error(id, 2, false), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
        drop(taken);
    }

    #[test]
    fn a_session_without_partitions_ends() {
        let (sessions, now) = (FetchSessions::new(10, 7), Instant::now());
        let id = begin_session(&sessions, &[0], now);
        let (kind, _) = sessions.begin(&request(id, 1, &[], &[0]), false, now).unwrap();
        assert_eq!((kind, sessions.len()), (FetchKind::Sessionless, 0));
    }

    #[test]
    fn a_full_request_ends_the_session_that_it_names() {
        let (sessions, now) = (FetchSessions::new(10, 7), Instant::now());
        let id = begin_session(&sessions, &[0], now);
        sessions.begin(&request(id, -1, &[], &[]), false, now).unwrap();
        assert_eq!(sessions.len(), 0);
    }

    #[test]
    fn slots_are_limited_and_idle_sessions_make_room() {
        let (sessions, now) = (FetchSessions::new(1, 7), Instant::now());
        let first = begin_session(&sessions, &[0], now);
        assert_eq!(
            begin_session(&sessions, &[0, 1, 2], now),
            0,
            "a young session keeps its slot"
        );
        let later = now + SAFE_FOR + Duration::from_secs(1);
        let second = begin_session(&sessions, &[0], later);
        assert!(second != 0 && second != first);
    }

    #[test]
    fn an_old_session_yields_to_a_larger_one_only() {
        let (sessions, now) = (FetchSessions::new(1, 7), Instant::now());
        let id = begin_session(&sessions, &[0, 1], now);
        let later = now + SAFE_FOR + Duration::from_secs(1);
        let (_, targets) = sessions.begin(&request(id, 1, &[], &[]), false, later).unwrap();
        sessions.put_back(id, targets);
        assert_eq!(begin_session(&sessions, &[0], later), 0);
        assert_ne!(begin_session(&sessions, &[0, 1, 2], later), 0);
    }
}
