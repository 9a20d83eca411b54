"""pgoutput's messages: what was written is read again, and what is torn or made up is an error that says so."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.connect.connectors.postgres import pgoutput_messages as wire

from moldau.connect.connectors.postgres import pgoutput
from moldau.connect.connectors.postgres.pgoutput import UNCHANGED, PgOutputError, decode

int64s = st.integers(-(2**63), 2**63 - 1)
times = st.integers(-(2**62), 2**62)
oids = st.integers(0, 2**32 - 1)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
rows = st.lists(st.one_of(st.binary(max_size=50), st.none(), st.just(UNCHANGED)), max_size=8)
columns = st.lists(st.tuples(names, oids, st.integers(-(2**31), 2**31 - 1), st.booleans()), max_size=6)
inserts = st.builds(wire.insert, oids, rows)
updates = st.builds(wire.update, oids, st.none() | rows, st.booleans(), rows)
deletes = st.builds(wire.delete, oids, rows, st.booleans())
relations = st.builds(wire.relation, oids, names, names, st.sampled_from("dnfi"), columns)
others = st.one_of(
    st.builds(wire.begin, int64s, times, oids),
    st.builds(wire.commit, int64s, int64s, times),
    st.builds(wire.truncate, st.lists(oids, max_size=5), st.integers(0, 3)),
    st.builds(wire.message, st.booleans(), int64s, names, st.binary(max_size=30)),
    st.builds(wire.origin, int64s, names),
    st.builds(wire.type_name, oids, names, names),
)
messages = st.one_of(inserts, updates, deletes, relations, others)


@given(oids, st.none() | rows, st.booleans(), rows)
def test_an_update_is_read_as_it_was_written(oid, old, only_key, new):
    update = decode(wire.update(oid, old, only_key, new))
    assert isinstance(update, pgoutput.Update)
    assert (update.relation, update.old, update.new) == (oid, old, new)
    assert update.only_key == (only_key and old is not None)


@given(oids, names, names, st.sampled_from("dnfi"), columns)
def test_a_relation_is_read_as_it_was_written(oid, schema, table, identity, described):
    relation = decode(wire.relation(oid, schema, table, identity, described))
    assert isinstance(relation, pgoutput.Relation)
    assert (relation.oid, relation.schema, relation.table, relation.replica_identity) == (oid, schema, table, identity)
    read = [(column.name, column.type_oid, column.type_modifier, column.in_identity) for column in relation.columns]
    assert read == described


@given(int64s, times, oids, names, st.binary(max_size=30))
def test_the_frame_of_a_transaction_is_read_as_it_was_written(lsn, time, oid, name, content):
    assert decode(wire.begin(lsn, time, oid)) == pgoutput.Begin(lsn, time, oid)
    assert decode(wire.commit(lsn, lsn, time)) == pgoutput.Commit(lsn, lsn, time)
    assert decode(wire.message(True, lsn, name, content)) == pgoutput.LogicalMessage(True, lsn, name, content)
    assert decode(wire.truncate([oid], 3)) == pgoutput.Truncate((oid,), True, True)


@given(messages, st.data())
def test_a_torn_message_is_an_error_that_names_its_kind(message, data):
    torn = message[: data.draw(st.integers(1, len(message) - 1))]
    with pytest.raises(PgOutputError, match=repr(chr(message[0]))):
        decode(torn)


@given(messages, st.binary(min_size=1, max_size=10))
def test_a_message_that_goes_on_after_its_end_is_an_error(message, more):
    with pytest.raises(PgOutputError):
        decode(message + more)


@given(st.binary(max_size=200))
def test_made_up_bytes_are_a_message_or_an_error_and_nothing_else(data):
    with contextlib.suppress(PgOutputError):
        decode(data)


@given(messages, st.data())
def test_a_flipped_byte_is_a_message_or_an_error_and_nothing_else(message, data):
    place = data.draw(st.integers(0, len(message) - 1))
    flipped = message[:place] + bytes([message[place] ^ data.draw(st.integers(1, 255))]) + message[place + 1 :]
    with contextlib.suppress(PgOutputError):
        decode(flipped)
