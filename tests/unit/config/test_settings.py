"""Files, environment and flags, merged: who wins, what is refused, what is warned of."""

import pytest

from moldau.config.broker_security import STANDARD_AUTHORIZER
from moldau.config.environment import key_of, settings_in, variable_of
from moldau.config.settings import EMBEDDED, Given, Origin, SettingsError, load, super_users

GUIDE_COMBINED_NODE = """\
# server.properties — combined broker+controller node
process.roles=broker,controller     # this node does both
node.id=1
controller.quorum.voters=1@host1:9093,2@host2:9093,3@host3:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
"""

GUIDE_TUNING = """\
## NETWORK & THREADS
num.network.threads=8           # socket threads: 2x CPU cores
num.io.threads=16              # disk I/O threads: 4x CPU cores
num.replica.fetchers=4         # replication fetch parallelism
socket.send.buffer.bytes=1048576      # 1MB socket buffer
socket.receive.buffer.bytes=1048576
socket.request.max.bytes=104857600    # 100MB max request
## LOG STORAGE
log.dirs=/data/kafka-logs,/data2/kafka-logs   # RAID-0 across SSDs
log.segment.bytes=1073741824     # 1GB segments
log.retention.hours=168           # 7 days
log.flush.interval.messages=10000   # fsync every 10K messages
log.flush.interval.ms=1000          # or every 1s — whichever first
## REPLICATION
default.replication.factor=3
min.insync.replicas=2
replica.lag.time.max.ms=30000   # remove from ISR after 30s lag
"""

# The keys and values of config/server.properties in Apache Kafka 4.3.
KAFKA_SAMPLE = """\
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://:9092,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
log.dirs=/tmp/kraft-combined-logs
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


def from_file(text, **more):
    return load(file=("server.properties", text), **more)


def problems_of(text, **more):
    with pytest.raises(SettingsError) as refusal:
        from_file(text, **more)
    return refusal.value.problems


def override(name, text):
    return Given(name, text, Origin("flag", "--override"))


def test_the_guides_combined_node_loads():
    settings = from_file(GUIDE_COMBINED_NODE)
    assert settings.words("process.roles") == ("broker", "controller")
    client, controller = settings.listeners
    assert (client.name, client.host, client.port, client.advertised, client.controller) == (
        "PLAINTEXT",
        "",
        9092,
        None,
        False,
    )
    assert (controller.name, controller.port, controller.controller) == ("CONTROLLER", 9093, True)
    assert any("controller.quorum.voters" in warning for warning in settings.warnings)


def test_the_guides_tuning_loads_and_its_remarks_are_not_part_of_the_values():
    settings = from_file(GUIDE_TUNING)
    assert settings.log_directories == ("/data/kafka-logs", "/data2/kafka-logs")
    assert settings.integer("log.flush.interval.messages") == 10_000
    assert settings.integer("min.insync.replicas") == 2
    remarks = [warning for warning in settings.warnings if "remarks" in warning]
    assert len(remarks) == 1
    assert "line 2, 3, 4, 5, 7, 9, 10, 11, 12, 13, 17" in remarks[0]


def test_every_key_without_effect_is_told_in_one_warning():
    (warning,) = [w for w in from_file(GUIDE_TUNING).warnings if "no effect" in w]
    assert "num.network.threads, num.io.threads: tokio" in warning
    assert "num.replica.fetchers" in warning
    # It was set to what it is anyway: nothing is lost.
    assert "replica.lag.time.max.ms" not in warning


def test_kafkas_own_sample_loads_without_a_complaint_about_what_it_leaves_at_the_default():
    settings = from_file(KAFKA_SAMPLE)
    assert settings.listeners[0].advertised == ("localhost", 9092)
    assert settings.log_directories == ("/tmp/kraft-combined-logs",)
    assert "num.network.threads" not in "\n".join(settings.warnings)


def test_an_unknown_key_is_refused_with_its_line_and_the_key_that_was_meant():
    assert problems_of("node.id=1\nnum.partitons=3") == [
        "server.properties:2: num.partitons is no setting of Kafka; did you mean num.partitions?"
    ]


def test_every_mistake_of_a_file_is_told_at_once():
    problems = problems_of("num.partitions=0\nnonsense.key=1\nlog.dirs=\nlisteners=SSL://:9092\nbroker.id=7\n")
    assert [problem.split(":")[1] for problem in problems[:3]] == ["1", "2", "3"]
    assert any("broker.id must be the same as node.id" in problem for problem in problems)
    assert any("SSL asks for SSL; this version serves PLAINTEXT only" in problem for problem in problems)


def test_a_broken_escape_is_told_with_its_line():
    assert "server.properties:2:" in problems_of("node.id=1\nbroker.rack=\\u12")[0]


def test_flags_win_over_environment_over_file_over_defaults_and_the_rest_is_kept():
    settings = from_file(
        "num.partitions=2\nlog.retention.hours=2\nbroker.rack=file",
        environment={"KAFKA_NUM_PARTITIONS": "3", "KAFKA_LOG_RETENTION_HOURS": "3", "HOME": "/root"},
        overrides=[override("num.partitions", "4")],
    )
    assert settings.integer("num.partitions") == 4
    assert settings.integer("log.retention.hours") == 3
    assert settings.text("broker.rack") == "file"
    assert settings.integer("node.id") == 1
    assert [str(settings.origin(name)) for name in ("num.partitions", "log.retention.hours", "broker.rack")] == [
        "--override",
        "KAFKA_LOG_RETENTION_HOURS",
        "server.properties:3",
    ]
    assert settings.origin("log.segment.bytes").source == "default"


def test_a_variable_with_a_wrong_value_is_refused_by_its_name():
    with pytest.raises(SettingsError) as refusal:
        load(environment={"KAFKA_NUM_PARTITIONS": "x"})
    assert refusal.value.problems[0].startswith(
        "KAFKA_NUM_PARTITIONS: Invalid value x for configuration num.partitions"
    )


def test_variables_that_kubernetes_sets_for_a_service_named_kafka_do_not_stop_the_broker():
    settings = load(environment={"KAFKA_SERVICE_HOST": "10.0.0.1", "KAFKA_PORT": "tcp://10.0.0.1:9092"})
    assert len(settings.warnings) == 2
    assert load(environment={"KAFKA_HEAP_OPTS": "-Xmx6g", "KAFKA_OPTS": "-D"}).warnings == []


def test_advertised_listeners_alone_in_the_environment_also_say_where_to_listen():
    settings = load(environment={"KAFKA_ADVERTISED_LISTENERS": "PLAINTEXT://broker:9095"})
    assert [(one.host, one.port, one.advertised) for one in settings.listeners] == [("0.0.0.0", 9095, ("broker", 9095))]


def test_the_cluster_id_comes_from_its_variable():
    assert load(environment={"CLUSTER_ID": "5L6g3nShT-eMCtK--X86sw"}).cluster_id == "5L6g3nShT-eMCtK--X86sw"
    assert load().cluster_id is None


@pytest.mark.parametrize("name", ["log.retention.ms", "a_b.c", "x-y.z_w", "sasl.jaas.config"])
def test_a_key_and_its_variable_stand_for_each_other(name):
    assert key_of(variable_of(name)) == name


def test_variables_of_the_jvm_are_no_settings():
    assert settings_in({"KAFKA_HEAP_OPTS": "x", "KAFKA_NODE_ID": "1", "PATH": "y"}) == {
        "node.id": ("KAFKA_NODE_ID", "1")
    }


def test_keys_that_kafka_4_dropped_are_accepted_and_named():
    (warning,) = from_file("zookeeper.connect=zk:2181\ninter.broker.protocol.version=3.9").warnings
    assert "zookeeper.connect, inter.broker.protocol.version: Kafka 4 no longer has it" in warning


def test_another_authorizer_is_refused_rather_than_ignored():
    (problem,) = problems_of("authorizer.class.name=kafka.security.authorizer.AclAuthorizer")
    assert "AclAuthorizer" in problem
    assert STANDARD_AUTHORIZER in problem


def test_a_super_user_is_a_principal():
    assert super_users(from_file("super.users=User:admin; User:CN=ops,O=x ;").value("super.users")) == (
        "User:admin",
        "User:CN=ops,O=x",
    )
    (problem,) = problems_of(f"authorizer.class.name={STANDARD_AUTHORIZER}\nsuper.users=User:admin;bob")
    assert "'bob'" in problem


def test_super_users_of_a_node_without_an_authorizer_are_warned_of():
    (warning,) = from_file("super.users=User:admin").warnings
    assert "nothing is protected" in warning
    assert from_file(f"authorizer.class.name={STANDARD_AUTHORIZER}\nsuper.users=User:admin").warnings == []


@pytest.mark.parametrize(
    ("listeners", "complaint"),
    [
        ("listeners=PLAINTEXT", "not of the form NAME://host:port"),
        ("listeners=PLAINTEXT://:9092,PLAINTEXT://:9093", "PLAINTEXT stands there twice"),
        (
            "listeners=PLAINTEXT://:9092,INSIDE://:9092\nlistener.security.protocol.map=PLAINTEXT:PLAINTEXT,INSIDE:PLAINTEXT",
            "port 9092 is used twice",
        ),
        ("listeners=INSIDE://:9092", "INSIDE has no security protocol"),
        ("listeners=SASL_SSL://:9092", "this version serves PLAINTEXT only"),
        ("listeners=CONTROLLER://:9093", "every listener belongs to the controller"),
        ("advertised.listeners=OUTSIDE://a:1", "OUTSIDE is not in listeners"),
        ("advertised.listeners=PLAINTEXT://0.0.0.0:9092", "name a real address"),
        ("listener.security.protocol.map=A:B", "not of the form NAME:PROTOCOL"),
        ("listeners=PLAINTEXT://:99999", "not of the form"),
    ],
)
def test_listeners_that_cannot_work_are_refused(listeners, complaint):
    assert any(complaint in problem for problem in problems_of(listeners))


def test_an_ipv6_address_stands_in_brackets():
    (listener,) = from_file("listeners=PLAINTEXT://[::1]:9092").listeners
    assert (listener.host, listener.port) == ("::1", 9092)


def test_an_embedded_node_waits_for_nobody_and_clamps_replicas():
    settings = load(base=EMBEDDED)
    assert settings.integer("group.initial.rebalance.delay.ms") == 0
    assert settings.flag("moldau.replication.factor.clamp")
    assert settings.warnings == []
    assert load().integer("group.initial.rebalance.delay.ms") == 3000


def test_the_topics_of_the_coordinators_have_one_replica_unless_the_file_says_otherwise():
    assert load().integer("offsets.topic.replication.factor") == 1
    (warning,) = from_file("offsets.topic.replication.factor=3").warnings
    assert "no consumer group can commit" in warning


def test_more_replicas_than_nodes_are_warned_of_unless_they_are_clamped():
    assert any("clamp=true" in warning for warning in from_file("default.replication.factor=3").warnings)
    assert not any(
        "clamp=true" in warning for warning in from_file("default.replication.factor=3", base=EMBEDDED).warnings
    )
