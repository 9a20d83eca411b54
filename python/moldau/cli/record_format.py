r"""How a record is written as text and read from it: the format strings of kcat and rpk, and JSON without loss.

    %t topic      %p partition   %o offset        %T timestamp in ms      %h headers as name=value, with commas
    %k key        %K its size    %v (or %s) value %S its size             %H number of headers   %% a percent sign
    %k{hex}, %v{hex}, %v{base64}, %v{json}: other spellings of bytes; %T{iso}: the time for eyes; \n \t \r \0 \\ \xNN

JSON carries a key or a value that is UTF-8 as text; other bytes stand base64-coded under `key_base64`,
`value_base64`. Numbers inside of a value are never parsed, so none is rounded.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.outcome import UsageError

if TYPE_CHECKING:
    from confluent_kafka import Message

_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "\\": "\\"}
TIMESTAMP_TYPES: Final = {0: None, 1: "CreateTime", 2: "LogAppendTime"}
PIECE: Final = re.compile(r"((?:[^%\\]|\\.)+)|%(.)(?:\{([a-z0-9]*)\})?", re.DOTALL)

Headers = list[tuple[str, str | bytes | None]]


def compile_format(text: str, null: str = "") -> Callable[[Message], bytes]:
    """Turn a format string into a function from record to bytes.

    Args:
        null: what stands for a key or a value that is null.

    Raises:
        UsageError: it has a letter or a spelling that means nothing.
    """
    nothing = null.encode()
    pieces: list[Callable[[Message], bytes]] = []
    for literal, letter, spelling in PIECE.findall(text):
        if literal:
            pieces.append(_constant(unescape(literal)))
        elif letter in _CONTENTS:
            pieces.append(_content(_CONTENTS[letter], spelling, nothing))
        elif letter == "T" and spelling == "iso":
            pieces.append(_moment)
        elif letter in _FIELDS and not spelling:
            pieces.append(_FIELDS[letter])
        else:
            raise UsageError(
                f"%{letter}{f'{{{spelling}}}' if spelling else ''} means nothing in a format",
                "%t %p %o %T %T{iso} %k %K %v %S %h %H do, %k and %v also with {hex}, {base64} or {json}",
            )
    return lambda message: b"".join(piece(message) for piece in pieces)


def _constant(content: bytes) -> Callable[[Message], bytes]:
    return lambda _message: content


def unescape(text: str) -> bytes:
    r"""The bytes of a text with `\n`, `\t`, `\r`, `\0`, `\\` and `\xNN`."""
    content = bytearray()
    for plain, number, letter in re.findall(r"([^\\]+)|\\x([0-9a-fA-F]{2})|\\(.?)", text, re.DOTALL):
        if plain:
            content += plain.encode()
        elif number:
            content.append(int(number, 16))
        else:
            content += _ESCAPES.get(letter, "\\" + letter).encode()
    return bytes(content)


def _content(take: Callable[[Message], Any], spelling: str, nothing: bytes) -> Callable[[Message], bytes]:
    if spelling not in _SPELLINGS:
        raise UsageError(f"{{{spelling}}} is no way to write bytes", "{hex}, {base64} and {json} are")
    spell = _SPELLINGS[spelling]

    def write(message: Message) -> bytes:
        content = take(message)
        return nothing if content is None else spell(_as_bytes(content))

    return write


def _as_json_text(content: bytes) -> bytes:
    # Bytes that are no UTF-8 are shown as such and cannot be read back: for those there is base64.
    return json.dumps(content.decode(errors="replace"), ensure_ascii=False).encode()


_SPELLINGS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "": lambda content: content,
    "hex": lambda content: content.hex().encode(),
    "base64": base64.b64encode,
    "json": _as_json_text,
}


def _moment(message: Message) -> bytes:
    kind, timestamp_ms = message.timestamp()
    if not kind:
        return b"-"
    try:
        return datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="milliseconds").encode()
    except (ValueError, OverflowError, OSError):
        # No calendar goes that far; the number is still a fact.
        return str(timestamp_ms).encode()


def _headers_as_text(message: Message) -> bytes:
    return b",".join(name.encode() + b"=" + _as_bytes(value) for name, value in headers_of(message))


def headers_of(message: Message) -> Headers:
    """The headers of a record, in order; none is an empty list."""
    headers: Any = message.headers()
    return list(headers or ())


_CONTENTS: Final[Mapping[str, Callable[[Message], Any]]] = {
    "k": lambda message: message.key(),
    "v": lambda message: message.value(),
    "s": lambda message: message.value(),
}

_FIELDS: Final[Mapping[str, Callable[[Message], bytes]]] = {
    "t": lambda message: str(message.topic()).encode(),
    "p": lambda message: str(message.partition()).encode(),
    "o": lambda message: str(message.offset()).encode(),
    "T": lambda message: str(message.timestamp()[1]).encode(),
    # As in kcat: -1 is the size of nothing.
    "K": lambda message: _size(message.key()),
    "S": lambda message: _size(message.value()),
    "h": _headers_as_text,
    "H": lambda message: str(len(headers_of(message))).encode(),
    "%": lambda _message: b"%",
}


def _size(content: bytes | str | None) -> bytes:
    return b"-1" if content is None else str(len(_as_bytes(content))).encode()


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
        **_content_as_json(message, "key", message.key()),
        **_content_as_json(message, "value", message.value()),
        "headers": [{"name": name, **text_or_base64("value", value)} for name, value in headers_of(message)],
    }


def _content_as_json(message: Message, part: str, content: bytes | str | None) -> dict[str, Any]:
    """A part that was decoded with a schema is JSON already, and stands there as such."""
    if content is not None and part in getattr(message, "documents", ()):
        return {part: json.loads(content)}
    return text_or_base64(part, content)


def text_or_base64(name: str, content: bytes | str | None) -> dict[str, str | None]:
    """Bytes under a name that says how they are written."""
    if content is None or isinstance(content, str):
        return {name: content}
    try:
        return {name: content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(content).decode()}
