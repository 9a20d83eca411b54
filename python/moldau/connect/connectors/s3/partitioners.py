"""Which folder a record goes to: the partitioners of the Confluent storage connectors, under their names.

`encode_partition` gives the part of the path that is the record's own (`year=2024/month=05`),
`generate_partitioned_path` puts the topic before it. Reference: kafka-connect-storage-common, `partitioner`. A class of
your own subclasses `Partitioner`. Knows no clock: the time of the task is an argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

from moldau.connect.connectors.s3.joda import Pattern
from moldau.connect.connectors.s3.timestamps import PartitionError, TimestampExtractor, WallclockTimestampExtractor
from moldau.connect.connectors.s3.zones import DAY_MS, Zone, zone_of
from moldau.connect.data import Schema, Struct, Type
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import SinkRecord


class Partitioner:
    """Says where a record goes. Subclass it, override `encode_partition`, name the class in `partitioner.class`."""

    delim = "/"

    def configure(self, settings: Mapping[str, Any]) -> None:
        """Take the settings of the connector, those it does not know included; called once.

        Raises `ConfigError` for a value that cannot be used.
        """
        self.delim = settings.get("directory.delim") or "/"

    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        """Return the path below the topic. Raises `PartitionError` for a record that has none."""
        raise NotImplementedError

    def generate_partitioned_path(self, topic: str, encoded_partition: str) -> str:
        """Return the path with the topic."""
        return f"{topic}{self.delim}{encoded_partition}"


class DefaultPartitioner(Partitioner):
    """`partition=<number>`: the partitions of Kafka."""

    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        return f"partition={record.kafka_partition}"


class FieldPartitioner(Partitioner):
    """`<field>=<value>` for each field of `partition.field.name`; `a.b` is a field inside of a field."""

    def __init__(self) -> None:
        self._fields: list[tuple[str, list[str]]] = []
        self._schema: Schema | None = None
        self._paths: list[tuple[str, list[int], Callable[[Any], str]]] = []

    def configure(self, settings: Mapping[str, Any]) -> None:
        super().configure(settings)
        names = settings.get("partition.field.name") or []
        if not names:
            raise ConfigError("FieldPartitioner needs the names of fields", name="partition.field.name")
        self._fields = [(name, name.split(".")) for name in names]

    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        value = record.value
        if not isinstance(value, Struct):
            raise PartitionError(
                f"FieldPartitioner needs records with a schema, not {type(value).__name__}\n"
                "hint: a converter with schemas (Avro, JSON with schemas.enable=true) gives them"
            )
        if value.schema is not self._schema:
            self._look_up(value.schema)
        parts = []
        for name, indexes, write in self._paths:
            inner: Any = value
            for index in indexes:
                inner = None if inner is None else inner.values[index]
            parts.append(f"{name}={'null' if inner is None else write(inner)}")
        return self.delim.join(parts)

    def _look_up(self, schema: Schema) -> None:
        self._paths = []
        for name, steps in self._fields:
            inner, indexes = schema, []
            for step in steps:
                field = inner.field(step) if inner.type is Type.STRUCT else None
                if field is None:
                    raise DataError(f"partition.field.name={name}: the records have no such field\nhint: {schema} has "
                                    f"{', '.join(schema.by_name) or 'none'}")  # fmt: skip
                indexes.append(field.index)
                inner = field.schema
            if inner.type not in _WRITERS or not inner.type.is_primitive or inner.name in _LOGICAL:
                raise PartitionError(
                    f"partition.field.name={name} is {inner.name or inner.type.value}: a path is made of integers, "
                    "strings and booleans"
                )
            self._paths.append((name, indexes, _WRITERS[inner.type]))
        self._schema = schema


_WRITERS: dict[Type, Callable[[Any], str]] = {
    Type.INT8: str,
    Type.INT16: str,
    Type.INT32: str,
    Type.INT64: str,
    Type.STRING: str,
    Type.BOOLEAN: lambda value: "true" if value else "false",
}
_LOGICAL = {f"org.apache.kafka.connect.data.{name}" for name in ("Date", "Time", "Timestamp", "Decimal")}


class TimeBasedPartitioner(Partitioner):
    """`path.format` filled with the record's time, cut to `partition.duration.ms`, in a time zone.

    Where `partition.duration.ms` is not set it is the shortest thing that the format names (an hour for `HH`), which
    gives the same paths as any duration that divides it. Confluent's connector refuses to start without one.
    """

    def __init__(self) -> None:
        self.timestamp_extractor: TimestampExtractor = WallclockTimestampExtractor()
        self._duration_ms = DAY_MS
        self._zone = zone_of("UTC")
        self._pattern = Pattern("YYYY")
        # The last path, and the span of instants that have it: most records are of the same hour as the one before.
        self._from_ms = self._until_ms = 0
        self._encoded = ""

    def configure(self, settings: Mapping[str, Any]) -> None:
        super().configure(settings)
        path_format = (settings.get("path.format") or "").removesuffix(self.delim)
        if not path_format.strip():
            raise ConfigError("TimeBasedPartitioner needs a path.format, such as 'year'=YYYY/'month'=MM/'day'=dd",
                              name="path.format")  # fmt: skip
        locale, zone = (_required(settings, name) for name in ("locale", "timezone"))
        try:
            self._pattern = Pattern(path_format, locale)
        except ValueError as error:
            raise ConfigError(str(error), name="path.format", value=path_format) from error
        try:
            self._zone = zone_of(zone)
        except ValueError as error:
            raise ConfigError(str(error), name="timezone", value=zone) from error
        duration = settings.get("partition.duration.ms")
        self._duration_ms = self._pattern.finest_ms if duration in {None, -1} else int(duration or 0)
        if self._duration_ms <= 0:
            raise ConfigError("a partition lasts at least 1 ms", name="partition.duration.ms", value=duration)
        self.timestamp_extractor = settings.get("timestamp.extractor.instance") or WallclockTimestampExtractor()
        self.timestamp_extractor.configure(settings)

    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        instant = self.timestamp_extractor.extract(record, now_ms)
        if instant is None:
            raise PartitionError(
                f"{type(self.timestamp_extractor).__name__} found no time in the record at offset "
                f"{record.kafka_offset} of {record.topic}-{record.kafka_partition}"
            )
        return self.encode_instant(instant)

    def encode_instant(self, instant: int) -> str:
        """Return the path of a time, in ms since 1970-01-01 UTC."""
        if not self._from_ms <= instant < self._until_ms:
            self._encode(instant)
        return self._encoded

    def _encode(self, instant_ms: int) -> None:
        bucket = bucket_of(instant_ms, self._duration_ms, self._zone)
        self._encoded = self._pattern.text(bucket, self._zone)
        steady_from, steady_until, offset = self._zone.steady_span(instant_ms)
        local = instant_ms + offset
        start = local - local % self._duration_ms
        # Before 1970 a bucket is cut towards it, not downwards: such instants are looked up one by one.
        if start < 0:
            self._from_ms = self._until_ms = 0
            return
        self._from_ms = max(steady_from, start - offset)
        self._until_ms = min(steady_until, start - offset + self._duration_ms)


class DailyPartitioner(TimeBasedPartitioner):
    """`year=…/month=…/day=…`."""

    path_format = "'year'=YYYY{0}'month'=MM{0}'day'=dd"
    duration_ms = DAY_MS

    def configure(self, settings: Mapping[str, Any]) -> None:
        path_format = self.path_format.format(settings.get("directory.delim") or "/")
        super().configure({**settings, "path.format": path_format, "partition.duration.ms": self.duration_ms})


class HourlyPartitioner(DailyPartitioner):
    """`year=…/month=…/day=…/hour=…`."""

    path_format = "'year'=YYYY{0}'month'=MM{0}'day'=dd{0}'hour'=HH"
    duration_ms = 3_600_000


class SchemaPartitioner(Partitioner):
    """Puts the name of the value's schema before or behind the path of another partitioner."""

    def __init__(self, inner: Partitioner, affix: str) -> None:
        self.inner = inner
        self._prefix = affix == "PREFIX"

    def configure(self, settings: Mapping[str, Any]) -> None:
        super().configure(settings)
        self.inner.configure(settings)

    def encode_partition(self, record: SinkRecord, now_ms: int) -> str:
        path = self.inner.encode_partition(record, now_ms)
        name = record.value_schema.name if record.value_schema is not None else None
        part = f"schema_name={'null' if name is None else name}"
        return f"{part}{self.delim}{path}" if self._prefix else f"{path}{self.delim}{part}"

    def generate_partitioned_path(self, topic: str, encoded_partition: str) -> str:
        return self.inner.generate_partitioned_path(topic, encoded_partition)


def has_only_times(partitioner: Partitioner) -> TypeGuard[TimeBasedPartitioner]:
    """Whether the path follows from a record's time alone: then who has the time need not ask for it again."""
    known = TimeBasedPartitioner.encode_partition
    return isinstance(partitioner, TimeBasedPartitioner) and type(partitioner).encode_partition is known


def bucket_of(instant_ms: int, duration_ms: int, zone: Zone) -> int:
    """Return the instant at which the span of local time begins that an instant lies in.

    Java divides towards zero, so before 1970 it is the span's end that counts; kept, since it is in object names.
    """
    local = instant_ms + zone.offset_ms(instant_ms)
    whole = abs(local) // duration_ms * duration_ms
    return zone.to_utc(whole if local >= 0 else -whole)


def _required(settings: Mapping[str, Any], name: str) -> str:
    value = settings.get(name)
    if not value or not str(value).strip():
        raise ConfigError(f"TimeBasedPartitioner needs a {name}", name=name, value=value)
    return str(value)
