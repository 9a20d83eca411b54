//! Every partition of this node, found by name or by id, as the cluster image says.
//!
//! Logs are opened and removed by whoever owns the [`LogManager`]; this room looks them up when the image names this
//! node as a replica. A partition whose log is not there answers KAFKA_STORAGE_ERROR: its directory failed.

use std::sync::Arc;

use moldau_log::{LogManager, TopicPartition};
use parking_lot::{RwLock, RwLockReadGuard};
use uuid::Uuid;

use crate::control::ControlPlane;
use crate::error_code::ErrorCode;
use crate::image::{ClusterImage, Named, TopicImage};
use crate::partition::{Leadership, Partition};

/// A topic of the image with those of its partitions that are on this node.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) image: TopicImage,
    local: Vec<Option<Arc<Partition>>>,
}

impl Named for Topic {
    fn name(&self) -> &Arc<str> {
        &self.image.name
    }

    fn id(&self) -> Uuid {
        self.image.id
    }
}

impl Topic {
    /// The partition if it is on this node, else the error that a client gets for it.
    pub(crate) fn partition(&self, index: i32, node_id: i32) -> Result<&Arc<Partition>, ErrorCode> {
        let index = usize::try_from(index).map_err(|_| ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        match self.local.get(index) {
            None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
            Some(Some(partition)) => Ok(partition),
            Some(None) if self.image.partitions[index].replicas.contains(&node_id) => {
                Err(ErrorCode::KAFKA_STORAGE_ERROR)
            }
            Some(None) => Err(ErrorCode::NOT_LEADER_OR_FOLLOWER),
        }
    }
}

/// The image and the partitions.
pub(crate) struct ReplicaManager {
    node_id: i32,
    logs: Arc<LogManager>,
    control: Arc<dyn ControlPlane>,
    image: RwLock<ClusterImage<Topic>>,
}

impl ReplicaManager {
    pub(crate) fn new(node_id: i32, logs: Arc<LogManager>, control: Arc<dyn ControlPlane>) -> Self {
        ReplicaManager {
            node_id,
            logs,
            control,
            image: RwLock::new(ClusterImage::new()),
        }
    }

    pub(crate) fn node_id(&self) -> i32 {
        self.node_id
    }

    pub(crate) fn image(&self) -> RwLockReadGuard<'_, ClusterImage<Topic>> {
        self.image.read()
    }

    pub(crate) fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.image.read().topic(name).cloned()
    }

    pub(crate) fn topic_by_id(&self, id: Uuid) -> Option<Arc<Topic>> {
        self.image.read().topic_by_id(id).cloned()
    }

    /// A partition by name.
    pub(crate) fn partition(&self, topic_partition: &TopicPartition) -> Result<Arc<Partition>, ErrorCode> {
        let topic = self
            .topic(&topic_partition.topic)
            .ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
        topic.partition(topic_partition.partition, self.node_id).cloned()
    }

    pub(crate) fn change_image(&self, change: impl FnOnce(&mut ClusterImage<Topic>)) {
        change(&mut self.image.write());
    }

    /// A topic was created or changed.
    pub(crate) fn put_topic(&self, image: TopicImage) {
        let old = self.topic(&image.name).filter(|old| old.image.id == image.id);
        let local = image.partitions.iter().map(|partition| {
            if !partition.replicas.contains(&self.node_id) {
                return None;
            }
            let leadership = Leadership::of(partition, image.min_insync_replicas);
            let known = old
                .as_ref()
                .and_then(|old| old.partition(partition.partition, self.node_id).ok());
            let name = TopicPartition {
                topic: image.name.clone(),
                partition: partition.partition,
            };
            let log = self.logs.get(&name).filter(|log| log.topic_id() == image.id)?;
            match known {
                Some(known) if Arc::ptr_eq(known.log(), &log) && !known.is_closed() => {
                    known.lead(leadership);
                    Some(known.clone())
                }
                _ => Some(Partition::new(self.node_id, log, leadership, self.control.clone())),
            }
        });
        let local = local.collect();
        let replaced = self.image.write().put_topic(Arc::new(Topic { image, local }));
        if let Some(replaced) = replaced {
            self.close_unless_kept(&replaced);
        }
    }

    /// A topic was deleted.
    pub(crate) fn remove_topic(&self, name: &str) {
        let removed = self.image.write().remove_topic(name);
        for partition in removed.iter().flat_map(|topic| topic.local.iter().flatten()) {
            partition.close();
        }
    }

    /// Close the partitions of a replaced topic that its successor does not hold.
    fn close_unless_kept(&self, replaced: &Topic) {
        let current = self.topic(&replaced.image.name);
        for (index, partition) in replaced.local.iter().enumerate() {
            let Some(partition) = partition else { continue };
            let successor = current.as_ref().and_then(|topic| topic.local.get(index)?.as_ref());
            if !successor.is_some_and(|successor| Arc::ptr_eq(successor, partition)) {
                partition.close();
            }
        }
    }
}
