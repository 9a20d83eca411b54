"""Two tasks that live through the same, one in columns and one with functions, and have to say the same."""

from __future__ import annotations

import shutil
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from tests.record_batches import batch

from moldau._core import RecordBlock
from moldau.client.fetching import Fetched
from moldau.streams import Topology
from moldau.streams.columns import compile_columns
from moldau.streams.operators.record_cache import CacheBudget
from moldau.streams.persistent import Room, TaskDatabase, opener
from moldau.streams.runtime.exception_handlers import Response
from moldau.streams.runtime.layout import LayoutOptions, TaskId, lay_out
from moldau.streams.runtime.stream_task import StreamTask, TaskParts
from moldau.streams.state import open_in_memory

LARGE = 1 << 40


class Life:
    """A task from one stop to the next, and what is outside of it: its topics and its disk."""

    def __init__(
        self,
        topology: Topology,
        *,
        columns: bool,
        topics: Sequence[str] = ("in",),
        cache_bytes: int = 0,
        folder: Path | None = None,
        kept_max: int = 3,
    ) -> None:
        """`kept_max` is how many groups and rows columns may keep."""
        self.topology = topology
        self.columns = compile_columns(topology.sub_topologies()[0].nodes, caches=cache_bytes > 0) if columns else None
        self.cache_bytes = cache_bytes
        self.folder = folder
        self.kept_max = kept_max
        self.out: list[Any] = []
        self.failures: list[Any] = []
        self.changelogs: dict[str, list[Any]] = defaultdict(list)
        self.offsets = dict.fromkeys(topics, 0)
        self.columnar = 0
        self.begin()

    def begin(self) -> None:
        database = None if self.folder is None else TaskDatabase(self.folder / "rocksdb")
        parts = TaskParts(
            self.topology,
            "app",
            lambda: 0,
            open_in_memory if database is None else opener(database, Room(4)),
            lambda topic, key, value, timestamp, headers, *_: self.out.append(
                (topic, key, value, timestamp, list(headers))
            ),
            self.failed,
            self.failed,
            self.failed,
            lambda failure: None,
            0,
            database,
            columns=self.columns,
            cache=CacheBudget(self.cache_bytes) if self.cache_bytes else None,
            room=Room(self.kept_max),
        )
        layout = lay_out(self.topology, dict.fromkeys(self.offsets, 1), LayoutOptions("app"))
        self.task = StreamTask(TaskId(0, 0), layout.sub_topologies[0], parts)
        if database is None:
            for store, changes in self.changelogs.items():
                for key, value, timestamp in changes:
                    self.task.stores[store].restore(key, value, timestamp)

    def failed(self, failure: Any) -> Response:
        place = failure.offset, failure.key, failure.value, failure.topic
        self.failures.append((type(failure.error), str(failure.error), *place))
        return Response.CONTINUE

    def answer(self, what: str, *arguments: Any) -> Any:
        try:
            return getattr(self, what)(*arguments)
        except msgspec.ValidationError as error:
            return str(error)

    def take(self, *of_topics: list[Any]) -> None:
        """Records of each topic, in the order in which those were given."""
        for topic, records in zip(list(self.offsets), of_topics, strict=True):
            block, offset = None, self.offsets[topic]
            if records:
                block = RecordBlock(batch(offset, records), offset, None)
                offset = self.offsets[topic] = block.next_offset
            self.task.take(Fetched(topic, 0, block, 0, len(records), offset, at_end=True))
        self.task.process(0)

    def commit(self) -> None:
        self.task.flush({store: self.writer(store) for store in self.task.stores})
        self.task.committed({})

    def writer(self, store: str) -> Any:
        return lambda *record: self.changelogs[store].append(record)

    def ask(self) -> dict[str, list[Any]]:
        """What there is in the stores that can be asked: not in a buffer of what is held back."""
        names = [name for name, store in self.task.stores.items() if hasattr(store, "all")]
        return {name: list(self.task.asked(name).all()) for name in names}

    def stop(self) -> None:
        self.commit()
        self.crash()

    def crash(self) -> None:
        self.columnar += self.task.columnar
        self.task.close()
        self.begin()

    def told(self) -> tuple[Any, ...]:
        """All that it has done until now."""
        # There is no order between topics.
        by_topic: dict[str, list[Any]] = defaultdict(list)
        for record in self.out:
            by_topic[record[0]].append(record)
        places = self.task.context.stream_time, self.task.positions(), self.task.skipped
        return dict(by_topic), self.failures, dict(self.changelogs), self.dropped, places

    def last(self) -> tuple[Any, ...]:
        """What it all comes to."""
        latest: dict[Any, Any] = {}
        for topic, key, value, timestamp, _ in self.out:
            latest[topic, key] = value, timestamp
        return latest, dict(self.changelogs), self.dropped, self.failures

    @property
    def dropped(self) -> dict[Any, int]:
        return {place: number for place, number in self.task.context.dropped_records.items() if number}


def lives(
    topology: Topology,
    history: list[Any],
    *,
    topics: Sequence[str] = ("in",),
    cache_bytes: int = 0,
    on_disk: bool = False,
    exactly: bool = True,
) -> Life:
    """Both go through a history, a list of methods with their arguments; returns the one in columns.

    They are the same after each step; not `exactly`, only at the end, and in what is last of each key.
    """
    folder = Path(tempfile.mkdtemp()) if on_disk else None
    try:
        one, other = (
            Life(
                topology,
                columns=columns,
                topics=topics,
                cache_bytes=cache_bytes,
                folder=None if folder is None else folder / str(columns),
            )
            for columns in (False, True)
        )
        for what, *arguments in [*history, ("commit",), ("ask",)]:
            answers = [life.answer(what, *arguments) for life in (one, other)]
            assert answers[0] == answers[1]
            if isinstance(answers[0], str):
                # What was kept cannot be read again.
                break
            if exactly:
                assert other.told() == one.told()
        assert other.last() == one.last()
        for life in (one, other):
            life.columnar += life.task.columnar
            life.task.close()
        return other
    finally:
        if folder is not None:
            shutil.rmtree(folder)
