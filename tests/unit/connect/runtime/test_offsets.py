"""Offsets by connector and partition, whatever the order in which somebody wrote a partition's names."""

import pytest

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.offsets import OffsetState


def test_the_names_of_a_partition_are_the_same_in_any_order():
    state = OffsetState()
    state.apply(b'["c",{"b":1,"a":"x"}]', b'{"position":7}')

    assert state.get("c", {"a": "x", "b": 1}) == {"position": 7}


def test_a_partition_keeps_the_key_that_it_has_in_the_topic():
    state = OffsetState()
    state.apply(b'["c",{"b":1,"a":"x"}]', b'{"position":7}')

    assert state.records("c", [({"a": "x", "b": 1}, {"position": 8})]) == [
        (b'["c",{"b":1,"a":"x"}]', b'{"position":8}')
    ]


def test_a_new_partition_is_written_as_kafka_writes_it():
    assert OffsetState().records("c", [({"filename": "/ä"}, {"position": 1}), ({"filename": "b"}, None)]) == [
        ('["c",{"filename":"/ä"}]'.encode(), b'{"position":1}'),
        (b'["c",{"filename":"b"}]', None),
    ]


def test_a_reset_offset_is_none_and_its_connector_has_none():
    state = OffsetState()
    state.apply(b'["c",{"a":1}]', b'{"p":1}')
    state.apply(b'["c",{"a":1}]', None)

    assert (state.get("c", {"a": 1}), state.all_of("c")) == (None, [])


@pytest.mark.parametrize("key", [None, b"", b"{", b'{"a":1}', b'["c"]', b'["c",1]', b"[1,{}]", b"\xff"])
def test_a_record_of_somebody_else_is_skipped(key):
    state = OffsetState()
    state.apply(key, b"{}")
    assert state.all_of("c") == state.all_of("1") == []


def test_an_offset_that_is_no_json_is_refused():
    with pytest.raises(ConnectError, match="number"):
        OffsetState().records("c", [({"a": 1}, {"p": object()})])
