"""Records whose bytes their source has made itself, in one go.

A record's usual way is poll, transforms, converters, send, an object for each step. Where no transform is set and what
fails is not tolerated, nobody needs the steps in between: the worker then offers a source its converters
(`SourceTaskContext.direct_converters`), and one that can write what they would have written hands on `ReadyRecords`.

They are records all the same: whoever looks at one (a test, a log) gets it with its structs, made at that moment.
"""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, overload, runtime_checkable

from moldau.connect.converters.rendering import Rendering
from moldau.connect.data import Schema
from moldau.connect.plugin import Converter, HeaderConverter
from moldau.connect.records import SourceRecord


@runtime_checkable
class RenderingConverter(Protocol):
    """A converter that can say how it writes, so that others write as it does."""

    def from_connect_data(self, topic: str, schema: Schema | None, value: Any) -> bytes | None: ...

    def rendering(self, topic: str, schema: Schema) -> Rendering | None:
        """How values of a schema are written; None where only the converter itself knows.

        Raises `ConnectError` as `from_connect_data` does.
        """


@dataclass(frozen=True, slots=True)
class DirectConverters:
    """The converters of keys and values, when nothing else stands between a record and its bytes."""

    key: RenderingConverter
    value: RenderingConverter
    header: HeaderConverter

    @classmethod
    def of(cls, key: Converter, value: Converter, header: HeaderConverter) -> DirectConverters | None:
        """None unless those of keys and values can say how they write."""
        if isinstance(key, RenderingConverter) and isinstance(value, RenderingConverter):
            return cls(key, value, header)
        return None


class LazyRecords(Sequence[SourceRecord]):
    """Records that are made when somebody looks at them."""

    @abc.abstractmethod
    def made(self) -> Sequence[SourceRecord]:
        """All of them."""

    @overload
    def __getitem__(self, place: int) -> SourceRecord: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[SourceRecord]: ...

    def __getitem__(self, place: int | slice) -> SourceRecord | Sequence[SourceRecord]:
        return self.made()[place]

    def __iter__(self) -> Iterator[SourceRecord]:
        return iter(self.made())


class ReadyRecords(LazyRecords):
    """A stretch of records that shares its fate: it has arrived when all of it has.

    `messages` are key and value by topic, as `produce_batch` takes them, and `headers` what each of a topic has
    besides. `source_offset` is the last record's.
    """

    messages: Mapping[str, list[dict[str, Any]]]
    headers: Mapping[str, list[tuple[str, str | bytes | None]]]
    size: int
    source_partition: Mapping[str, Any]
    source_offset: Mapping[str, Any]

    def __len__(self) -> int:
        return self.size

    @abc.abstractmethod
    def sent(self) -> None:
        """They are on their way: the bytes may be let go, and nobody looks at the records any more."""

    @abc.abstractmethod
    def arrived(self) -> None:
        """All of them are in Kafka. Called by any thread."""


class Stretches(LazyRecords):
    """What was polled: stretches of ready records and others between them, in their order."""

    def __init__(self, parts: Sequence[Sequence[SourceRecord]]) -> None:
        self.parts = [part for part in parts if part]

    def made(self) -> Sequence[SourceRecord]:
        return [record for part in self.parts for record in part]

    def __len__(self) -> int:
        return sum(map(len, self.parts))


def stretches_of(records: Sequence[SourceRecord]) -> Sequence[Sequence[SourceRecord]]:
    """What a worker sends one after the other."""
    if isinstance(records, Stretches):
        return records.parts
    return (records,)
