"""Records before they are sent, read from what `moldau consume -o jsonl` writes.

A value that is no text is sent exactly as it stands in the line: no number passes through a float. msgspec can do that,
and because it costs a start, only `produce --json` imports this module.
"""

from __future__ import annotations

import base64
from typing import Final

import msgspec

from moldau.cli.new_records import NewRecord
from moldau.cli.outcome import UsageError
from moldau.cli.record_format import Headers

_NULL: Final = msgspec.Raw(b"null")


class Header(msgspec.Struct):
    """One header of a line."""

    name: str
    value: msgspec.Raw = _NULL
    value_base64: str | None = None


class Line(msgspec.Struct):
    """What a line may hold; everything else in it (an offset, a topic) is passed over."""

    key: msgspec.Raw = _NULL
    key_base64: str | None = None
    value: msgspec.Raw = _NULL
    value_base64: str | None = None
    headers: list[Header] | None = None
    partition: int = -1
    timestamp_ms: int | None = None


_DECODER: Final = msgspec.json.Decoder(Line)


def from_json(content: bytes, number: int) -> NewRecord:
    """The record in line `number`.

    Raises:
        UsageError: it is none.
    """
    try:
        line = _DECODER.decode(content)
        headers: Headers = [(one.name, _bytes_of(one.value, one.value_base64)) for one in line.headers or ()]
        return NewRecord(
            key=_bytes_of(line.key, line.key_base64),
            value=_bytes_of(line.value, line.value_base64),
            headers=headers,
            partition=line.partition,
            timestamp_ms=line.timestamp_ms or 0,
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise UsageError(f"line {number} is no record: {error}") from error


def _bytes_of(raw: msgspec.Raw, coded: str | None) -> bytes | None:
    if coded is not None:
        return base64.b64decode(coded, validate=True)
    text = bytes(raw)
    if text == b"null":
        return None
    return msgspec.json.decode(text, type=str).encode() if text.startswith(b'"') else text
