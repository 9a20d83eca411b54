"""What a sink task may ask of its worker: rewind, pause partitions, commit soon, report records it cannot take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final

from moldau.connect.records import SinkRecord
from moldau.connect.runtime.tolerance import Failure, Stage, Tolerance

Place = tuple[str, int]
MAX_POLL_INTERVAL_MS: Final = 300_000
"""The client's default."""


class ErrantRecords:
    """Takes records that a sink cannot write, and that are nothing to stop for (KIP-610)."""

    def __init__(self, tolerance: Tolerance, original_of: Callable[[SinkRecord], Any], class_name: str) -> None:
        self._tolerance = tolerance
        self._original_of = original_of
        self._class_name = class_name

    def report(self, record: SinkRecord, error: BaseException) -> Future[None]:
        """Log it and write it to the dead-letter queue, as the connector's settings say.

        Raises:
            ConnectError: `errors.tolerance` is `none`.
        """
        failure = Failure(self._original_of(record), Stage.TASK_PUT, self._class_name, error)
        self._tolerance.report_errant(failure)
        done: Future[None] = Future()
        # Kept for certain when offsets are committed: `Tolerance.flush` stands before that.
        done.set_result(None)
        return done


class SinkContext:
    """One for each sink task. The task's thread asks, and its worker takes what was asked for between two puts."""

    def __init__(
        self,
        config: Callable[[], Mapping[str, str]],
        *,
        keeps_originals: bool,
        max_poll_interval_ms: int = MAX_POLL_INTERVAL_MS,
    ) -> None:
        self._config = config
        self._max_poll_interval_ms = max_poll_interval_ms
        self._keeps_originals = keeps_originals
        self._originals: dict[tuple[str, int, int], Any] = {}
        self._offsets: dict[Place, int] = {}
        self._timeout_s: float | None = None
        self._commit_requested = False
        self._flow_changed = False
        self.assigned: set[Place] = set()
        self.paused: set[Place] = set()
        self.reporter: ErrantRecords | None = None

    def configs(self) -> Mapping[str, str]:
        """The settings of the task, with what config providers say now."""
        return self._config()

    def offset(self, offsets: Mapping[Place, int], offset: int | None = None) -> None:
        """Read on from these offsets; or from `offset` of one partition."""
        if offset is not None:
            offsets = {offsets: offset}  # type: ignore[dict-item]  # the second spelling: a partition and its offset
        self._offsets.update(offsets)

    def timeout(self, timeout_ms: int) -> None:
        """After the next RetriableError, put again after this time."""
        self._timeout_s = timeout_ms / 1000

    def assignment(self) -> set[Place]:
        """The partitions that this task reads."""
        return set(self.assigned)

    def pause(self, *places: Place) -> None:
        """Read nothing more of these partitions."""
        self.paused.update(places)
        self._flow_changed = True

    def resume(self, *places: Place) -> None:
        """Read on."""
        self.paused.difference_update(places)
        self._flow_changed = True

    def request_commit(self) -> None:
        """Commit before the next records are read."""
        self._commit_requested = True

    def max_poll_interval_ms(self) -> int:
        """How long a put may take before the group gives the partitions to others."""
        return self._max_poll_interval_ms

    def errant_record_reporter(self) -> ErrantRecords | None:
        """Where to report records that cannot be written; None when nobody wants to know."""
        return self.reporter

    # The worker's side.

    def remember(self, record: SinkRecord, message: Any) -> None:
        """Keep what was consumed until the batch is taken, for who reports."""
        if self._keeps_originals:
            self._originals[message.topic(), message.partition(), message.offset()] = message

    def original_of(self, record: SinkRecord) -> Any:
        """What a record was made of."""
        place = (record.original_topic, record.original_kafka_partition, record.original_kafka_offset)
        return self._originals.get(place)

    def forget(self, committed: Mapping[Place, int]) -> None:
        """What is committed needs no original any more; a sink may report until then."""
        if self._originals:
            self._originals = {
                each: message for each, message in self._originals.items() if each[2] >= committed.get(each[:2], 0)
            }

    def take_over(self, places: Collection[Place]) -> None:
        """The end of a rebalance: these have come. What was paused and is here is paused, as Kafka has it.

        Of a partition that is not, it is forgotten: should it come back, others have read on meanwhile.
        """
        self.assigned.update(places)
        self.paused.intersection_update(self.assigned)

    def give_away(self, places: Collection[Place]) -> None:
        """The beginning of a rebalance, in which they may come back: rewinds hold no more."""
        self.assigned.difference_update(places)
        for place in places:
            self._offsets.pop(place, None)
        if self._originals:
            gone = set(places)
            self._originals = {each: message for each, message in self._originals.items() if each[:2] not in gone}

    def take_offsets(self) -> dict[Place, int]:
        """The rewinds that were asked for."""
        taken, self._offsets = self._offsets, {}
        return taken

    def take_timeout_s(self) -> float | None:
        """The time that was asked for."""
        taken, self._timeout_s = self._timeout_s, None
        return taken

    def take_commit_request(self) -> bool:
        """Whether a commit was asked for."""
        taken, self._commit_requested = self._commit_requested, False
        return taken

    def take_flow_request(self) -> bool:
        """Whether a pause or a resume was asked for."""
        taken, self._flow_changed = self._flow_changed, False
        return taken
