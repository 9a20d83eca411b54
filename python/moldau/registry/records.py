"""The records of `_schemas`: keys and values in JSON, as Confluent's registry writes them.

A key says what a record is about, its last value is what holds (the topic is compacted), no value means it is gone.
Keys are written byte for byte as Confluent does, or compaction would keep two records of one thing. Values may have
attributes that we do not know; NOOP's value is ours alone (theirs is skipped unread) and remembers the highest ids
that were ever given, so that an id is not given twice even when its record is gone.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from moldau.errors import MoldauError
from moldau.registry.languages import DEFAULT_LANGUAGE
from moldau.registry.names import DEFAULT_CONTEXT
from moldau.registry.schema import Reference, Schema

TENANT: Final = "default"
MD5_BYTES: Final = 16


class BadRecordError(MoldauError):
    """A record that cannot be read; it is reported and skipped."""


@dataclass(frozen=True, slots=True)
class SchemaKey:
    """One version of a subject."""

    subject: str
    version: int

    def to_json(self) -> dict[str, Any]:
        return {"keytype": "SCHEMA", "subject": self.subject, "version": self.version, "magic": 1}


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """The settings of a subject or context; None: of everything."""

    subject: str | None = None
    keytype = "CONFIG"

    def to_json(self) -> dict[str, Any]:
        return _about_subject(self.keytype, self.subject)


@dataclass(frozen=True, slots=True)
class ModeKey:
    """The mode of a subject or context; None: of everything."""

    subject: str | None = None
    keytype = "MODE"

    def to_json(self) -> dict[str, Any]:
        return _about_subject(self.keytype, self.subject)


@dataclass(frozen=True, slots=True)
class DeleteSubjectKey:
    """Soft deletion of a subject up to a version."""

    subject: str | None = None
    keytype = "DELETE_SUBJECT"

    def to_json(self) -> dict[str, Any]:
        return _about_subject(self.keytype, self.subject)


@dataclass(frozen=True, slots=True)
class ClearSubjectKey:
    """Permanent deletion of what was deleted softly in a subject or context."""

    subject: str | None = None
    keytype = "CLEAR_SUBJECT"

    def to_json(self) -> dict[str, Any]:
        return _about_subject(self.keytype, self.subject)


@dataclass(frozen=True, slots=True)
class ContextKey:
    """A context that has, or had, schemas."""

    context: str

    def to_json(self) -> dict[str, Any]:
        return {"keytype": "CONTEXT", "tenant": TENANT, "context": self.context, "magic": 0}


@dataclass(frozen=True, slots=True)
class NoopKey:
    """Nothing but a place in the log."""

    def to_json(self) -> dict[str, Any]:
        return {"keytype": "NOOP", "magic": 0}


@dataclass(frozen=True, slots=True)
class OtherKey:
    """A kind of record that this version does not know (ASSOC among them): kept in the log, and left alone."""

    keytype: str


Key = SchemaKey | ConfigKey | ModeKey | DeleteSubjectKey | ClearSubjectKey | ContextKey | NoopKey | OtherKey
ABOUT_A_SUBJECT: Final = {kind.keytype: kind for kind in (ConfigKey, ModeKey, DeleteSubjectKey, ClearSubjectKey)}


def _about_subject(keytype: str, subject: str | None) -> dict[str, Any]:
    named = {} if subject is None else {"subject": subject}
    return {"keytype": keytype, **named, "magic": 0}


@dataclass(frozen=True, slots=True)
class SchemaValue:
    """What one version of a subject is."""

    subject: str
    version: int
    id: int
    schema: Schema
    md5: bytes
    deleted: bool = False
    timestamp_ms: int = 0

    def to_json(self) -> dict[str, Any]:
        schema = self.schema
        value: dict[str, Any] = {"subject": self.subject, "version": self.version, "id": self.id}
        value["md5"] = base64.b64encode(self.md5).decode()
        if schema.language != DEFAULT_LANGUAGE:
            value["schemaType"] = schema.language
        if schema.references:
            value["references"] = [reference.to_json() for reference in schema.references]
        if schema.metadata is not None:
            value["metadata"] = schema.metadata
        if schema.rule_set is not None:
            value["ruleSet"] = schema.rule_set
        return {**value, "schema": schema.text, "deleted": self.deleted}


Value = SchemaValue | Mapping[str, Any]
"""Everything but schemas is the JSON object as it stands in the log."""


@dataclass(frozen=True, slots=True)
class Record:
    """`value` is None for a tombstone. `timestamp_ms` is when it was written, 0 before that."""

    key: Key
    value: Value | None


def encode(record: Record) -> tuple[bytes, bytes | None]:
    """Key and value as bytes."""
    assert not isinstance(record.key, OtherKey), "records that are not understood are not written"
    value = record.value.to_json() if isinstance(record.value, SchemaValue) else record.value
    return _to_bytes(record.key.to_json()), None if value is None else _to_bytes(value)


def _to_bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


# As records stand in the log. Attributes that are not here are passed over: what newer registries add does no harm.


class _KeyInLog(msgspec.Struct, gc=False):
    keytype: str
    subject: str | None = None
    version: int | None = None
    context: str = DEFAULT_CONTEXT


class _ReferenceInLog(msgspec.Struct, gc=False):
    name: str
    subject: str
    version: int


class _SchemaInLog(msgspec.Struct):
    id: int
    schema: str
    schemaType: str | None = None  # noqa: N815 (as it is written there)
    references: list[_ReferenceInLog] | None = None
    metadata: dict[str, Any] | None = None
    ruleSet: dict[str, Any] | None = None  # noqa: N815
    md5: str | None = None
    deleted: bool | None = None


_KEY: Final = msgspec.json.Decoder(_KeyInLog)
_SCHEMA: Final = msgspec.json.Decoder(_SchemaInLog)
_OBJECT: Final = msgspec.json.Decoder(dict[str, Any] | None)


def decode(key: bytes | None, value: bytes | None, timestamp_ms: int = 0) -> Record:
    """Raises BadRecordError."""
    if key is None:
        raise BadRecordError("a record without a key")
    try:
        read_key = _key(_KEY.decode(key))
        if not value or value == b"null":
            return Record(read_key, None)
        if isinstance(read_key, SchemaKey):
            return Record(read_key, _schema_value(read_key, _SCHEMA.decode(value), timestamp_ms))
        return Record(read_key, _OBJECT.decode(value))
    except (msgspec.MsgspecError, ValueError, RecursionError, binascii.Error) as error:
        raise BadRecordError(f"not a record of a registry: {error}") from error


def _key(key: _KeyInLog) -> Key:
    match key.keytype:
        case "SCHEMA":
            if key.subject is None or key.version is None:
                raise BadRecordError("the key of a schema without its subject or its version")
            return SchemaKey(key.subject, key.version)
        case "NOOP":
            return NoopKey()
        case "CONTEXT":
            return ContextKey(key.context)
        case keytype if keytype in ABOUT_A_SUBJECT:
            return ABOUT_A_SUBJECT[keytype](key.subject)
        case keytype:
            return OtherKey(keytype)


def _schema_value(key: SchemaKey, body: _SchemaInLog, timestamp_ms: int) -> SchemaValue:
    references = tuple(Reference(each.name, each.subject, each.version) for each in body.references or ())
    schema = Schema(body.schema, body.schemaType or DEFAULT_LANGUAGE, references, body.metadata, body.ruleSet)
    md5 = base64.b64decode(body.md5, validate=True) if body.md5 else schema.md5()
    if len(md5) != MD5_BYTES:
        raise BadRecordError("an md5 of another length")
    return SchemaValue(key.subject, key.version, body.id, schema, md5, bool(body.deleted), timestamp_ms)
