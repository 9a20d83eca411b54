"""Records of a log in words: what the internal topics say, and bytes as text where they are text."""

from __future__ import annotations

import base64
import dataclasses
import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, Final
from uuid import UUID

from moldau.cli.record_format import text_or_base64
from moldau.control.groups import records as group_records
from moldau.control.metadata import records as metadata_records
from moldau.control.schema import SchemaError
from moldau.control.transactions import records as transaction_records
from moldau.server.log_files import CONTROL_TYPES, Record
from moldau.server.storage import uuid_to_text

Decode = Callable[[Record, bool], dict[str, Any]]
"""From a record, and whether it is a control record, to what stands in its row."""


def _plain(record: Record, control: bool) -> dict[str, Any]:
    if control and record.key is not None and len(record.key) >= 4:
        (number,) = struct.unpack_from(">h", record.key, 2)
        return {"control": CONTROL_TYPES.get(number, str(number))}
    return {**text_or_base64("key", record.key), **text_or_base64("value", record.value)}


def _metadata(record: Record, control: bool) -> dict[str, Any]:
    if control or record.value is None:
        return _plain(record, control)
    try:
        message, version = metadata_records.decode_record(record.value)
    except SchemaError as error:
        return {**_plain(record, control), "note": str(error)}
    return {"type": type(message).__name__, "version": version, "data": as_plain(message)}


def _offsets(record: Record, control: bool) -> dict[str, Any]:
    if control:
        return _plain(record, control)
    try:
        found = group_records.decode_record(record.key, record.value)
    except SchemaError as error:
        return {**_plain(record, control), "note": str(error)}
    return {"type": type(found).__name__, "data": as_plain(found)}


def _transactions(record: Record, control: bool) -> dict[str, Any]:
    if control:
        return _plain(record, control)
    try:
        found = transaction_records.decode_record(record.key, record.value)
    except SchemaError as error:
        return {**_plain(record, control), "note": str(error)}
    if found is None:
        return {**_plain(record, control), "note": "a kind of record that this version does not know"}
    transaction = None
    if found.transaction is not None:
        places = [{"topic": topic, "partition": partition} for topic, partition in sorted(found.transaction.partitions)]
        transaction = {**as_plain(found.transaction), "state": found.transaction.state.told, "partitions": places}
    data = {"transactional_id": found.transactional_id, "transaction": transaction}
    return {"type": type(found).__name__, "data": data}


DECODERS: Final[Mapping[str, Decode]] = {
    "none": _plain,
    "metadata": _metadata,
    "offsets": _offsets,
    "transactions": _transactions,
}


def as_plain(value: Any) -> Any:
    """Dataclasses, ids and bytes as what JSON knows."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, UUID):
        return uuid_to_text(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple | set | frozenset):
        return [as_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(name): as_plain(one) for name, one in value.items()}
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def as_line(row: Mapping[str, Any]) -> str:
    """A record for eyes."""
    head = f"  {row['offset']:>8}"
    if "control" in row:
        return f"{head}  {row['control']} marker"
    if "type" in row:
        return f"{head}  {row['type']} {json.dumps(row['data'], ensure_ascii=False)}"
    parts = [
        f"{name}={json.dumps(row[name], ensure_ascii=False)}"
        for name in ("key", "key_base64", "value", "value_base64", "note")
        if name in row
    ]
    return f"{head}  {' '.join(parts)}"
