"""Keys and values that a schema registry knows, shown as JSON.

Every record says which schema wrote it (Confluent's two wire formats); the registry is asked once per schema. What
cannot be read is told with the record's place and left out; a registry that does not answer ends the command.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.outcome import PartlyDoneError, RefusedError
from moldau.cli.output import say
from moldau.cli.registered import Form
from moldau.cli.registry_client import AnswerError, RegistryConnection

if TYPE_CHECKING:
    from confluent_kafka import Message

TYPES: Final = {"avro": "AVRO", "json-schema": "JSON", "protobuf": "PROTOBUF"}
Read = Callable[[bytes, int], str]
"""From a record's bytes, and where its payload begins, to JSON."""


class UnreadableError(RefusedError):
    """A key or a value is not what its schema says, or there is no schema."""


@dataclass(slots=True)
class Documents:
    """A message whose key, value or both are JSON now; everything else is the message's."""

    message: Message
    documents: dict[str, str | None]

    def key(self) -> Any:
        return self.documents["key"] if "key" in self.documents else self.message.key()

    def value(self) -> Any:
        return self.documents["value"] if "value" in self.documents else self.message.value()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.message, name)


@dataclass
class Reader:
    """Reads records, and counts those that it cannot read."""

    registry: RegistryConnection
    forms: dict[str, Form]
    unreadable: int = 0
    _reads: dict[tuple[int | str, Form], Read | UnreadableError] = field(default_factory=dict)

    def readable(self, messages: list[Message]) -> Iterator[Any]:
        """The records that can be read, as `Documents` in a Message's place; of each other one is said why not."""
        for message in messages:
            try:
                yield Documents(message, dict(self._documents(message)))
            except UnreadableError as error:
                self.unreadable += 1
                say(f"{message.topic()}-{message.partition()} at offset {message.offset()}: {error}")

    def check(self) -> None:
        """Raises PartlyDoneError if there was one that could not be read."""
        if self.unreadable:
            said = "1 record" if self.unreadable == 1 else f"{self.unreadable:,} records"
            raise PartlyDoneError(
                f"{said} could not be read, and left out",
                "without --value and --key they are shown as they are",
            )

    def _documents(self, message: Message) -> Iterator[tuple[str, str | None]]:
        headers: Any = message.headers()
        for part, form in self.forms.items():
            if form == "text":
                continue
            content: Any = message.key() if part == "key" else message.value()
            try:
                yield part, None if content is None else self._document(content, part, headers, form)
            except ValueError as error:
                raise UnreadableError(f"the {part} is no {form}: {error}") from error
            except UnreadableError as error:
                raise UnreadableError(f"the {part}: {error}") from error

    def _document(self, content: bytes, part: str, headers: Any, form: Form) -> str:
        from confluent_kafka.serialization import MessageField, SerializationContext, SerializationError

        from moldau.client.serdes.framing import unframed

        try:
            stated, start = unframed(content, SerializationContext("", MessageField(part), headers))
        except SerializationError as error:
            raise UnreadableError(str(error.args[0])) from error
        known = self._reads.get((stated, form))
        if known is None:
            try:
                known = self._reading(stated, form)
            except UnreadableError as error:
                known = error
            self._reads[stated, form] = known
        if isinstance(known, UnreadableError):
            raise known
        return known(content, start)

    def _reading(self, stated: int | str, form: Form) -> Read:
        path = ("ids", str(stated)) if isinstance(stated, int) else ("guids", stated)
        name = f"the schema with the {'id' if isinstance(stated, int) else 'GUID'} {stated}"
        try:
            schema = self.registry.ask("GET", "schemas", *path)
            kind = schema.get("schemaType", "AVRO")
            if form != "registry" and kind != TYPES[form]:
                raise UnreadableError(f"{name} is {kind}, not {TYPES[form]}")
            if kind == "AVRO":
                return _reading_avro(str(schema["schema"]), self._references(schema))
            if kind == "JSON":
                return _json_text
            return self._reading_protobuf(path, schema)
        except AnswerError as error:
            raise UnreadableError(f"{self.registry.registry} does not give {name}: {error}") from error
        except ValueError as error:
            raise UnreadableError(f"{name} cannot be used: {error}") from error

    def _references(self, schema: dict[str, Any]) -> list[str]:
        return [text for _, text in self.registry.resolved(schema.get("references", ()))]

    def _reading_protobuf(self, path: tuple[str, ...], schema: dict[str, Any]) -> Read:
        from moldau.cli.registered_protobuf import files_of, reading

        serialized = self.registry.ask("GET", "schemas", *path, query={"format": "serialized"})
        return reading(files_of(self.registry, serialized | {"references": schema.get("references", [])}))


def _reading_avro(schema: str, references: list[str]) -> Read:
    from moldau.cli.avro_json import shown
    from moldau.client.serdes import AvroDecoder
    from moldau.client.serdes.framing import is_bare_bytes

    if is_bare_bytes(schema):
        return lambda content, start: shown(content[start:])
    decode = AvroDecoder(schema, references=references).decode
    return lambda content, start: shown(decode(content, start))


def _json_text(content: bytes, start: int) -> str:
    text = content[start:].decode()
    # Looked at and not parsed, so that every number stays as it was written.
    json.loads(text, parse_int=str, parse_float=str)
    return text.strip()
