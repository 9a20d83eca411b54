"""What the converters share that ask a schema registry: subjects, ids, what is asked once, and what failures mean.

Bytes are Confluent's: 0, the schema's id in four bytes, the content; or the content alone, and in a header 1 and the
schema's GUID. In Protobuf what follows either says which message of the schema it is. For each topic and schema the
registry is asked at the first record; from then on a record costs a look at a cache and the codec.

What the registry refuses (409: not compatible, 422: no schema) and does not know (404) is a `DataError` of the record;
a registry that cannot be reached, or is busy, is a `RetriableError`.
"""

from __future__ import annotations

import abc
import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from moldau.connect.config_def import ConfigDef
from moldau.connect.converters.registry_settings import check_refused, client_of, strategy_of
from moldau.connect.data import NULL, Schema, SchemaAndValue
from moldau.connect.errors import ConnectError, DataError, RetriableError
from moldau.connect.plugin import Converter
from moldau.connect.records import Header

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import Schema as RegistrySchema
    from confluent_kafka.schema_registry import SchemaRegistryClient

PREFIX_BYTES: Final = 5
GUID_BYTES: Final = 17
BUSY: Final = (408, 429)

Encode = Callable[[Any, bytes], bytes]
"""Writes a value behind a prefix."""
Decode = Callable[[bytes, int], Any]
"""Reads the value at a place."""


@dataclass(frozen=True, slots=True)
class Declared:
    """A schema as it is registered, and the name of its record."""

    text: str
    name: str


@dataclass(frozen=True, slots=True)
class Registered:
    """A schema of the registry, its id, and the texts of what it refers to, by their names there."""

    id: int
    schema: RegistrySchema
    references: dict[str, str]

    @property
    def text(self) -> str:
        """The schema itself."""
        return str(self.schema.schema_str)


class RegistryConverter(Converter):
    """Extended by one class for each language of schemas. Configured once, used by one task."""

    FORMAT: ClassVar[str]
    """The registry's name of the language."""
    LANGUAGE: ClassVar[str]
    """Ours, for messages."""
    CONFIG: ClassVar[ConfigDef]
    FORM: ClassVar[str | None] = None
    """In which of its forms the registry is asked for a schema."""

    def config(self) -> ConfigDef:
        return self.CONFIG

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        settings = self.CONFIG.parse(configs)
        check_refused(settings)
        self._is_key = is_key
        self._header = f"__{'key' if is_key else 'value'}_schema_id"
        self._strategy = strategy_of(settings, is_key=is_key)
        self._settings = settings
        self._most: int = settings["schemas.cache.config"]
        self._encoders: dict[tuple[str, Schema | None], Callable[[Any], bytes]] = {}
        self._decoders: dict[tuple[str, bytes], tuple[Schema | None, Decode]] = {}
        self._last: tuple[Any, Any, Callable[[Any], bytes]] = (None, self, bytes)
        self._forget_at: float | None = None
        self._client: SchemaRegistryClient = client_of(settings)

    def close(self) -> None:
        """Let go of the client."""
        client = getattr(self, "_client", None)
        if client is not None:
            client.close()

    @abc.abstractmethod
    def _declared(self, schema: Schema | None) -> Declared:
        """How a schema of Connect is registered. Raises `DataError` when it cannot be."""

    @abc.abstractmethod
    def _encoder(self, schema: Schema | None, registered: Registered) -> Encode:
        """What writes values of `schema`; may raise ValueError and TypeError, as what it returns may."""

    @abc.abstractmethod
    def _decoder(self, registered: Registered, version: int | None, place: bytes = b"") -> tuple[Schema | None, Decode]:
        """What reads values that a registered schema wrote, and the schema that they have then.

        `place` says which of several records of the schema it is, if the language has several.
        """

    @abc.abstractmethod
    def _name_in(self, registered: Registered, place: bytes = b"") -> str:
        """The name of the record that a registered schema describes."""

    def _place_end(self, data: bytes, start: int) -> int:
        """Where the content begins, behind what says which of several records it is. Raises ValueError."""
        return start

    def from_connect_data(
        self, topic: str, schema: Schema | None, value: Any, headers: Iterable[Header] | None = None
    ) -> bytes | None:
        if value is None and (schema is None or schema.optional):
            return None
        if self._forget_at is not None:
            self._forget()
        known_topic, known_schema, encode = self._last
        if schema is not known_schema or topic != known_topic:
            encode = self._encoders.get((topic, schema)) or self._new_encoder(topic, schema)
            self._last = (topic, schema, encode)
        try:
            return encode(value)
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            raise DataError(f"a value for {topic} cannot be written as {self.LANGUAGE}: {error}") from error

    def to_connect_data(
        self, topic: str, data: bytes | None, headers: Iterable[tuple[str, bytes | None]] | None = None
    ) -> SchemaAndValue:
        if data is None:
            return NULL
        head, start = self._head(topic, data, headers)
        found = self._decoders.get((topic, head))
        schema, decode = found if found is not None else self._new_decoder(topic, head)
        try:
            return SchemaAndValue(schema, decode(data, start))
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"a record of {topic} is not what the schema {_stated(head)} wrote: {error}") from error

    def _head(self, topic: str, data: bytes, headers: Iterable[tuple[str, bytes | None]] | None) -> tuple[bytes, int]:
        """What says which schema it is, and where the content begins."""
        for name, content in headers or ():
            if name == self._header and content is not None:
                return bytes(content), 0
        try:
            start = self._place_end(data, PREFIX_BYTES)
        except ValueError as error:
            raise DataError(f"a record of {topic} does not say which message of its schema it is: {error}") from error
        return data[:start], start

    def _forget(self) -> None:
        """Ask again for newest versions whose time is over."""
        if self._forget_at is not None and time.monotonic() >= self._forget_at:
            self._forget_at = None
            self._encoders.clear()
            self._last = (None, self, bytes)
            self._client.clear_latest_caches()

    def _new_encoder(self, topic: str, schema: Schema | None) -> Callable[[Any], bytes]:
        registered = self._registered_for(topic, schema)
        try:
            encode = self._encoder(schema, registered)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"the schema {registered.id} cannot be written with: {error}") from error
        prefix = b"\0" + registered.id.to_bytes(4, "big")
        _keep(self._encoders, (topic, schema), lambda value: encode(value, prefix), self._most)
        return self._encoders[topic, schema]

    def _registered_for(self, topic: str, schema: Schema | None) -> Registered:
        declared = self._declared(schema)
        return self._registered(self._subject(topic, declared.name), declared, schema)

    def _registered(self, subject: str, declared: Declared, schema: Schema | None) -> Registered:
        from confluent_kafka.schema_registry import Schema as RegistrySchema

        settings, client = self._settings, self._client
        given = RegistrySchema(declared.text, self.FORMAT)
        with self._asking(f"subject {subject}"):
            if settings["use.schema.id"] >= 0:
                number: int = settings["use.schema.id"]
                return self._with_references(number, client.get_schema(number, subject, fmt=self.FORM))
            if settings["use.latest.version"]:
                if settings["latest.cache.ttl.sec"] >= 0 and self._forget_at is None:
                    self._forget_at = time.monotonic() + settings["latest.cache.ttl.sec"]
                latest = client.get_latest_version(subject, fmt=self.FORM)
                found = self._with_references(int(latest.schema_id or 0), latest.schema)
                if settings["latest.compatibility.strict"]:
                    self._check_latest(schema, found, subject)
                return found
            ask = client.register_schema_full_response if settings["auto.register.schemas"] else client.lookup_schema
            answer = ask(subject, given, normalize_schemas=settings["normalize.schemas"])
        return Registered(int(answer.schema_id or 0), given, {})

    def _check_latest(self, schema: Schema | None, latest: Registered, subject: str) -> None:
        known, _ = self._decoder(latest, None)
        lost = [f.name for f in schema.fields if f.name not in known.by_name] if schema and known is not None else []
        if lost:
            raise DataError(
                f"the newest version of {subject} has no field {', '.join(lost)}\n"
                "hint: register one that has, or set latest.compatibility.strict=false to leave those out"
            )

    def _new_decoder(self, topic: str, head: bytes) -> tuple[Schema | None, Decode]:
        size = GUID_BYTES if head[:1] == b"\1" else PREFIX_BYTES
        if len(head) < size or head[0] > 1:
            raise DataError(
                f"a record of {topic} begins with {head.hex() or 'nothing'}, not with 0 and the id of a schema\n"
                f"hint: it was not written through a schema registry; use the converter that it was written with"
            )
        number, place = _stated(head), head[size:]
        hint = self._subject(topic, "") if self._strategy == "TopicNameStrategy" else None
        with self._asking(f"schema {number}"):
            if isinstance(number, str):
                found = self._client.get_schema_by_guid(number, fmt=self.FORM)
            else:
                found = self._client.get_schema(number, hint, fmt=self.FORM)
            if (found.schema_type or "AVRO") != self.FORMAT:
                raise DataError(
                    f"a record of {topic} was written with the schema {number}, which is {found.schema_type}, not "
                    f"{self.FORMAT}\nhint: use the converter of that language"
                )
            registered = self._with_references(number if isinstance(number, int) else 0, found)
        try:
            name = "" if hint else self._name_in(registered, place)
            subject = hint or (self._subject(topic, name) if name else None)
            version = self._version(subject, registered.schema) if subject is not None else None
            decoder = self._decoder(registered, version, place)
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"the schema {number} of a record of {topic} cannot be read with: {error}") from error
        _keep(self._decoders, (topic, head), decoder, self._most)
        return decoder

    def _version(self, subject: str, schema: RegistrySchema) -> int | None:
        """The version that a schema has there; None when it is not there, as with another strategy of the writer's."""
        from confluent_kafka.schema_registry.error import SchemaRegistryError

        with self._asking(f"subject {subject}"):
            try:
                return self._client.lookup_schema(subject, schema, deleted=True).version
            except SchemaRegistryError as error:
                if error.http_status_code == 404:
                    return None
                raise

    def _with_references(self, number: int, schema: RegistrySchema) -> Registered:
        found: dict[str, str] = {}
        begun: set[tuple[str | None, int | None]] = set()

        def collect(holder: RegistrySchema) -> None:
            for reference in holder.references or ():
                place = (reference.subject, reference.version)
                if place in begun:
                    continue
                begun.add(place)
                subject, version = str(reference.subject), int(reference.version or -1)
                answer = self._client.get_version(subject, version, deleted=True, fmt=self.FORM)
                collect(answer.schema)
                found[str(reference.name)] = str(answer.schema.schema_str)

        collect(schema)
        return Registered(number, schema, found)

    def _subject(self, topic: str, name: str) -> str:
        if self._strategy == "TopicNameStrategy":
            return f"{topic}-{'key' if self._is_key else 'value'}"
        if not name:
            raise DataError(
                f"a schema for {topic} has no name, which {self._strategy} names subjects after\n"
                "hint: give it one with the SetSchemaMetadata transform, or use TopicNameStrategy"
            )
        return name if self._strategy == "RecordNameStrategy" else f"{topic}-{name}"

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        """Give failures of the registry their meaning."""
        from confluent_kafka.schema_registry.error import OAuthTokenError, SchemaRegistryError

        try:
            yield
        except SchemaRegistryError as error:
            status = error.http_status_code
            message = f"the schema registry refused {what}: {error}"
            if status in BUSY or status >= 500:
                raise RetriableError(message) from error
            if status in (401, 403):
                raise ConnectError(f"{message}\nhint: set basic.auth.user.info, or what else it wants") from error
            raise DataError(message) from error
        except (_transport_error(), OAuthTokenError, OSError) as error:
            where = ", ".join(self._settings["schema.registry.url"])
            raise RetriableError(f"the schema registry at {where} was not reached for {what}: {error}") from error


def _stated(head: bytes) -> int | str:
    """The id of a schema, or its GUID as text."""
    if head[:1] == b"\1":
        return str(uuid.UUID(bytes=head[1:GUID_BYTES]))
    return int.from_bytes(head[1:PREFIX_BYTES], "big")


def _transport_error() -> type[Exception]:
    """What the client raises when it has no answer: of httpx, or of the library in its place in newer versions."""
    from confluent_kafka.schema_registry._sync import schema_registry_client

    found: type[Exception] = getattr(schema_registry_client, "httpx").HTTPError  # noqa: B009 (not in its `__all__`)
    return found


def _keep(cache: dict[Any, Any], key: Any, value: Any, most: int) -> None:
    if len(cache) >= most:
        cache.pop(next(iter(cache)), None)
    cache[key] = value
