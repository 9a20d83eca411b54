"""What is done once per schema: a registry's answer compiled, and the settings of confluent-kafka's serializers read.

The steps that ask the registry are generators: each `yield` hands out a call to be made, and gets its answer back. So
the same steps serve a client that blocks and one that is awaited (`run`, `run_async`).
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from confluent_kafka.schema_registry import Schema

from moldau._core import AvroDecoder, AvroEncoder
from moldau.client.serdes.framing import is_bare_bytes
from moldau.client.serdes.shapes import Shapes

T = TypeVar("T")
Steps = Generator[Callable[[], Any], Any, T]
"""Calls to be made, and what comes of them."""

REFERENCES_MAX: Final = 1000
"""Schemas behind schemas; a registry that answers without end is not followed without end."""


def run(steps: Steps[T]) -> T:
    """Take the steps with a client that blocks."""
    answer = None
    try:
        while True:
            answer = steps.send(answer)()
    except StopIteration as done:
        result: T = done.value
        return result


async def run_async(steps: Steps[T]) -> T:
    """Take the steps with a client whose answers are awaited."""
    answer = None
    try:
        while True:
            answer = steps.send(answer)()
            if inspect.isawaitable(answer):
                answer = await answer
    except StopIteration as done:
        result: T = done.value
        return result


def schema_from(given: str | Schema | None) -> Schema | None:
    """A schema as the registry takes it: the bare name of a primitive type becomes an object.

    Raises:
        TypeError: it is neither text nor a Schema.
    """
    if given is None or isinstance(given, Schema):
        return given
    if not isinstance(given, str):
        raise TypeError("a schema is given as text or as a Schema")
    text = given.strip()
    if text and text[0] not in '{["':
        text = json.dumps({"type": text})
    elif text.startswith('"'):
        text = f'{{"type": {text}}}'
    return Schema(text, schema_type="AVRO")


def references_of(registry: Any, schema: Schema) -> Steps[list[str]]:
    """The texts of everything that a schema refers to, each after those that it needs."""
    found: dict[tuple[str, int], str] = {}
    begun: set[tuple[str, int]] = set()

    def collect(holder: Schema) -> Steps[None]:
        for reference in holder.references or ():
            place: Any = (reference.subject, reference.version)
            if place in begun:
                continue
            if len(begun) == REFERENCES_MAX:
                raise ValueError(f"a schema with more than {REFERENCES_MAX} references is not read")
            begun.add(place)
            answer = yield lambda place=place: registry.get_version(*place, True)  # type: ignore[misc]
            yield from collect(answer.schema)
            found[place] = answer.schema.schema_str

    yield from collect(schema)
    return list(found.values())


def name_of(text: str) -> str | None:
    """The record name that a subject may be named after: of a named type in full, of a primitive one its type."""
    schema = json.loads(text)
    if not isinstance(schema, dict):
        return None
    name, namespace = schema.get("name"), schema.get("namespace")
    if name is None:
        kind = schema.get("type")
        return kind if isinstance(kind, str) else None
    return f"{namespace}.{name}" if namespace and "." not in name else str(name)


def encoding(registry: Any, schema: Schema) -> Steps[Callable[..., bytes]]:
    """What writes values of a schema: `encode(value, prefix)`."""
    text = str(schema.schema_str)
    if is_bare_bytes(text):
        return _encode_bare_bytes
    references = yield from references_of(registry, schema)
    return AvroEncoder(text, references=references).encode


def _encode_bare_bytes(value: Any, prefix: bytes = b"") -> bytes:
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes | bytearray):
        raise TypeError(f"{type(value).__name__} is no bytes")
    return prefix + value


@dataclass(frozen=True)
class Wish:
    """What a value is to become."""

    into: type | None = None
    return_record_name: bool = False


def decoding(registry: Any, writer: Schema, reader: Schema | None, wish: Wish) -> Steps[Callable[..., Any]]:
    """What reads values of `writer`, as `reader` sees them: `decode(data, start)`."""
    text = str(writer.schema_str)
    if is_bare_bytes(text):
        return _decode_bare_bytes
    references = yield from references_of(registry, writer)
    seen, seen_references = text, references
    settings: dict[str, Any] = {"named_branches": wish.return_record_name}
    if reader is not None and reader.schema_str != text:
        seen = str(reader.schema_str)
        seen_references = yield from references_of(registry, reader)
        settings |= {"reader": seen, "reader_references": seen_references}
    if wish.into is not None:
        shapes = Shapes(seen, seen_references, wish.into)
        settings |= {"shapes": shapes.shapes, "symbols": shapes.symbols}
    return AvroDecoder(text, references=references, **settings).decode


def _decode_bare_bytes(data: bytes, start: int = 0) -> bytes:
    return data[start:]


def take(conf: Mapping[str, Any] | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, with what was not said; the check for names that nobody knows.

    Raises:
        ValueError: a name is none of `known`, or a yes-or-no setting is something else.
    """
    given = dict(conf or {})
    unknown = sorted(given.keys() - known.keys())
    if unknown:
        raise ValueError(f"Unrecognized properties: {', '.join(unknown)}")
    for name, default in known.items():
        if isinstance(default, bool) and not isinstance(given.get(name, default), bool):
            raise ValueError(f"{name} must be a boolean value")  # noqa: TRY004 (as theirs does)
    return {**known, **given}
