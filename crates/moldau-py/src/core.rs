//! `Core`: one node's log directories, its listeners, and its copy of the cluster image.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use moldau_log::{
    AppendContext, Flusher, LeaderEpoch, LogManager, LogManagerConfig, Offset, PartitionLog, PartitionSpec,
    TopicPartition,
};
use moldau_server::{BrokerImage, ErrorCode, GroupOffsets, ImageDelta, Server, TIME_BOUNDS_US, TopicImage};
use parking_lot::{Mutex, RwLock};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use uuid::Uuid;

use crate::access::{self, PythonAccess};
use crate::cleaner::{self, Cleaner};
use crate::error::{Refusal, failures_to_python};
use crate::events::Events;
use crate::leases::Leases;
use crate::logging;
use crate::metrics::{PythonFamily, families};
use crate::mover::{self, Mover};
use crate::producers::{self, PythonProducer};
use crate::records::{KeyAndValue, build_batch, read_records};
use crate::request::Request;
use crate::settings::{self, PythonEndpoint, PythonPartitionSpec, PythonPartitionState, PythonQuota};
use crate::stage::Stage;
use crate::statuses::{self, Statuses};

const METADATA_TOPIC: &str = "__cluster_metadata";
/// The id that Kafka gives the metadata topic, in every cluster.
const METADATA_TOPIC_ID: Uuid = Uuid::from_u128(1);

/// See `python/moldau/_core.pyi`.
#[pyclass(frozen, module = "moldau._core")]
pub struct Core {
    logs: Arc<LogManager>,
    events: Arc<Events>,
    leases: Arc<moldau_server::Leases>,
    /// Makes closed segments durable, until `shutdown`; none where nothing is.
    flusher: Option<Flusher>,
    stage: RwLock<Stage>,
    /// Compacts in the background from `set_cleaner_settings` to `shutdown`.
    cleaner: Cleaner,
    /// Moves partitions between directories from `set_move_limit` to `shutdown`.
    mover: Mover,
    /// The epoch of the quorum: the metadata log is led by the control plane, not by the image.
    metadata_epoch: AtomicI32,
    /// The process that opened it.
    owner: u32,
}

impl Drop for Core {
    /// In a process that was forked from the one that opened it there is nothing to drop: the threads stayed behind,
    /// and ending the sockets and locks that both hold would end them over there.
    fn drop(&mut self) {
        if std::process::id() != self.owner {
            std::mem::forget(std::mem::replace(self.stage.get_mut(), Stage::Closed));
            std::mem::forget((std::mem::take(&mut self.cleaner), std::mem::take(&mut self.mover)));
            std::mem::forget((self.flusher.take(), self.logs.clone()));
        }
    }
}

impl Core {
    fn log(&self, topic: &str, partition: i32) -> Result<Arc<PartitionLog>, Refusal> {
        self.logs
            .get(&TopicPartition::new(topic, partition))
            .ok_or_else(|| Refusal::unknown_partition(topic, partition))
    }

    fn apply(&self, delta: ImageDelta) {
        self.stage.read().apply(delta);
    }

    fn append_batch(
        &self,
        topic: &str,
        partition: i32,
        batch: BytesMut,
        timestamp_ms: i64,
        context: AppendContext,
    ) -> Result<i64, Refusal> {
        if topic == METADATA_TOPIC {
            let log = self.log(topic, partition)?;
            let epoch = LeaderEpoch(self.metadata_epoch.load(Ordering::Acquire));
            let info = log.append(batch, epoch, context, timestamp_ms)?;
            log.advance_high_watermark(log.log_end_offset());
            return Ok(info.last_offset.0);
        }
        let topic_partition = TopicPartition::new(topic, partition);
        let stage = self.stage.read();
        let info = stage
            .server()?
            .append_internal(&topic_partition, batch, context, timestamp_ms)?;
        Ok(info.last_offset.0)
    }
}

#[pymethods]
impl Core {
    #[new]
    #[pyo3(signature = (directories, *, durable = true, recovery_threads = 1))]
    fn new(py: Python<'_>, directories: Vec<PathBuf>, durable: bool, recovery_threads: usize) -> PyResult<Core> {
        let events = Arc::new(Events::new()?);
        logging::listen(&events);
        let config = LogManagerConfig {
            directories,
            durable,
            recovery_threads,
            ..LogManagerConfig::default()
        };
        let logs = Arc::new(py.detach(|| LogManager::open(config)).map_err(Refusal::from)?);
        Ok(Core {
            flusher: durable.then(|| Flusher::start(logs.clone())).transpose()?,
            logs,
            events,
            leases: Arc::default(),
            stage: RwLock::new(Stage::Opening(Mutex::default())),
            cleaner: Cleaner::default(),
            mover: Mover::default(),
            metadata_epoch: AtomicI32::new(0),
            owner: std::process::id(),
        })
    }

    #[getter]
    fn wake_fd(&self) -> i32 {
        self.events.wake_fd()
    }

    #[getter]
    fn leases(&self) -> Leases {
        Leases(self.leases.clone())
    }

    fn open_metadata_log(&self, py: Python<'_>, settings: &Bound<'_, PyDict>, now_ms: i64) -> PyResult<()> {
        let spec = PartitionSpec {
            topic_partition: TopicPartition::new(METADATA_TOPIC, 0),
            topic_id: METADATA_TOPIC_ID,
            config: settings::log_config(settings)?,
        };
        py.detach(|| {
            let log = self.logs.create(spec, now_ms)?;
            // A quorum of one: whatever is in the log is committed.
            log.advance_high_watermark(log.log_end_offset());
            Ok::<(), Refusal>(())
        })?;
        Ok(())
    }

    fn load_partitions<'py>(
        &self,
        py: Python<'py>,
        partitions: Vec<PythonPartitionSpec<'py>>,
        now_ms: i64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let specs = settings::partition_specs(partitions)?;
        let report = py.detach(|| self.logs.load(specs, now_ms, &|_done, _total| {}));
        let failures = report.failures.into_iter();
        failures_to_python(py, failures.map(|failure| (failure.topic_partition, failure.message)))
    }

    fn start<'py>(&self, py: Python<'py>, settings: &Bound<'py, PyDict>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let config = settings::server_config(settings)?;
        let names: Vec<String> = config.listeners.iter().map(|listener| listener.name.clone()).collect();
        let bound = py.detach(|| -> PyResult<_> {
            let mut stage = self.stage.write();
            let Stage::Opening(image) = &*stage else {
                return Err(PyRuntimeError::new_err("the core was started before"));
            };
            let deltas = std::mem::take(&mut *image.lock());
            let server = Server::start(
                config,
                self.logs.clone(),
                self.events.clone(),
                self.leases.clone(),
                deltas,
            )
            .map_err(|error| Refusal::new(ErrorCode::UNKNOWN_SERVER_ERROR, error.to_string()))?;
            let bound = server.addresses().to_vec();
            *stage = Stage::Serving(server);
            Ok(bound)
        })?;
        statuses::endpoints(py, names, &bound)
    }

    fn stop_serving(&self, py: Python<'_>, grace_ms: u64) {
        py.detach(|| {
            if let Stage::Serving(server) = &*self.stage.read() {
                server.shutdown(Duration::from_millis(grace_ms));
            }
        });
    }

    fn shutdown(&self, py: Python<'_>, now_ms: i64) {
        py.detach(|| {
            let before = std::mem::replace(&mut *self.stage.write(), Stage::Closed);
            if matches!(before, Stage::Closed) {
                return;
            }
            self.events.clear();
            self.cleaner.stop();
            self.mover.stop();
            self.flusher.iter().for_each(Flusher::stop);
            if let Stage::Serving(server) = before {
                server.shutdown(Duration::ZERO);
            }
            self.logs.shutdown(now_ms);
        });
    }

    fn abandon(&self, py: Python<'_>) {
        py.detach(|| {
            let before = std::mem::replace(&mut *self.stage.write(), Stage::Closed);
            if let Stage::Serving(server) = before {
                server.shutdown(Duration::ZERO);
            }
            self.events.clear();
            self.mover.stop();
            self.flusher.iter().for_each(Flusher::stop);
            self.logs.abandon();
        });
    }

    fn add_fault(&self, api_key: i16, kind: &str, value: i64, times: Option<u64>) -> PyResult<u64> {
        let kind = settings::fault_kind(kind, value)?;
        Ok(self.stage.read().faults()?.add(api_key, kind, times))
    }

    fn remove_fault(&self, fault: u64) -> PyResult<()> {
        self.stage.read().faults()?.remove(fault);
        Ok(())
    }

    fn fault_met(&self, fault: u64) -> PyResult<Option<u64>> {
        Ok(self.stage.read().faults()?.met(fault))
    }

    #[pyo3(signature = (*, paused))]
    fn set_paused(&self, paused: bool) -> PyResult<()> {
        self.stage.read().faults()?.set_paused(paused);
        Ok(())
    }

    fn poll_requests(&self, limit: usize) -> Vec<Request> {
        self.events
            .take_requests(limit)
            .into_iter()
            .map(Request::from)
            .collect()
    }

    fn poll_committed(&self) -> Vec<u64> {
        self.events.take_committed()
    }

    fn poll_closed(&self) -> Vec<u64> {
        self.events.take_closed()
    }

    #[pyo3(signature = (topic, partition, records, timestamp_ms, origin, producer = None))]
    #[allow(clippy::too_many_arguments)]
    fn append(
        &self,
        py: Python<'_>,
        topic: &str,
        partition: i32,
        records: Vec<KeyAndValue>,
        timestamp_ms: i64,
        origin: &str,
        producer: Option<PythonProducer>,
    ) -> PyResult<i64> {
        if records.is_empty() {
            return Err(PyValueError::new_err("a batch needs at least one record"));
        }
        let context = producers::context_of(origin, producer)?;
        Ok(py.detach(|| {
            let batch = build_batch(&records, timestamp_ms, producer.map(|(id, epoch, _)| (id, epoch)));
            self.append_batch(topic, partition, batch, timestamp_ms, context)
        })?)
    }

    #[allow(clippy::too_many_arguments)]
    fn append_marker(
        &self,
        py: Python<'_>,
        topic: &str,
        partition: i32,
        producer: (i64, i16),
        coordinator_epoch: i32,
        committed: bool,
        transaction_version: i16,
        timestamp_ms: i64,
    ) -> PyResult<i64> {
        let context = producers::marker_context(transaction_version);
        let batch = producers::marker(producer, coordinator_epoch, committed, timestamp_ms);
        Ok(py.detach(|| self.append_batch(topic, partition, batch, timestamp_ms, context))?)
    }

    fn begin_verification(
        &self,
        topic: &str,
        partition: i32,
        producer: (i64, i16),
        adds_partitions: bool,
        now_ms: i64,
    ) -> PyResult<Option<u64>> {
        let log = self.log(topic, partition)?;
        Ok(producers::begin_verification(&log, producer, adds_partitions, now_ms)?)
    }

    fn when_committed(&self, topic: &str, partition: i32, offset: i64, token: u64) -> PyResult<()> {
        let log = self.log(topic, partition)?;
        if log.high_watermark() > Offset(offset) {
            moldau_server::ControlPlane::committed(&*self.events, token);
            return Ok(());
        }
        let topic_partition = TopicPartition::new(topic, partition);
        let stage = self.stage.read();
        stage
            .server()?
            .on_committed(&topic_partition, Offset(offset), token)
            .map_err(|code| Refusal::new(code, format!("{topic_partition} is not served here")))?;
        Ok(())
    }

    fn read<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        partition: i32,
        from_offset: i64,
        max_bytes: usize,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let records = py.detach(|| read_records(&*self.log(topic, partition)?, Offset(from_offset), max_bytes))?;
        let class = py.import("moldau.server.core_types")?.getattr("StoredRecord")?;
        records.into_iter().map(|record| record.into_python(&class)).collect()
    }

    fn flush(&self, py: Python<'_>, topic: &str, partition: i32) -> PyResult<()> {
        Ok(py.detach(|| self.log(topic, partition)?.flush().map_err(Refusal::from))?)
    }

    fn log_start_offset(&self, topic: &str, partition: i32) -> PyResult<i64> {
        Ok(self.log(topic, partition)?.log_start_offset().0)
    }

    fn high_watermark(&self, topic: &str, partition: i32) -> PyResult<i64> {
        Ok(self.log(topic, partition)?.high_watermark().0)
    }

    fn log_end_offset(&self, topic: &str, partition: i32) -> PyResult<i64> {
        Ok(self.log(topic, partition)?.log_end_offset().0)
    }

    fn latest_leader_epoch(&self, topic: &str, partition: i32) -> PyResult<Option<i32>> {
        Ok(self.log(topic, partition)?.latest_leader_epoch().map(|epoch| epoch.0))
    }

    fn begin_leader_epoch(&self, py: Python<'_>, topic: &str, partition: i32, leader_epoch: i32) -> PyResult<()> {
        py.detach(|| {
            self.log(topic, partition)?
                .begin_leader_epoch(LeaderEpoch(leader_epoch));
            if topic == METADATA_TOPIC {
                self.metadata_epoch.store(leader_epoch, Ordering::Release);
            }
            Ok::<(), Refusal>(())
        })?;
        Ok(())
    }

    fn create_partitions<'py>(
        &self,
        py: Python<'py>,
        partitions: Vec<PythonPartitionSpec<'py>>,
        now_ms: i64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let specs = settings::partition_specs(partitions)?;
        let failures = py.detach(|| self.logs.create_all(&specs, now_ms));
        let failures = failures.into_iter();
        failures_to_python(py, failures.map(|failure| (failure.topic_partition, failure.message)))
    }

    fn delete_partitions<'py>(
        &self,
        py: Python<'py>,
        topic: &str,
        partitions: Vec<i32>,
        now_ms: i64,
    ) -> PyResult<Vec<Bound<'py, PyAny>>> {
        let topic: Arc<str> = topic.into();
        let all: Vec<_> = partitions
            .into_iter()
            .map(|partition| TopicPartition::new(Arc::clone(&topic), partition))
            .collect();
        let failures = py.detach(|| self.logs.delete_all(&all, now_ms));
        failures_to_python(
            py,
            failures
                .into_iter()
                .map(|failure| (failure.topic_partition, failure.message)),
        )
    }

    fn set_log_settings(
        &self,
        py: Python<'_>,
        topic: &str,
        partitions: Vec<i32>,
        settings: &Bound<'_, PyDict>,
        now_ms: i64,
    ) -> PyResult<()> {
        let config = settings::log_config(settings)?;
        let topic = topic.into();
        py.detach(|| {
            self.logs.apply_config(&topic, &partitions, &config, now_ms);
            self.cleaner.wake();
        });
        Ok(())
    }

    fn set_cleaner_settings(&self, py: Python<'_>, settings: &Bound<'_, PyDict>) -> PyResult<()> {
        let settings = settings::cleaner_settings(settings)?;
        py.detach(|| self.cleaner.apply(&self.logs, settings).map_err(Refusal::from))?;
        Ok(())
    }

    fn set_move_limit(&self, py: Python<'_>, bytes_per_second: f64) -> PyResult<()> {
        py.detach(|| self.mover.limit(&self.logs, bytes_per_second).map_err(Refusal::from))?;
        Ok(())
    }

    fn move_partition(&self, py: Python<'_>, topic: &str, partition: i32, directory: PathBuf) -> PyResult<()> {
        let at = TopicPartition::new(topic, partition);
        Ok(py.detach(|| self.mover.request(&self.logs, &at, &directory))?)
    }

    fn futures<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        mover::futures(py, &self.logs)
    }

    fn moves_done(&self) -> u64 {
        self.logs.moves_done()
    }

    fn delete_records(&self, py: Python<'_>, topic: &str, partition: i32, before_offset: i64) -> PyResult<i64> {
        Ok(py.detach(|| {
            if topic == METADATA_TOPIC {
                let log = self.log(topic, partition)?;
                return Ok(log.delete_records_before(Offset(before_offset))?.0);
            }
            let topic_partition = TopicPartition::new(topic, partition);
            let stage = self.stage.read();
            let deleted = stage.server()?.delete_records(&topic_partition, before_offset);
            deleted.map(|start| start.0).map_err(|code| {
                Refusal::new(
                    code,
                    format!("cannot delete the records of {topic_partition} before {before_offset}"),
                )
            })
        })?)
    }

    fn put_broker(&self, node_id: i32, epoch: i64, endpoints: Vec<PythonEndpoint>, rack: Option<String>) {
        // The epoch is fencing information for followers, which do not exist yet.
        let _ = epoch;
        self.apply(ImageDelta::Broker(BrokerImage {
            id: node_id,
            rack: rack.map(Into::into),
            endpoints: endpoints.into_iter().map(settings::broker_endpoint).collect(),
        }));
    }

    fn remove_broker(&self, node_id: i32) {
        self.apply(ImageDelta::BrokerRemoved(node_id));
    }

    fn set_controller(&self, node_id: i32) {
        self.apply(ImageDelta::Controller(node_id));
    }

    fn put_topic(
        &self,
        py: Python<'_>,
        name: String,
        topic_id: Uuid,
        internal: bool,
        min_insync_replicas: u32,
        partitions: Vec<PythonPartitionState>,
    ) {
        let topic = TopicImage {
            name: name.into(),
            id: topic_id,
            internal,
            min_insync_replicas,
            partitions: partitions.into_iter().map(settings::partition_image).collect(),
        };
        py.detach(|| self.apply(ImageDelta::Topic(topic)));
    }

    fn set_features(&self, finalized: Vec<(String, i16)>, epoch: i64) {
        self.apply(ImageDelta::Features { finalized, epoch });
    }

    #[pyo3(signature = (*, enabled))]
    fn set_auto_create_topics(&self, enabled: bool) {
        self.apply(ImageDelta::AutoCreateTopics(enabled));
    }

    fn set_quotas(&self, clients: Vec<PythonQuota>, connections: Vec<(Option<IpAddr>, f64)>) -> PyResult<()> {
        self.apply(ImageDelta::Quotas(settings::quota_image(clients, connections)?));
        Ok(())
    }

    fn set_access(&self, py: Python<'_>, access: PythonAccess) {
        py.detach(|| self.apply(ImageDelta::Access(access::table(access).into())));
    }

    fn limits_requests(&self) -> bool {
        self.stage.read().serving(Server::limits_requests)
    }

    fn charge_time(&self, client_id: Option<&str>, busy_ns: u64) -> u64 {
        self.stage
            .read()
            .serving(|server| server.charge_time(client_id, Duration::from_nanos(busy_ns)))
    }

    fn limits_mutations(&self) -> bool {
        self.stage.read().serving(Server::limits_mutations)
    }

    #[pyo3(signature = (client_id, partitions, *, strict))]
    fn charge_mutations(&self, client_id: Option<&str>, partitions: u32, strict: bool) -> u64 {
        self.stage
            .read()
            .serving(|server| server.charge_mutations(client_id, partitions, strict))
    }

    #[pyo3(signature = (*, enabled))]
    fn set_verify_transactions(&self, enabled: bool) {
        self.apply(ImageDelta::VerifyTransactions(enabled));
    }

    fn remove_topic(&self, name: String) {
        self.apply(ImageDelta::TopicRemoved(name.into()));
    }

    fn housekeeping(&self, py: Python<'_>, now_ms: i64) {
        py.detach(|| self.logs.housekeeping(now_ms));
    }

    fn flush_due(&self, py: Python<'_>, now_ms: i64) -> usize {
        py.detach(|| self.logs.flush_due(now_ms))
    }

    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        Ok(py.detach(|| self.logs.checkpoint().map_err(Refusal::from))?)
    }

    fn directories<'py>(&self, py: Python<'py>) -> Statuses<'py> {
        statuses::directories(py, &self.logs)
    }

    #[pyo3(signature = (partitions = None))]
    fn logs<'py>(&self, py: Python<'py>, partitions: Option<Vec<(String, i32)>>) -> Statuses<'py> {
        statuses::logs(py, &self.logs, partitions)
    }

    fn producers<'py>(&self, py: Python<'py>, topic: &str, partition: i32) -> Statuses<'py> {
        statuses::producers(py, &*self.log(topic, partition)?)
    }

    #[classattr]
    const REQUEST_TIME_BOUNDS_US: [u64; TIME_BOUNDS_US.len()] = TIME_BOUNDS_US;

    fn request_times(&self) -> Vec<(i16, Vec<u64>, u64)> {
        self.stage.read().serving(Server::request_times)
    }

    fn render_metrics<'py>(
        &self,
        py: Python<'py>,
        metric_families: Vec<PythonFamily>,
        groups: Vec<GroupOffsets>,
        limit: usize,
    ) -> PyResult<(Bound<'py, PyBytes>, usize)> {
        let metric_families = families(metric_families)?;
        let (text, left_out) = py.detach(|| match &*self.stage.read() {
            Stage::Serving(server) => {
                let rendered = server.render_metrics(&metric_families, &groups, limit);
                (rendered.text, rendered.left_out)
            }
            _ => (String::new(), 0),
        });
        Ok((PyBytes::new(py, text.as_bytes()), left_out))
    }

    fn counters(&self) -> HashMap<String, u64> {
        let mut counters = self.stage.read().serving(Server::counters);
        counters.extend(cleaner::counters(&self.logs));
        counters
    }
}
