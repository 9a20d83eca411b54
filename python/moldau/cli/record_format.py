"""How a record is written as text and read from it: the format strings of kcat, and JSON without loss.

    %t topic  %p partition  %o offset  %T timestamp in ms  %k key  %v (or %s) value  %h headers  %% a percent sign

JSON carries a key or a value that is UTF-8 as text; other bytes stand base64-coded under `key_base64`,
`value_base64`. Numbers inside of a value are never parsed, so none is rounded.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.outcome import UsageError

if TYPE_CHECKING:
    from confluent_kafka import Message

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}
TIMESTAMP_TYPES: Final = {0: None, 1: "CreateTime", 2: "LogAppendTime"}

Headers = list[tuple[str, str | bytes | None]]


def compile_format(text: str) -> Callable[[Message], bytes]:
    """Turn a format string into a function from record to bytes.

    Raises:
        UsageError: it has a letter that means nothing.
    """
    pieces: list[Callable[[Message], bytes]] = []
    for literal, letter in re.findall(r"((?:[^%\\]|\\.)+)|%(.)", text, re.DOTALL):
        if literal:
            pieces.append(_constant(_unescape(literal)))
        elif letter in _FIELDS:
            pieces.append(_FIELDS[letter])
        else:
            raise UsageError(f"%{letter} means nothing in a format", "%t %p %o %T %k %v %h do")
    return lambda message: b"".join(piece(message) for piece in pieces)


def _constant(text: str) -> Callable[[Message], bytes]:
    content = text.encode()
    return lambda _message: content


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[0]), text, flags=re.DOTALL)


def _headers_as_text(message: Message) -> bytes:
    return b",".join(name.encode() + b"=" + _as_bytes(value) for name, value in headers_of(message))


def headers_of(message: Message) -> Headers:
    """The headers of a record, in order; none is an empty list."""
    headers: Any = message.headers()
    return list(headers or ())


_FIELDS: Final[Mapping[str, Callable[[Message], bytes]]] = {
    "t": lambda message: str(message.topic()).encode(),
    "p": lambda message: str(message.partition()).encode(),
    "o": lambda message: str(message.offset()).encode(),
    "T": lambda message: str(message.timestamp()[1]).encode(),
    "k": lambda message: _as_bytes(message.key()),
    "v": lambda message: _as_bytes(message.value()),
    "s": lambda message: _as_bytes(message.value()),
    "h": _headers_as_text,
    "%": lambda _message: b"%",
}


def _as_bytes(content: bytes | str | None) -> bytes:
    return content.encode() if isinstance(content, str) else content or b""


def as_json(message: Message) -> dict[str, Any]:
    """A record with everything that belongs to it."""
    timestamp_type, timestamp_ms = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "timestamp_ms": timestamp_ms if timestamp_type else None,
        "timestamp_type": TIMESTAMP_TYPES.get(timestamp_type),
        **_text_or_base64("key", message.key()),
        **_text_or_base64("value", message.value()),
        "headers": [{"name": name, **_text_or_base64("value", value)} for name, value in headers_of(message)],
    }


def _text_or_base64(name: str, content: bytes | str | None) -> dict[str, str | None]:
    if content is None or isinstance(content, str):
        return {name: content}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}


def content_of(record: Mapping[str, Any], name: str) -> bytes | None:
    """A key or value as `as_json` wrote it; a value that is no text (an object, a number) is written as JSON.

    Raises:
        ValueError: it is not base64.
    """
    if f"{name}_base64" in record:
        return base64.b64decode(record[f"{name}_base64"], validate=True)
    content = record.get(name)
    if content is None or isinstance(content, str):
        return None if content is None else content.encode()
    import json

    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
