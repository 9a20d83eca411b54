"""Bytes to requests and answers to bytes, for everything that Python handles.

`decode` gives kio's request object of exactly that version; `encode_response` takes a plain nested mapping with kio's
field names and writes it for any version: fields that the version does not have are dropped, fields that the handler
did not name take the protocol's default, times are plain milliseconds and error codes plain integers. So a handler
is written once for all versions of its API.

How bytes are gone through, and what a hostile body cannot do, is `moldau.wire.codec`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from moldau.control.schema import SchemaError
from moldau.wire.codec import message_codec
from moldau.wire.layout import StructLayout, message_layout, message_versions


class DecodeError(SchemaError):
    """The body does not follow the schema of its API key and version; the connection is not worth keeping."""


class EncodeError(SchemaError):
    """A handler answered with something the response cannot carry: a mistake in this package."""


def decode(api_key: int, version: int, body: bytes) -> Any:
    """The request in `body` (without its header) as kio's object of that version.

    Bytes after the request are ignored, as Kafka does.

    Raises:
        UnknownMessageError: there is no such API key or version.
        DecodeError: the bytes do not follow the schema.
    """
    codec = message_codec(api_key, version, "request")
    try:
        return codec.decode(body)
    except ValueError as error:
        raise DecodeError(f"API key {api_key} version {version}: {error}") from error


def encode_response(api_key: int, version: int, answer: Mapping[str, Any]) -> bytes:
    """The body (without its header) of the response `answer`.

    Raises:
        UnknownMessageError: there is no such API key or version.
        EncodeError: a value does not fit its field.
    """
    codec = message_codec(api_key, version, "response")
    if _spelling.checked:
        _check_names(message_layout(api_key, version, "response"), answer)
    try:
        return codec.encode(answer)
    except ValueError as error:
        raise EncodeError(f"API key {api_key} version {version}: {error}") from error


class _Spelling:
    """Whether the names of an answer are held against every version of its message."""

    checked = False


_spelling: Final = _Spelling()


def check_spelling() -> None:
    """From here on, refuse an answer with a field that no version of its message has.

    For tests: it loads every version of every message that is answered, which a broker has no time for. Without it
    such a field is dropped like one that this version lacks.
    """
    _spelling.checked = True


def _check_names(layout: StructLayout, value: Mapping[str, Any]) -> None:
    """A name that no version knows is a spelling mistake, which would otherwise be dropped in silence."""
    if not value.keys() <= layout.names:
        known = _names_in_any_version(layout.kio_class.__api_key__)  # type: ignore[attr-defined]
        misspelled = value.keys() - known.get(layout.kio_class.__name__, layout.names)
        if misspelled:
            raise EncodeError(
                f"{layout.kio_class.__name__} has no field {', '.join(sorted(misspelled))} in any version"
            )
    for field in (*layout.fields, *layout.tagged.values()):
        inside = value.get(field.name)
        if field.struct is not None and inside is not None:
            for each in inside if field.is_array else (inside,):
                _check_names(field.struct, each)


@cache
def _names_in_any_version(api_key: int) -> dict[str, frozenset[str]]:
    """By structure, the names of every field that some version of the response of `api_key` has."""
    names: dict[str, frozenset[str]] = {}
    for version in message_versions(api_key, "response"):
        pending = [message_layout(api_key, version, "response")]
        while pending:
            layout = pending.pop()
            structure = layout.kio_class.__name__
            names[structure] = names.get(structure, frozenset()) | layout.names
            pending += [field.struct for field in (*layout.fields, *layout.tagged.values()) if field.struct is not None]
    return names
