"""Records are written as Confluent's registry writes them, and what cannot be read is told."""

from __future__ import annotations

import hashlib
import uuid

import pytest

from moldau.registry.records import (
    BadRecordError,
    ClearSubjectKey,
    ConfigKey,
    ContextKey,
    DeleteSubjectKey,
    ModeKey,
    NoopKey,
    OtherKey,
    Record,
    SchemaKey,
    SchemaValue,
    decode,
    encode,
)
from moldau.registry.schema import Reference, Schema, guid_of

# As kcat shows them in a _schemas of Confluent Platform.
KEYS = [
    (SchemaKey("orders-value", 3), b'{"keytype":"SCHEMA","subject":"orders-value","version":3,"magic":1}'),
    (ConfigKey(None), b'{"keytype":"CONFIG","magic":0}'),
    (ConfigKey("orders-value"), b'{"keytype":"CONFIG","subject":"orders-value","magic":0}'),
    (ModeKey("orders-value"), b'{"keytype":"MODE","subject":"orders-value","magic":0}'),
    (DeleteSubjectKey("s"), b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}'),
    (ClearSubjectKey("s"), b'{"keytype":"CLEAR_SUBJECT","subject":"s","magic":0}'),
    (ContextKey(".ctx"), b'{"keytype":"CONTEXT","tenant":"default","context":".ctx","magic":0}'),
    (NoopKey(), b'{"keytype":"NOOP","magic":0}'),
]


@pytest.mark.parametrize(("key", "written"), KEYS, ids=[type(key).__name__ for key, _ in KEYS])
def test_keys_are_written_byte_for_byte_and_read_back(key, written):
    assert encode(Record(key, None)) == (written, None)
    assert decode(written, None) == Record(key, None)


def test_a_config_of_everything_may_say_so_with_null():
    assert decode(b'{"keytype":"CONFIG","subject":null,"magic":0}', b'{"compatibilityLevel":"FULL"}') == Record(
        ConfigKey(None), {"compatibilityLevel": "FULL"}
    )


def test_a_schema_of_an_old_registry_is_read():
    value = b'{"subject":"s","version":1,"id":7,"schema":"\\"string\\"","deleted":false}'
    (read,) = (decode(b'{"keytype":"SCHEMA","subject":"s","version":1,"magic":1}', value).value,)
    assert isinstance(read, SchemaValue)
    assert (read.id, read.schema.text, read.schema.language, read.deleted) == (7, '"string"', "AVRO", False)
    assert guid_of(read.md5) == guid_of(Schema('"string"').md5())


def test_a_schema_survives_the_way_through_the_log():
    schema = Schema(
        "{}", "JSON", (Reference("a.json", "a", 2),), {"properties": {"owner": "ä"}}, {"domainRules": [{"name": "r"}]}
    )
    record = Record(SchemaKey("s", 1), SchemaValue("s", 1, 5, schema, schema.md5(), deleted=True))
    assert decode(*encode(record)) == record


def test_kinds_of_records_that_are_not_known_are_left_alone():
    assert decode(b'{"keytype":"ASSOC","tenant":"default"}', b"{}") == Record(OtherKey("ASSOC"), {})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        (None, b"{}"),
        (b"", b"{}"),
        (b"\xff", b"{}"),
        (b"[]", b"{}"),
        (b"{}", b"{}"),
        (b'{"keytype":17}', b"{}"),
        (b'{"keytype":"SCHEMA","subject":"s"}', None),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b"{"),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b"[]"),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b"{}"),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b'{"id":1,"schema":5}'),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b'{"id":1,"schema":"","references":[1]}'),
        (b'{"keytype":"SCHEMA","subject":"s","version":1}', b'{"id":1,"schema":"","md5":"?"}'),
        (b"[" * 100_000, None),
    ],
)
def test_what_is_no_record_of_a_registry_is_told(key, value):
    with pytest.raises(BadRecordError):
        decode(key, value)


def test_the_guid_of_a_schema_alone_is_the_md5_of_its_text():
    assert guid_of(Schema('"string"').md5()) == str(uuid.UUID(hashlib.md5(b'"string"').hexdigest()))
