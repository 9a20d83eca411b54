//! What all connections of a server share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use moldau_log::LogManager;
use parking_lot::RwLock;

use crate::access::{Access, CLUSTER_NAME, Operation, Operations, Permissions, ResourceKind};
use crate::config::{ApiRange, FinalizedFeature, ServerConfig};
use crate::control::{ConnectionId, ControlPlane};
use crate::counters::Counters;
use crate::fault::Faults;
use crate::fetch_session::FetchSessions;
use crate::image::ImageDelta;
use crate::leases::Leases;
use crate::quotas::Quotas;
use crate::replica_manager::ReplicaManager;
use crate::wire::{LeaderIdAndEpoch, NodeEndpoint};

/// API keys are far below this.
const KEYS: usize = 128;

/// Who asks, and how they came here.
pub(crate) struct ClientContext<'a> {
    pub(crate) client_id: Option<&'a str>,
    pub(crate) listener: &'a Arc<str>,
    pub(crate) advertised_host: &'a Arc<str>,
    pub(crate) advertised_port: u16,
    /// `None` where everybody may do everything.
    pub(crate) permissions: Option<&'a Permissions>,
}

impl ClientContext<'_> {
    /// Whether the client may do `operation` with a resource that it named.
    pub(crate) fn may(&self, operation: Operation, kind: ResourceKind, name: &str) -> bool {
        self.permissions
            .is_none_or(|permissions| permissions.allow(operation, kind, name))
    }

    /// Everything that the client may do with a resource; what it may not is no refusal yet.
    pub(crate) fn operations(&self, kind: ResourceKind, name: &str) -> Operations {
        self.permissions
            .map_or(Operations::EVERYTHING, |permissions| permissions.operations(kind, name))
    }

    /// Everything that the client may do with the cluster.
    pub(crate) fn of_cluster(&self) -> Operations {
        self.operations(ResourceKind::Cluster, CLUSTER_NAME)
    }
}

/// The finalized features of the cluster.
#[derive(Debug)]
pub(crate) struct Features {
    pub(crate) finalized: Vec<FinalizedFeature>,
    pub(crate) epoch: i64,
}

/// The shared state of a server.
pub(crate) struct Node {
    pub(crate) config: ServerConfig,
    pub(crate) replicas: ReplicaManager,
    pub(crate) sessions: FetchSessions,
    pub(crate) counters: Counters,
    pub(crate) quotas: Quotas,
    pub(crate) faults: Faults,
    pub(crate) leases: Arc<Leases>,
    pub(crate) access: Access,
    pub(crate) control: Arc<dyn ControlPlane>,
    pub(crate) features: RwLock<Features>,
    apis: [Option<ApiRange>; KEYS],
    auto_create_topics: AtomicBool,
    verify_transactions: AtomicBool,
    next_connection: AtomicU64,
    started: Instant,
}

impl Node {
    pub(crate) fn new(
        config: ServerConfig,
        logs: Arc<LogManager>,
        control: Arc<dyn ControlPlane>,
        leases: Arc<Leases>,
    ) -> Self {
        let mut apis = [None; KEYS];
        for api in &config.apis {
            if let Some(slot) = usize::try_from(api.key).ok().and_then(|key| apis.get_mut(key)) {
                *slot = Some(*api);
            }
        }
        let seed = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |now| now.subsec_nanos());
        Node {
            replicas: ReplicaManager::new(config.node_id, logs, control.clone()),
            sessions: FetchSessions::new(config.max_incremental_fetch_sessions, seed),
            counters: Counters::default(),
            quotas: Quotas::new(config.quota_windows, config.mutation_windows),
            faults: Faults::default(),
            leases,
            access: Access::default(),
            control,
            features: RwLock::new(Features {
                finalized: config.finalized_features.clone(),
                epoch: config.finalized_features_epoch,
            }),
            apis,
            auto_create_topics: AtomicBool::new(config.auto_create_topics),
            verify_transactions: AtomicBool::new(config.verify_transactions),
            next_connection: AtomicU64::new(1),
            started: Instant::now(),
            config,
        }
    }

    pub(crate) fn api(&self, key: i16) -> Option<&ApiRange> {
        self.apis.get(usize::try_from(key).ok()?)?.as_ref()
    }

    pub(crate) fn next_connection_id(&self) -> ConnectionId {
        ConnectionId(self.next_connection.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn auto_create_topics(&self) -> bool {
        self.auto_create_topics.load(Ordering::Relaxed)
    }

    pub(crate) fn verify_transactions(&self) -> bool {
        self.verify_transactions.load(Ordering::Relaxed)
    }

    /// Milliseconds since the epoch, for what is written down.
    pub(crate) fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as i64)
    }

    /// Milliseconds since the start, for what is measured: never goes back.
    pub(crate) fn uptime_ms(&self) -> u64 {
        self.started.elapsed().as_millis() as u64
    }

    /// Take over one step of the cluster image.
    pub(crate) fn apply(&self, delta: ImageDelta) {
        match delta {
            ImageDelta::Broker(broker) => self.replicas.change_image(|image| {
                image.brokers.insert(broker.id, broker);
            }),
            ImageDelta::BrokerRemoved(id) => self.replicas.change_image(|image| {
                image.brokers.remove(&id);
            }),
            ImageDelta::Controller(id) => self.replicas.change_image(|image| image.controller = id),
            ImageDelta::Topic(topic) => self.replicas.put_topic(topic),
            ImageDelta::TopicRemoved(name) => self.replicas.remove_topic(&name),
            ImageDelta::Features { finalized, epoch } => {
                let finalized = finalized
                    .into_iter()
                    .map(|(name, level)| FinalizedFeature { name, level })
                    .collect();
                *self.features.write() = Features { finalized, epoch };
            }
            ImageDelta::Quotas(image) => self.quotas.change(&image),
            ImageDelta::Access(table) => self.access.change(table),
            ImageDelta::AutoCreateTopics(allowed) => self.auto_create_topics.store(allowed, Ordering::Relaxed),
            ImageDelta::VerifyTransactions(asked) => self.verify_transactions.store(asked, Ordering::Relaxed),
        }
    }

    /// Who leads a partition; where that node is reached goes to `endpoints`, once per node.
    pub(crate) fn leader_of(
        &self,
        topic: &str,
        partition: i32,
        client: &ClientContext<'_>,
        endpoints: &mut Vec<NodeEndpoint>,
    ) -> Option<LeaderIdAndEpoch> {
        let image = self.replicas.image();
        let partition = image
            .topic(topic)?
            .image
            .partitions
            .get(usize::try_from(partition).ok()?)?;
        let leader = LeaderIdAndEpoch {
            leader_id: partition.leader,
            leader_epoch: partition.leader_epoch,
        };
        let known = endpoints.iter().any(|endpoint| endpoint.node_id == leader.leader_id);
        if let Some(broker) = image.brokers.get(&leader.leader_id).filter(|_| !known) {
            let reached = if leader.leader_id == self.config.node_id {
                Some((client.advertised_host.clone(), client.advertised_port))
            } else {
                let endpoint = broker
                    .endpoints
                    .iter()
                    .find(|endpoint| endpoint.listener == *client.listener);
                endpoint.map(|endpoint| (endpoint.host.clone(), endpoint.port))
            };
            endpoints.extend(reached.map(|(host, port)| NodeEndpoint {
                node_id: leader.leader_id,
                host,
                port,
                rack: broker.rack.clone(),
            }));
        }
        Some(leader)
    }
}
