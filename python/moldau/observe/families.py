"""Every name on `/metrics`, once: what kind of number it is and one sentence.

Names are the ones that dashboards for Kafka know already. There are two families of such dashboards, and a node
speaks to both:

    kafka_topic_…, kafka_consumergroup_…     kafka_exporter (Grafana 7589 and its like): offsets and lag
    kafka_server_…, kafka_network_…, …       the broker's own numbers as the JMX exporter of Prometheus spells them

What neither has begins with `moldau_`; `process_…` is what every Prometheus client tells of its process. Names are
stable: a dashboard that was made today shows the same tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from moldau.observe.metrics import METRICS, Kind

__all__ = ["ALL", "Family", "Kind"]


@dataclass(frozen=True, slots=True)
class Family:
    """One name."""

    name: str
    kind: Kind
    doc: str


def _counter(name: str, doc: str) -> Family:
    return Family(name, Kind.COUNTER, doc)


def _gauge(name: str, doc: str) -> Family:
    return Family(name, Kind.GAUGE, doc)


RENDERED: Final[dict[str, Family]] = {
    # Of the node, whatever the limit of what is shown.
    "partitions": _gauge("kafka_server_replicamanager_partitioncount", "Partitions whose log is on this node."),
    "partitions_led": _gauge("kafka_server_replicamanager_leadercount", "Partitions that this node leads."),
    "partitions_offline": _gauge(
        "kafka_server_replicamanager_offlinereplicacount", "Partitions of this node that cannot be served."
    ),
    "partitions_under_replicated": _gauge(
        "kafka_server_replicamanager_underreplicatedpartitions",
        "Partitions led here with fewer replicas in sync than they have.",
    ),
    "partitions_under_min_isr": _gauge(
        "kafka_server_replicamanager_underminisrpartitioncount",
        "Partitions led here with fewer replicas in sync than min.insync.replicas: acks=all is refused.",
    ),
    "partitions_without_leader": _gauge(
        "kafka_controller_kafkacontroller_offlinepartitionscount", "Partitions of the cluster that nobody leads."
    ),
    "log_bytes": _gauge("moldau_log_bytes", "Size of all logs of the topics on this node."),
    # For each topic; the first sample of the three counters, without a topic, is the node's.
    "topic_messages_in": _counter(
        "kafka_server_brokertopicmetrics_messagesin_total", "Records that were appended for producers."
    ),
    "topic_bytes_in": _counter(
        "kafka_server_brokertopicmetrics_bytesin_total", "Bytes of batches that were appended for producers."
    ),
    "topic_bytes_out": _counter(
        "kafka_server_brokertopicmetrics_bytesout_total", "Bytes of batches that were sent to consumers."
    ),
    "topic_partitions": _gauge("kafka_topic_partitions", "Partitions of the topic."),
    # For each partition.
    "high_watermark": _gauge(
        "kafka_topic_partition_current_offset", "Offset after the last record that consumers may see."
    ),
    "log_start_offset": _gauge(
        "kafka_topic_partition_oldest_offset", "Offset of the first record that is still there."
    ),
    "leader": _gauge("kafka_topic_partition_leader", "Node that leads the partition, -1 when none does."),
    "leader_is_preferred": _gauge(
        "kafka_topic_partition_leader_is_preferred", "1 when the first replica leads the partition."
    ),
    "replicas": _gauge("kafka_topic_partition_replicas", "Replicas of the partition."),
    "in_sync_replicas": _gauge("kafka_topic_partition_in_sync_replica", "Replicas that are in sync with the leader."),
    "under_replicated": _gauge(
        "kafka_topic_partition_under_replicated_partition", "1 when fewer replicas are in sync than there are."
    ),
    "bytes": _gauge("kafka_log_log_size", "Bytes of the partition on this node."),
    "segments": _gauge("kafka_log_log_numlogsegments", "Segment files of the partition on this node."),
    "log_end_offset": _gauge("kafka_log_log_logendoffset", "Offset after the last record, committed or not."),
    "last_stable_offset": _gauge(
        "moldau_topic_partition_last_stable_offset",
        "Up to where a consumer with read_committed sees; behind the current offset while a transaction is open.",
    ),
    # For each group.
    "group_offset": _gauge("kafka_consumergroup_current_offset", "Offset that the group has committed."),
    "group_offset_sum": _gauge(
        "kafka_consumergroup_current_offset_sum", "Committed offsets of the group, over the topic's partitions."
    ),
    "group_lag": _gauge("kafka_consumergroup_lag", "Records between what the group has committed and the end."),
    "group_lag_sum": _gauge("kafka_consumergroup_lag_sum", "Lag of the group, over the topic's partitions."),
}
"""What Rust renders, by the name of what is measured (`moldau_server::Measure`)."""

GROUP_MEMBERS: Final = _gauge("kafka_consumergroup_members", "Members of the group.")
GROUPS: Final = _gauge("kafka_coordinator_group_groupmetadatamanager_numgroups", "Groups that this node coordinates.")
COMMITTED_OFFSETS: Final = _gauge(
    "kafka_coordinator_group_groupmetadatamanager_numoffsets", "Offsets committed by the groups of this node."
)

BROKERS: Final = _gauge("kafka_brokers", "Brokers of the cluster.")
BROKER_INFO: Final = _gauge("kafka_broker_info", "1 for each broker, with where it is reached.")
BROKER_STATE: Final = _gauge(
    "kafka_server_kafkaserver_brokerstate",
    "What the node does, as Kafka numbers it: 1 starting, 3 running, 6 stopping.",
)
ACTIVE_CONTROLLER: Final = _gauge(
    "kafka_controller_kafkacontroller_activecontrollercount", "1 when this node is the controller."
)
ACTIVE_BROKERS: Final = _gauge(
    "kafka_controller_kafkacontroller_activebrokercount", "Brokers that may lead partitions."
)
FENCED_BROKERS: Final = _gauge("kafka_controller_kafkacontroller_fencedbrokercount", "Brokers that may not.")
TOPICS: Final = _gauge("kafka_controller_kafkacontroller_globaltopiccount", "Topics of the cluster.")
PARTITIONS: Final = _gauge("kafka_controller_kafkacontroller_globalpartitioncount", "Partitions of the cluster.")

REQUESTS: Final = _counter("kafka_network_requestmetrics_requests_total", "Requests that were read, by API.")
REQUEST_TIMES: Final = Family(
    "kafka_network_requestmetrics_totaltimems",
    Kind.HISTOGRAM,
    "Milliseconds from when a request was read until its answer was written down, waiting included, by API.",
)

COUNTED: Final[dict[str, Family]] = {
    "failed_produce_partitions": _counter(
        "kafka_server_brokertopicmetrics_failedproducerequests_total",
        "Partitions of Produce requests that got an error.",
    ),
    "failed_fetch_partitions": _counter(
        "kafka_server_brokertopicmetrics_failedfetchrequests_total", "Partitions of Fetch requests that got an error."
    ),
    "directories_offline": _gauge("kafka_log_logmanager_offlinelogdirectorycount", "Log directories that have failed."),
    "log_cleaner_max_dirty_percent": _gauge(
        "kafka_log_logcleanermanager_max_dirty_percent", "Dirty part of the dirtiest compacted log, in percent."
    ),
    "log_cleaner_uncleanable_partitions": _gauge(
        "kafka_log_logcleanermanager_uncleanable_partitions_count",
        "Partitions set aside because they cannot be compacted.",
    ),
    "connections_open": _gauge("kafka_server_socket_server_metrics_connection_count", "Connections that are open now."),
    **{
        name: Family(f"moldau_{name}_total", Kind.COUNTER, METRICS[name].doc)
        for name in (
            "connections_accepted",
            "connections_refused",
            "connections_reaped",
            "malformed_requests",
            "bytes_received",
            "bytes_sent",
            "sessions_evicted",
            "log_cleaner_passes",
            "log_cleaner_read_bytes",
            "log_cleaner_written_bytes",
            "log_cleaner_removed_records",
        )
    },
}
"""Numbers of `moldau.observe.metrics` that are one sample each."""

BUILD_INFO: Final = _gauge("moldau_build_info", "1, with the version that runs.")
LEFT_OUT: Final = _gauge(
    "moldau_metrics_left_out",
    "Partitions and committed offsets without samples, because there are more than moldau.metrics.partitions.max.",
)

PROCESS: Final[dict[str, Family]] = {
    "cpu_seconds": _counter("process_cpu_seconds_total", "Processor time of this process, user and system."),
    "resident_bytes": _gauge("process_resident_memory_bytes", "Memory of this process that is in RAM."),
    "virtual_bytes": _gauge("process_virtual_memory_bytes", "Address space of this process."),
    "start_time": _gauge("process_start_time_seconds", "When this process began, in seconds since the epoch."),
    "open_files": _gauge("process_open_fds", "Files and sockets that are open."),
    "open_files_max": _gauge("process_max_fds", "Files and sockets that may be open."),
}
"""What `observe.process` reads."""

ALL: Final[tuple[Family, ...]] = (
    *RENDERED.values(),
    GROUP_MEMBERS,
    GROUPS,
    COMMITTED_OFFSETS,
    BROKERS,
    BROKER_INFO,
    BROKER_STATE,
    ACTIVE_CONTROLLER,
    ACTIVE_BROKERS,
    FENCED_BROKERS,
    TOPICS,
    PARTITIONS,
    REQUESTS,
    REQUEST_TIMES,
    *COUNTED.values(),
    BUILD_INFO,
    LEFT_OUT,
    *PROCESS.values(),
)
"""Everything, for the reference page."""
