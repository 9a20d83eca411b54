"""Java's settings become librdkafka's, mistakes are named all at once, and librdkafka agrees with the table."""

import logging
import re
import time
from pathlib import Path

import pytest
from confluent_kafka import KafkaError, KafkaException

import moldau
from moldau.client import ClientSettingsError
from moldau.client.defaults import with_producer_defaults
from moldau.client.java_settings import JAVA_SETTINGS, rows_for
from moldau.client.native_settings import NATIVE_SETTINGS
from moldau.client.settings import Fate, Role
from moldau.client.translation import did_you_mean, merged, translate

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "java_client_settings.tsv"
ROLES = {"P": Role.PRODUCER, "C": Role.CONSUMER, "A": Role.ADMIN}
CLIENTS = {Role.PRODUCER: moldau.Producer, Role.CONSUMER: moldau.Consumer, Role.ADMIN: moldau.AdminClient}


def native(role: Role, **settings: object) -> dict[str, object]:
    return translate(role, merged(None, settings)).native


def java_settings() -> list[tuple[Role, str]]:
    lines = [line.split("\t") for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    return [(ROLES[letter], name) for letter, name in lines]


def problems_of(role: Role, settings: dict[str, object]) -> dict[str, str]:
    with pytest.raises(ClientSettingsError) as refused:
        CLIENTS[role](settings)
    return {problem.setting: problem.hint for problem in refused.value.problems}


def test_buffer_memory_becomes_kibibytes_rounded_up_and_lifts_the_limit_on_messages():
    assert native(Role.PRODUCER, buffer_memory=67_108_864) == {
        "queue.buffering.max.kbytes": 65_536,
        "queue.buffering.max.messages": 0,
    }
    assert native(Role.PRODUCER, buffer_memory="1025")["queue.buffering.max.kbytes"] == 2


def test_a_limit_on_messages_that_is_set_stays():
    assert (
        native(Role.PRODUCER, buffer_memory=1024, queue_buffering_max_messages=7)["queue.buffering.max.messages"] == 7
    )


def test_a_transactional_producer_does_not_begin_again_from_bootstrap_servers():
    chosen = with_producer_defaults(native(Role.PRODUCER, transactional_id="checkout-1"))
    assert chosen["metadata.recovery.strategy"] == "none"


def test_any_other_producer_may_begin_again_from_bootstrap_servers():
    assert "metadata.recovery.strategy" not in with_producer_defaults(native(Role.PRODUCER, acks="all"))


def test_a_strategy_that_is_set_stays():
    given = native(Role.PRODUCER, transactional_id="checkout-1", metadata_recovery_strategy="rebootstrap")
    assert with_producer_defaults(given)["metadata.recovery.strategy"] == "rebootstrap"


def test_the_strategy_reaches_librdkafka(caplog: pytest.LogCaptureFixture):
    with pytest.raises(KafkaException, match=re.escape("metadata.recovery.strategy")):
        moldau.Producer(transactional_id="checkout-1", metadata_recovery_strategy="no such strategy")
    caplog.set_level(logging.DEBUG, "conf")
    logged = {"debug": "conf", "logger": logging.getLogger("conf")}
    producer = moldau.Producer({"bootstrap.servers": "127.0.0.1:1", "transactional.id": "checkout-1", **logged})
    deadline = time.monotonic() + 30
    while not any("metadata.recovery.strategy = none" in line for line in caplog.messages):
        assert time.monotonic() < deadline, caplog.messages
        producer.poll(0.1)


def test_a_setting_named_alike_in_both_worlds_is_passed_on_as_it_is():
    given = {"batch.size": 1_048_576, "linger.ms": 20, "retries": 2_147_483_647, "acks": "all"}
    assert translate(Role.PRODUCER, given).native == given


def test_fetch_max_wait_is_renamed():
    assert native(Role.CONSUMER, fetch_max_wait_ms=500) == {"fetch.wait.max.ms": 500}


def test_max_poll_records_never_reaches_librdkafka():
    translation = translate(Role.CONSUMER, {"max.poll.records": "500"})
    assert translation.native == {}
    assert translation.ours == {"max.poll.records": 500}


def test_request_timeout_means_the_socket_in_a_consumer_and_itself_in_a_producer():
    assert native(Role.CONSUMER, request_timeout_ms=9) == {"socket.timeout.ms": 9}
    assert native(Role.PRODUCER, request_timeout_ms=9) == {"request.timeout.ms": 9}


def test_compression_level_counts_only_for_the_codec_in_use():
    assert native(Role.PRODUCER, compression_type="zstd", compression_zstd_level=9, compression_gzip_level=1) == {
        "compression.type": "zstd",
        "compression.level": 9,
    }


def test_assignor_classes_become_names_and_the_eager_sticky_one_is_refused():
    package = "org.apache.kafka.clients.consumer."
    assert native(Role.CONSUMER, partition_assignment_strategy=[package + "CooperativeStickyAssignor"]) == {
        "partition.assignment.strategy": "cooperative-sticky"
    }
    assert "partition.assignment.strategy" in problems_of(
        Role.CONSUMER, {"group.id": "g", "partition.assignment.strategy": package + "StickyAssignor"}
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("CooperativeStickyAssignor", "cooperative-sticky"),
        ("COOPERATIVE_STICKY", "cooperative-sticky"),
        ("class org.apache.kafka.clients.consumer.RangeAssignor, RoundRobinAssignor", "range,roundrobin"),
    ],
)
def test_an_assignor_is_understood_however_it_is_spelled(written: str, meant: str):
    assert native(Role.CONSUMER, partition_assignment_strategy=written) == {"partition.assignment.strategy": meant}


def test_a_jaas_line_becomes_user_and_password_and_no_message_repeats_it():
    line = 'org.apache.kafka.common.security.plain.PlainLoginModule required username="bob" password="a\\"b;c";'
    assert native(Role.ADMIN, sasl_jaas_config=line) == {"sasl.username": "bob", "sasl.password": 'a"b;c'}
    with pytest.raises(ClientSettingsError) as refused:
        moldau.Producer({"sasl.jaas.config": 'OAuthBearerLoginModule required secret="hunter2";'})
    assert "hunter2" not in str(refused.value)


def test_a_java_trust_store_is_refused_and_a_pem_one_is_read():
    assert "keytool" in problems_of(Role.PRODUCER, {"ssl.truststore.location": "trust.jks"})["ssl.truststore.location"]
    assert native(Role.PRODUCER, ssl_truststore_type="PEM", ssl_truststore_location="ca.pem") == {
        "ssl.ca.location": "ca.pem"
    }


def test_a_list_of_servers_is_joined():
    assert native(Role.PRODUCER, bootstrap_servers=["a:1", "b:2"]) == {"bootstrap.servers": "a:1,b:2"}


def test_every_mistake_is_reported_at_once_with_the_next_step():
    hints = problems_of(
        Role.PRODUCER,
        {"bootstrap.server": "x", "key.serializer": "Avro", "buffer.memory": "much", "partitioner.class": "P"},
    )
    assert hints.keys() == {"bootstrap.server", "key.serializer", "buffer.memory", "partitioner.class"}
    assert "did you mean bootstrap.servers?" in hints["bootstrap.server"]
    assert "bytes" in hints["key.serializer"]


@pytest.mark.parametrize("role", list(Role))
def test_an_unknown_name_is_answered_with_the_one_that_was_meant(role: Role):
    hints = problems_of(
        role, {"group.id": "g", "bootstrap.sevrers": "x"} if role is Role.CONSUMER else {"bootstrap.sevrers": "x"}
    )
    assert hints == {"bootstrap.sevrers": "did you mean bootstrap.servers?"}


def test_a_refusal_is_the_exception_that_confluent_kafka_raises():
    with pytest.raises(KafkaException) as refused:
        moldau.Producer({"no.such.thing.at.all": 1})
    assert refused.value.args[0].code() == KafkaError._INVALID_ARG
    with pytest.raises(KafkaException, match="Invalid value"):
        moldau.Producer({"linger.ms": "soon"})


def test_the_java_and_the_native_name_of_one_setting_exclude_each_other():
    assert "fetch.wait.max.ms" in problems_of(
        Role.CONSUMER, {"group.id": "g", "fetch.max.wait.ms": 1, "fetch.wait.max.ms": 2}
    )


def test_a_setting_without_effect_is_said_once_in_the_log(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.WARNING, logger="moldau.client"):
        assert translate(Role.CONSUMER, {"metric.reporters": "x", "default.api.timeout.ms": 1}).native == {}
    assert [record.message for record in caplog.records] == [
        "consumer settings without effect here: default.api.timeout.ms, metric.reporters"
    ]


@pytest.mark.parametrize("value", ["ten", "", None, 1.5, True, b"1"])
def test_a_number_that_is_none_is_refused(value: object):
    with pytest.raises(ClientSettingsError, match="whole number"):
        translate(Role.CONSUMER, {"max.poll.records": value})


def test_every_java_setting_is_either_in_the_table_or_known_to_librdkafka():
    lost = [
        (role, name) for role, name in java_settings() if name not in rows_for(role) and name not in NATIVE_SETTINGS
    ]
    assert not lost


def test_the_table_has_no_setting_that_java_lacks_and_none_twice():
    known = set(java_settings())
    assert not [(role, row.name) for row in JAVA_SETTINGS for role in row.roles if (role, row.name) not in known]
    for role in Role:
        assert len(rows_for(role)) == sum(role in row.roles for row in JAVA_SETTINGS)


def test_what_the_table_translates_into_exists_in_librdkafka():
    for row in JAVA_SETTINGS:
        for name in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)[`=]", row.becomes):
            assert name in NATIVE_SETTINGS, f"{row.name} becomes {name}"


@pytest.mark.parametrize("name", sorted(NATIVE_SETTINGS - {"plugin.library.paths", "default.topic.config"}))
def test_librdkafka_knows_the_names_that_we_suggest(name: str):
    try:
        CLIENTS[Role.CONSUMER]({"group.id": "g", name: "\x7f"})
    except (KafkaException, ValueError, TypeError) as error:
        assert "No such configuration property" not in str(error)
        assert "no such setting" not in str(error)


def test_nothing_is_suggested_where_nothing_is_near():
    assert "did you mean" not in did_you_mean(Role.PRODUCER, "zzzzzz")


def test_every_refusal_and_every_setting_without_effect_says_why():
    assert all(row.note for row in JAVA_SETTINGS if row.fate is not Fate.TRANSLATED)


def test_a_broker_stands_for_its_address_and_one_that_does_not_run_is_an_error_at_once():
    broker = moldau.Broker()
    for settings in ({"bootstrap.servers": broker}, {"bootstrap_servers": broker}):
        with pytest.raises(RuntimeError, match="call start"):
            moldau.Producer(**settings) if "bootstrap_servers" in settings else moldau.Producer(settings)
    with broker:
        assert native(Role.PRODUCER, bootstrap_servers=broker) == {"bootstrap.servers": broker.bootstrap_servers}
