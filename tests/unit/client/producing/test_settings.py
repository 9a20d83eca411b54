"""What a producer's settings come to."""

from __future__ import annotations

import pytest

from moldau.client.producing import ProduceSettings, produce_settings
from moldau.client.settings import ClientSettingsError, Role
from moldau.client.translation import translate


def test_librdkafkas_defaults_are_the_defaults():
    assert produce_settings({}) == ProduceSettings()


def test_both_spellings_are_read():
    java = {
        "acks": "all",
        "batch.size": 16384,
        "buffer.memory": 33554432,
        "compression.type": "lz4",
        "delivery.timeout.ms": 120000,
        "linger.ms": 5,
        "max.in.flight.requests.per.connection": 5,
        "max.request.size": 2000000,
        "request.timeout.ms": 10000,
        "retries": 7,
        "retry.backoff.ms": 200,
    }
    made = produce_settings(translate(Role.PRODUCER, java).native)
    assert made == ProduceSettings(
        batch_bytes=16384,
        buffer_bytes=33554432,
        compression="lz4",
        delivery_timeout_s=120.0,
        linger_s=0.005,
        record_bytes_max=2000000,
        request_timeout_ms=10000,
        retries=7,
        retry_backoff_s=0.2,
    )


def test_every_mistake_is_named():
    with pytest.raises(ClientSettingsError) as failure:
        produce_settings({"acks": 0, "batch.size": "big", "linger.ms": -1, "compression.type": "rar"})
    assert {problem.setting for problem in failure.value.problems} == {
        "acks",
        "batch.size",
        "linger.ms",
        "compression.type",
    }


def test_a_batch_that_no_broker_takes_is_refused_before_it_is_made():
    with pytest.raises(ClientSettingsError, match=r"batch\.size: must be 104857600 or less"):
        produce_settings({"batch.size": 2**31})


def test_an_idempotent_producer_wants_all_replicas():
    with pytest.raises(ClientSettingsError, match="acks: must be all"):
        produce_settings({"acks": 1, "enable.idempotence": True})
    assert not produce_settings({"acks": 1}).idempotent


@pytest.mark.parametrize(
    ("codec", "level", "expected"), [("gzip", 12, 9), ("zstd", 0, 1), ("lz4", 3, None), ("zstd", -1, None)]
)
def test_levels_stay_within_those_of_the_codec(codec, level, expected):
    made = produce_settings({"compression.codec": codec, "compression.level": level})
    assert (made.compression, made.compression_level) == (codec, expected)


@pytest.mark.parametrize(
    ("name", "value"),
    [("partitioner", "consistent"), ("plugin.library.paths", "some.so"), ("enable.gapless.guarantee", True)],
)
def test_what_only_librdkafka_does_is_refused(name, value):
    with pytest.raises(ClientSettingsError, match=name):
        produce_settings({name: value})
    assert produce_settings({"partitioner": "murmur2_random", "enable.gapless.guarantee": False})


def test_transactions_are_of_an_idempotent_producer():
    assert produce_settings({}).transactional_id is None
    made = produce_settings({"transactional.id": "t", "transaction.timeout.ms": 900})
    assert (made.transactional_id, made.transaction_timeout_ms) == ("t", 900)
    with pytest.raises(ClientSettingsError, match=r"enable\.idempotence: must be true for a transactional"):
        produce_settings({"transactional.id": "t", "acks": 1})
