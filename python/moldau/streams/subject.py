"""`Subject`: a subject of a schema registry as the type of keys or values, in Avro, JSON Schema or Protobuf.

    orders = builder.stream("orders", value=Subject("orders-value", Order))

The registry is asked when the first record comes or goes: for the newest version of the subject, which everything is
written with and, in Avro, seen as; and for the schemas that records were written with. Nothing is registered. Stores
and internal topics hold the same bytes, under the same subject.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar, overload

import msgspec

from moldau.streams.errors import StreamsError
from moldau.streams.serdes import Serde
from moldau.streams.serdes.structured import is_frozen

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import RegisteredSchema

T = TypeVar("T")

NewClient = Callable[[], Any]
"""Makes a SchemaRegistryClient that has seen nothing yet."""

URL_VARIABLE: Final = "MOLDAU_REGISTRY_URL"
DEFAULT_URL: Final = "http://localhost:8081"


class SubjectError(StreamsError):
    """The subject cannot be the type of these values; the message says why."""


class Subject(Serde[T]):
    """The type of what is written under one subject of a registry."""

    @overload
    def __init__(
        self: Subject[Any],
        subject: str,
        kind: None = None,
        *,
        registry: str | Mapping[str, Any] | None = None,
    ) -> None: ...
    @overload
    def __init__(
        self,
        subject: str,
        kind: type[T],
        *,
        registry: str | Mapping[str, Any] | None = None,
    ) -> None: ...
    def __init__(
        self,
        subject: str,
        kind: type[Any] | None = None,
        *,
        registry: str | Mapping[str, Any] | None = None,
    ) -> None:
        """Nothing is asked yet.

        Args:
            subject: its name in the registry, such as `orders-value`.
            kind: what callbacks get and give: a dataclass, a msgspec Struct, a pydantic model or a TypedDict; dicts
                without it. For Protobuf the class that protoc made of the message, always.
            registry: its URL, or the settings of a SchemaRegistryClient, with `url` and credentials;
                `MOLDAU_REGISTRY_URL` or http://localhost:8081 without it.
        """
        format_ = _Format(subject, kind, registry)
        super().__init__(
            f"Subject({subject})",
            format_.serialize,
            format_.deserialize,
            immutable=kind is not None and is_frozen(kind),
        )


class _Codec(NamedTuple):
    """The two halves of a subject's serde, once the registry was asked."""

    write: Callable[[Any, Any], bytes]
    read: Callable[[bytes, Any], Any]
    context: Any


class _Format:
    """Finds out on the first record how a subject is written. May be used by several threads."""

    def __init__(self, subject: str, kind: type[Any] | None, registry: Any) -> None:
        self._subject = subject
        self._kind = kind
        self._registry = registry
        self._lock = threading.Lock()
        self._codec: _Codec | None = None

    def serialize(self, value: Any) -> bytes:
        """The value with the id of its schema in front."""
        write, _, context = self._codec or self._asked()
        return write(value, context)

    def deserialize(self, data: bytes) -> Any:
        """The value, whichever version of the schema it was written with."""
        _, read, context = self._codec or self._asked()
        return read(data, context)

    def _asked(self) -> _Codec:
        with self._lock:
            if self._codec is None:
                self._codec = self._made()
            return self._codec

    def _made(self) -> _Codec:
        try:
            from confluent_kafka.schema_registry.error import SchemaRegistryError
            from confluent_kafka.serialization import MessageField, SerializationContext
        except ImportError as error:
            raise SubjectError(
                "confluent-kafka's clients of a schema registry are not installed\n"
                "hint: python -m pip install 'moldau[registry]'"
            ) from error
        client = _client(self._registry)
        try:
            registered = client.get_latest_version(self._subject)
        except SchemaRegistryError as error:
            raise SubjectError(
                f"the schema of subject {self._subject} cannot be found: {error}\n"
                f"hint: register it before the start: moldau schema register FILE --subject {self._subject}"
            ) from error
        kind = registered.schema.schema_type or "AVRO"
        make = {"AVRO": _avro, "JSON": _json, "PROTOBUF": _protobuf}.get(kind)
        if make is None:
            raise SubjectError(f"subject {self._subject} has schemas of type {kind}, which nobody here reads")
        # What one half has seen of a schema a client gives the other half too, without its id and as text.
        write, read = make(self._subject, self._kind, _Known(client, registered), partial(_client, self._registry))
        return _Codec(write, read, SerializationContext(self._subject, MessageField.VALUE))

    def __repr__(self) -> str:
        return f"_Format({self._subject!r})"


class _Known:
    """The registry for whoever writes: what was the newest version when the application began is it for good."""

    def __init__(self, client: Any, registered: RegisteredSchema) -> None:
        self._client = client
        self.registered = registered

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def lookup_schema(self, *_: Any, **__: Any) -> RegisteredSchema:
        """The version that is written."""
        return self.registered

    get_latest_version = lookup_schema


def _client(registry: str | Mapping[str, Any] | None) -> Any:
    from confluent_kafka.schema_registry import SchemaRegistryClient

    if isinstance(registry, Mapping):
        return SchemaRegistryClient(dict(registry))
    return SchemaRegistryClient({"url": registry or os.environ.get(URL_VARIABLE) or DEFAULT_URL})


def _avro(subject: str, kind: Any, known: _Known, new_client: NewClient) -> tuple[Any, Any]:
    from moldau.client.serdes import AvroDeserializer, AvroSerializer

    schema, writing, reading = known.registered.schema, _writing(subject), _reading(subject)
    if hasattr(kind, "model_validate"):
        return (
            AvroSerializer(known, schema, lambda value, _: value.model_dump(), writing),  # type: ignore[arg-type]
            AvroDeserializer(new_client(), schema, lambda fields, _: kind.model_validate(fields), conf=reading),
        )
    into = None if kind is None or issubclass(kind, dict) else kind
    return (
        AvroSerializer(known, schema, conf=writing),  # type: ignore[arg-type]
        AvroDeserializer(new_client(), schema, conf=reading, into=into),
    )


def _json(subject: str, kind: Any, known: _Known, new_client: NewClient) -> tuple[Any, Any]:
    from moldau.client.serdes import JSONDeserializer, JSONSerializer

    to_dict: Callable[[Any, Any], Any] = lambda value, _: msgspec.to_builtins(value)  # noqa: E731
    from_dict: Callable[[Any, Any], Any] | None = None
    if hasattr(kind, "model_validate"):
        to_dict = lambda value, _: value.model_dump(mode="json")  # noqa: E731
        from_dict = lambda fields, _: kind.model_validate(fields)  # noqa: E731
    elif kind is not None:
        from_dict = lambda fields, _: msgspec.convert(fields, kind)  # noqa: E731
    return (
        JSONSerializer(known.registered.schema, known, to_dict, _writing(subject)),
        JSONDeserializer(None, from_dict, new_client(), _reading(subject)),
    )


def _protobuf(subject: str, kind: Any, known: _Known, new_client: NewClient) -> tuple[Any, Any]:
    from moldau.client.serdes import ProtobufDeserializer, ProtobufSerializer

    if not hasattr(kind, "DESCRIPTOR"):
        raise SubjectError(
            f"subject {subject} is Protobuf, and {kind!r} is no class of a message\n"
            "hint: Subject(subject, Order) with the class that protoc made of the message"
        )
    client = new_client()
    known = _Known(client, client.get_latest_version(subject, fmt="serialized"))
    return (
        ProtobufSerializer(kind, known, {**_writing(subject), "use.latest.version": True}),
        ProtobufDeserializer(kind, _reading(subject), new_client()),
    )


def _reading(subject: str) -> dict[str, Any]:
    return {"subject.name.strategy": lambda *_: subject}


def _writing(subject: str) -> dict[str, Any]:
    return {**_reading(subject), "auto.register.schemas": False}
