//! The cluster as the hot requests see it: brokers, topics and who leads which partition.
//!
//! The control plane owns the truth and pushes it here piece by piece; nothing in this crate changes it. A topic is
//! replaced as a whole, so a reader that holds one sees one moment.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use uuid::Uuid;

use crate::access::AccessTable;
use crate::quotas::QuotaImage;

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerImage {
    /// Node id.
    pub id: i32,
    /// `broker.rack`.
    pub rack: Option<Arc<str>>,
    /// How it is reached, by listener name.
    pub endpoints: Vec<BrokerEndpoint>,
}

/// Where a broker is reached on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerEndpoint {
    /// Listener name.
    pub listener: Arc<str>,
    /// Host name or address.
    pub host: Arc<str>,
    /// Port.
    pub port: u16,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionImage {
    /// Partition index.
    pub partition: i32,
    /// Node id of the leader, -1 when there is none.
    pub leader: i32,
    /// Leader epoch.
    pub leader_epoch: i32,
    /// Every replica, preferred leader first.
    pub replicas: Vec<i32>,
    /// Replicas that are in sync with the leader.
    pub in_sync_replicas: Vec<i32>,
    /// Replicas whose node or directory is gone.
    pub offline_replicas: Vec<i32>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicImage {
    /// Name.
    pub name: Arc<str>,
    /// Id.
    pub id: Uuid,
    /// `__consumer_offsets` and its like.
    pub internal: bool,
    /// `min.insync.replicas` of the topic.
    pub min_insync_replicas: u32,
    /// Partitions by index, without gaps.
    pub partitions: Vec<PartitionImage>,
}

/// One step of the cluster image.
#[derive(Clone, Debug)]
pub enum ImageDelta {
    /// A broker came, or changed.
    Broker(BrokerImage),
    /// A broker left.
    BrokerRemoved(i32),
    /// Another controller; -1 for none.
    Controller(i32),
    /// A topic was created or changed. Partitions that this node leads begin to serve.
    Topic(TopicImage),
    /// A topic was deleted.
    TopicRemoved(Arc<str>),
    /// The finalized features changed.
    Features {
        /// Finalized levels by name.
        finalized: Vec<(String, i16)>,
        /// The metadata offset of the change.
        epoch: i64,
    },
    /// The client quotas changed; these are all of them.
    Quotas(QuotaImage),
    /// The access rules changed; these are all of them. Without this step everybody may do everything.
    Access(Arc<AccessTable>),
    /// `auto.create.topics.enable` changed.
    AutoCreateTopics(bool),
    /// Whether the coordinator is asked about partitions that are new to a transaction.
    VerifyTransactions(bool),
}

/// Brokers, and topics by name and by id. `T` is what a server keeps for a topic.
#[derive(Debug)]
pub(crate) struct ClusterImage<T> {
    pub(crate) brokers: BTreeMap<i32, BrokerImage>,
    pub(crate) controller: i32,
    topics_by_name: HashMap<Arc<str>, Arc<T>>,
    topics_by_id: HashMap<Uuid, Arc<T>>,
}

/// What the image must be able to ask of a topic to file it.
pub(crate) trait Named {
    fn name(&self) -> &Arc<str>;
    fn id(&self) -> Uuid;
}

impl<T: Named> ClusterImage<T> {
    pub(crate) fn new() -> Self {
        ClusterImage {
            brokers: BTreeMap::new(),
            controller: -1,
            topics_by_name: HashMap::new(),
            topics_by_id: HashMap::new(),
        }
    }

    pub(crate) fn topic(&self, name: &str) -> Option<&Arc<T>> {
        self.topics_by_name.get(name)
    }

    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<&Arc<T>> {
        self.topics_by_id.get(&id)
    }

    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<T>> {
        self.topics_by_name.values()
    }

    pub(crate) fn topic_count(&self) -> usize {
        self.topics_by_name.len()
    }

    /// File a topic; returns the one of the same name that it replaces.
    pub(crate) fn put_topic(&mut self, topic: Arc<T>) -> Option<Arc<T>> {
        let replaced = self.topics_by_name.insert(topic.name().clone(), topic.clone());
        if let Some(old) = &replaced {
            self.topics_by_id.remove(&old.id());
        }
        self.topics_by_id.insert(topic.id(), topic);
        replaced
    }

    pub(crate) fn remove_topic(&mut self, name: &str) -> Option<Arc<T>> {
        let removed = self.topics_by_name.remove(name)?;
        self.topics_by_id.remove(&removed.id());
        Some(removed)
    }
}
