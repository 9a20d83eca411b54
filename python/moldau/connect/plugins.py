"""Which class is meant by a name in a configuration: Java's full name, its short forms, or `module:Class` of Python.

`FileStreamSource`, `FileStreamSourceConnector` and `org.apache.kafka.connect.file.FileStreamSourceConnector` are the
same connector, as in Kafka. A class is imported when it is asked for, so a worker loads what its connectors use.
"""

from __future__ import annotations

import difflib
import enum
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, TypeVar

from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugin import (
    UNDEFINED_VERSION,
    Converter,
    HeaderConverter,
    Predicate,
    SinkConnector,
    SinkTask,
    SourceConnector,
    SourceTask,
    Transformation,
)

T = TypeVar("T")


class Kind(enum.StrEnum):
    """What a plugin is, in the words of the REST interface; `task` is not shown there."""

    SINK = "sink"
    SOURCE = "source"
    TRANSFORMATION = "transformation"
    PREDICATE = "predicate"
    CONVERTER = "converter"
    HEADER_CONVERTER = "header_converter"
    TASK = "task"


BASES: Final[dict[Kind, tuple[type, ...]]] = {
    Kind.SINK: (SinkConnector,),
    Kind.SOURCE: (SourceConnector,),
    Kind.TRANSFORMATION: (Transformation,),
    Kind.PREDICATE: (Predicate,),
    Kind.CONVERTER: (Converter,),
    Kind.HEADER_CONVERTER: (HeaderConverter,),
    Kind.TASK: (SourceTask, SinkTask),
}
CONNECTORS: Final = (Kind.SINK, Kind.SOURCE)
EXTRA: Final = "pip install 'moldau[connect]'"


@dataclass(frozen=True, slots=True)
class Plugin:
    """`name` is what configurations say, `place` is `module:Class`."""

    name: str
    kind: Kind
    place: str

    @property
    def simple_name(self) -> str:
        """The name without its package."""
        return self.name.rpartition(".")[2]

    @property
    def version(self) -> str:
        """The plugin's own, as it says it."""
        return version_of(load(self.place))


KAFKA: Final = "org.apache.kafka.connect."
KAFKA_VERSION: Final = "4.3.1"
"""The version of Kafka whose connectors, transforms and converters ours do the same as."""
DEBEZIUM: Final = "io.debezium.transforms."
OURS: Final = "moldau.connect."


def _of(kind: Kind, package: str, module: str, *classes: str) -> tuple[Plugin, ...]:
    """`Java=Python` where the names differ."""
    found = []
    for each in classes:
        java, _, python = each.partition("=")
        found.append(Plugin(f"{package}{java}", kind, f"{OURS}{module}:{python or java}"))
    return tuple(found)


SIMPLE: Final = (
    "BooleanConverter",
    "ByteArrayConverter",
    "DoubleConverter",
    "FloatConverter",
    "IntegerConverter",
    "LongConverter",
    "ShortConverter",
)

TRANSFORMS: Final = f"{KAFKA}transforms."


def _sided(module: str, *classes: str) -> tuple[Plugin, ...]:
    """Transforms of the key and of the value: two classes each."""
    names = [f"{each}${side}={each}{side}" for each in classes for side in ("Key", "Value")]
    return _of(Kind.TRANSFORMATION, TRANSFORMS, f"transforms.{module}", *names)


TABLE: Final = (
    *_of(Kind.SINK, f"{KAFKA}file.", "connectors.file", "FileStreamSinkConnector"),
    *_of(Kind.SINK, "io.aiven.kafka.connect.http.", "connectors.http", "HttpSinkConnector"),
    *_of(Kind.SINK, "io.confluent.connect.jdbc.", "connectors.jdbc.sink", "JdbcSinkConnector"),
    *_of(
        Kind.SINK,
        "io.debezium.connector.jdbc.",
        "connectors.jdbc.sink",
        "JdbcSinkConnector=DebeziumJdbcSinkConnector",
    ),
    *_of(Kind.SINK, "io.confluent.connect.s3.", "connectors.s3.sink", "S3SinkConnector"),
    *_of(Kind.SOURCE, f"{KAFKA}file.", "connectors.file", "FileStreamSourceConnector"),
    *_of(Kind.SOURCE, "io.debezium.connector.postgresql.", "connectors.postgres.source", "PostgresConnector"),
    *_sided("cast", "Cast"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.headers", "DropHeaders"),
    *_sided("fields", "ExtractField"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.routing", "Filter"),
    *_sided("flatten", "Flatten"),
    *_sided("headers", "HeaderFrom"),
    *_sided("fields", "HoistField"),
    *_sided("insert_field", "InsertField"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.headers", "InsertHeader"),
    *_sided("fields", "MaskField"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.routing", "RegexRouter"),
    *_sided("fields", "ReplaceField"),
    *_sided("schema_metadata", "SetSchemaMetadata"),
    *_sided("timestamps", "TimestampConverter"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.timestamps", "TimestampRouter"),
    *_of(Kind.TRANSFORMATION, TRANSFORMS, "transforms.fields", "ValueToKey"),
    *_of(Kind.TRANSFORMATION, DEBEZIUM, "transforms.debezium.logical_topic", "ByLogicalTableRouter"),
    *_of(Kind.TRANSFORMATION, f"{DEBEZIUM}outbox.", "transforms.debezium.event_router", "EventRouter"),
    *_of(Kind.TRANSFORMATION, DEBEZIUM, "transforms.debezium.extract_new_record_state", "ExtractNewRecordState"),
    *_of(Kind.TRANSFORMATION, DEBEZIUM, "transforms.debezium.logical_topic", "ToLogicalTopicRouter"),
    *_of(
        Kind.PREDICATE,
        f"{TRANSFORMS}predicates.",
        "transforms.predicates",
        "HasHeaderKey",
        "RecordIsTombstone",
        "TopicNameMatches",
    ),
    *_of(Kind.CONVERTER, "io.confluent.connect.avro.", "converters.avro", "AvroConverter"),
    *_of(Kind.CONVERTER, "io.confluent.connect.json.", "converters.json_schema", "JsonSchemaConverter"),
    *_of(Kind.CONVERTER, "io.confluent.connect.protobuf.", "converters.protobuf", "ProtobufConverter"),
    *_of(Kind.CONVERTER, f"{KAFKA}converters.", "converters.simple", *SIMPLE),
    *_of(Kind.CONVERTER, f"{KAFKA}json.", "converters.json", "JsonConverter"),
    *_of(Kind.CONVERTER, f"{KAFKA}storage.", "converters.simple", "StringConverter"),
    *_of(Kind.HEADER_CONVERTER, f"{KAFKA}converters.", "converters.simple", *SIMPLE),
    *_of(Kind.HEADER_CONVERTER, f"{KAFKA}json.", "converters.json", "JsonConverter"),
    *_of(Kind.HEADER_CONVERTER, f"{KAFKA}storage.", "converters.header", "SimpleHeaderConverter"),
    *_of(Kind.HEADER_CONVERTER, f"{KAFKA}storage.", "converters.simple", "StringConverter"),
    *_of(Kind.TASK, f"{KAFKA}file.", "connectors.file", "FileStreamSinkTask", "FileStreamSourceTask"),
    *_of(Kind.TASK, "io.confluent.connect.s3.", "connectors.s3.sink", "S3SinkTask"),
)
"""Everything that comes with Moldau. In the order in which it is listed."""


class Plugins:
    """The plugins of a worker."""

    def __init__(self, table: tuple[Plugin, ...] = TABLE) -> None:
        self._table = table
        self._by_name: dict[str, Plugin] = {}
        for plugin in table:
            for name in _names(plugin):
                self._by_name.setdefault(name, plugin)

    def listed(self, *, connectors_only: bool) -> Iterator[Plugin]:
        """What can be used, those whose packages are not installed left out."""
        for plugin in self._table:
            if plugin.kind is Kind.TASK or (connectors_only and plugin.kind not in CONNECTORS):
                continue
            try:
                load(plugin.place)
            except ConnectError:
                continue
            yield plugin

    def names(self, kind: Kind) -> list[str]:
        """The full names of what there is of a kind."""
        return [plugin.name for plugin in self._table if plugin.kind is kind]

    def find(self, name: str, *kinds: Kind) -> type:
        """The class that is meant.

        Raises:
            ConfigError: there is none, or it is none of these kinds; the message names the nearest one.
        """
        wanted = name.strip()
        plugin = self._by_name.get(wanted)
        if plugin is not None:
            found = load(plugin.place)
        elif ":" in wanted:
            found = load(wanted)
        else:
            raise ConfigError(self._unknown(wanted, kinds), value=name)
        bases = tuple(base for kind in kinds for base in BASES[kind])
        if bases and not issubclass(found, bases):
            raise ConfigError(f"{name} is no {' or '.join(kind.value.replace('_', ' ') for kind in kinds)}", value=name)
        return found

    def _unknown(self, name: str, kinds: tuple[Kind, ...]) -> str:
        what = "Connector" if set(kinds) <= set(CONNECTORS) and kinds else "/".join(kinds) or "plugin"
        candidates = {key: plugin for key, plugin in self._by_name.items() if not kinds or plugin.kind in kinds}
        simple = name.rpartition(".")[2]
        near = difflib.get_close_matches(name, candidates, 1, 0.6) or difflib.get_close_matches(
            simple, candidates, 1, 0.6
        )
        message = f"Failed to find any class that implements {what} and which name matches {name}"
        if near:
            return f"{message}; the nearest one is {candidates[near[0]].name}"
        known = ", ".join(sorted({plugin.name for plugin in candidates.values()}))
        return f"{message}, available are: {known}; a class of yours is named module:Class"

    def connector_class(self, name: str) -> type:
        """The class of a connector. Raises ConfigError."""
        return self.find(name, *CONNECTORS)

    def new_connector(self, name: str) -> Any:
        """A connector that is not configured. Raises ConnectError."""
        return made(self.connector_class(name))

    def new(self, name: str, *kinds: Kind) -> Any:
        """A plugin that is not configured. Raises ConnectError."""
        return made(self.find(name, *kinds))

    @staticmethod
    def name_of(found: type) -> str:
        """What a configuration calls a class."""
        return java_name(found)


def made(found: type[T]) -> T:
    """An instance. Raises ConnectError when its class is abstract, or does not want to be made."""
    try:
        return found()
    except TypeError as error:
        raise ConnectError(f"{java_name(found)} cannot be made: {error}") from error


@lru_cache(maxsize=1024)
def load(place: str) -> type:
    """The class at `module:Class`. Raises ConfigError when it cannot be imported, or is no class."""
    module, _, name = place.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except ModuleNotFoundError as error:
        hint = f"; {EXTRA}" if place.startswith(OURS) and not (error.name or "").startswith("moldau") else ""
        raise ConfigError(f"{place} cannot be imported: there is no module {error.name}{hint}", value=place) from error
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ConfigError(f"{place} cannot be imported: {error}", value=place) from error
    if not inspect.isclass(found):
        raise ConfigError(f"{place} is no class", value=place)
    return found


def version_of(found: type) -> str:
    """The version that a plugin says it has."""
    try:
        version = str(found().version())
    except Exception:  # noqa: BLE001 (whatever a plugin does, a list of plugins shows it)
        version = UNDEFINED_VERSION
    return KAFKA_VERSION if version == UNDEFINED_VERSION and java_name(found).startswith(KAFKA) else version


def java_name(found: type) -> str:
    """The name by which configurations, statuses and dead letters call a class: Java's where it has one."""
    place = f"{found.__module__}:{found.__qualname__}"
    return _BY_PLACE.get(place, place)


def _names(plugin: Plugin) -> Iterator[str]:
    yield plugin.name
    yield plugin.simple_name
    for suffix in {Kind.SINK: ("Connector",), Kind.SOURCE: ("Connector",), Kind.CONVERTER: ("Converter",)}.get(
        plugin.kind, ()
    ):
        if plugin.simple_name.endswith(suffix) and plugin.simple_name != suffix:
            yield plugin.simple_name.removesuffix(suffix)


_BY_PLACE: Final = {plugin.place: plugin.name for plugin in TABLE}
