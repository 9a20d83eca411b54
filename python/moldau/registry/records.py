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


def decode(key: bytes | None, value: bytes | None, timestamp_ms: int = 0) -> Record:
    """Raises BadRecordError."""
    if key is None:
        raise BadRecordError("a record without a key")
    try:
        read_key = _key(json.loads(key))
        if value is None:
            return Record(read_key, None)
        body = json.loads(value) if value else None
        if body is not None and not isinstance(body, dict):
            raise BadRecordError("a value that is no object")
        if isinstance(read_key, SchemaKey) and body is not None:
            return Record(read_key, _schema_value(read_key, body, timestamp_ms))
        return Record(read_key, body)
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise BadRecordError(f"not a record of a registry: {error!r}") from error


def _key(key: Any) -> Key:
    if not isinstance(key, dict):
        raise BadRecordError("a key that is no object")
    match key["keytype"]:
        case "SCHEMA":
            return SchemaKey(_text(key["subject"]), int(key["version"]))
        case "NOOP":
            return NoopKey()
        case "CONTEXT":
            return ContextKey(_text(key.get("context", DEFAULT_CONTEXT)))
        case str(keytype) if keytype in ABOUT_A_SUBJECT:
            subject = key.get("subject")
            return ABOUT_A_SUBJECT[keytype](None if subject is None else _text(subject))
        case keytype:
            return OtherKey(_text(keytype))


def _schema_value(key: SchemaKey, body: Mapping[str, Any], timestamp_ms: int) -> SchemaValue:
    references = tuple(
        Reference(_text(each["name"]), _text(each["subject"]), int(each["version"]))
        for each in body.get("references") or ()
    )
    language = _text(body.get("schemaType") or DEFAULT_LANGUAGE)
    schema = Schema(_text(body["schema"]), language, references, body.get("metadata"), body.get("ruleSet"))
    md5 = base64.b64decode(body["md5"], validate=True) if body.get("md5") else schema.md5()
    if len(md5) != MD5_BYTES:
        raise ValueError("an md5 of another length")
    deleted = bool(body.get("deleted", False))
    return SchemaValue(key.subject, key.version, int(body["id"]), schema, md5, deleted, timestamp_ms)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
