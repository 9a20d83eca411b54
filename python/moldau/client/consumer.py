"""The consumer: confluent-kafka's, with Java's spellings, and the calls that the guide makes and it refuses.

`poll` is confluent-kafka's own C function; nothing here runs per message. What is added:

- `commit()` with nothing new to commit commits the positions, as Java's `commitSync()` does, where confluent-kafka
  raises `_NO_OFFSET`. After a `seek` it is always the positions: librdkafka would commit what was handed out before.
- `assign()` and `unassign()` in a rebalance callback do what the group's protocol asks for. In a cooperative group
  librdkafka wants `incremental_assign()`, and a callback written for the eager protocol would leave the consumer
  without partitions.
- `seek()` works in `on_assign`, right after `assign()`, and on a partition that nobody assigned: that one is assigned.
- `seek_to_committed()` goes back to what the group has committed, for the next `consume` to return the same again.

A group that begins at the end (`auto.offset.reset=latest`) has no committed offset to go back to before its first
commit. Asking for the end again would skip what was read but not committed, so a consumer that commits by hand looks
up the end once, when it is assigned such a partition, and starts and returns there.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, overload

import confluent_kafka
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, KafkaError, KafkaException, Message, TopicPartition

from moldau.client.settings import Role
from moldau.client.transaction import reason
from moldau.client.translation import construct, logger, merged, translate

RebalanceCallback = Callable[[Any, list[TopicPartition]], None]

SEEK_PATIENCE_S = 5.0
SEEK_RETRY_S = 0.005
LOOK_UP_TIMEOUT_S = 10.0
WAIT_SLICE_S = 0.2
EAGER_ASSIGNORS = ("range", "roundrobin")
NOT_FETCHED = (KafkaError._UNKNOWN_PARTITION, KafkaError._STATE)  # noqa: SLF001
"""What `seek` says of a partition that is not being fetched: never heard of, or heard of (its offsets were asked)."""
BEGINNING = ("earliest", "smallest", "beginning")
END = ("latest", "largest", "end")


def name_of(partition: TopicPartition) -> tuple[str, int]:
    return partition.topic, partition.partition


class Rebalance:
    """What a rebalance callback has done so far with the partitions it was given."""

    def __init__(self, partitions: list[TopicPartition], *, revoking: bool) -> None:
        self.partitions = partitions
        self.revoking = revoking
        self.carried_out = False
        self.sought: dict[tuple[str, int], int] = {}

    def awaits(self, partition: TopicPartition) -> bool:
        """Whether the partition is to be assigned by this callback, and is not yet."""
        return not (self.revoking or self.carried_out) and name_of(partition) in map(name_of, self.partitions)

    def placed(self, partitions: Sequence[TopicPartition]) -> list[TopicPartition]:
        """The partitions, each at the offset that `seek` asked for in this callback."""
        return [
            TopicPartition(each.topic, each.partition, self.sought[name_of(each)])
            if name_of(each) in self.sought
            else each
            for each in partitions
        ]


class Consumer(confluent_kafka.Consumer):
    """Consumes records of a Kafka cluster, as a member of a group or from partitions given by hand.

    Settings come as a dictionary, as keywords (`group_id=...`), or both; Java's names are understood. Without
    `group.id` librdkafka refuses to make a consumer.

    Raises ClientSettingsError (a KafkaException) if a setting cannot be used.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        translation = translate(Role.CONSUMER, merged(config, settings))
        native = translation.native
        strategy = str(native.get("partition.assignment.strategy", EAGER_ASSIGNORS[0]))
        self._cooperative = (
            str(native.get("group.protocol")).lower() == "consumer" or strategy.partition(",")[0] not in EAGER_ASSIGNORS
        )
        legacy = native.get("default.topic.config", {})
        self._reset = str(native.get("auto.offset.reset", legacy.get("auto.offset.reset", "latest"))).lower()
        self._commits_by_timer = is_true(native.get("enable.auto.commit", native.get("auto.commit.enable", True)))
        self._stores_by_itself = is_true(native.get("enable.auto.offset.store", True))
        self.max_poll_records: int = translation.ours.get("max.poll.records", 1)
        self._subscribed = False
        self._sought = False
        self._rebalance: Rebalance | None = None
        self._began_at: dict[tuple[str, int], int] = {}
        self._held: list[Message] = []
        construct(Role.CONSUMER, super().__init__, native)

    # Reading.

    def consume(self, num_messages: int | None = None, timeout: float = -1) -> list[Message]:
        """Up to `num_messages` (`max.poll.records` if not given, else 1) within `timeout` seconds; -1 waits for all.

        Waits in slices, so that Ctrl-C and other signals are heard; what had arrived by then is returned next time.
        """
        wanted = self.max_poll_records if num_messages is None else num_messages
        if 0 <= timeout <= WAIT_SLICE_S and not self._held:
            return super().consume(wanted, timeout)
        deadline_s = time.monotonic() + timeout if timeout >= 0 else float("inf")
        batch, self._held = self._held, []
        try:
            while len(batch) < wanted:
                left_s = deadline_s - time.monotonic()
                batch += super().consume(wanted - len(batch), min(max(left_s, 0.0), WAIT_SLICE_S))
                if left_s <= WAIT_SLICE_S:
                    break
        except BaseException:
            self._held = batch
            raise
        batch, self._held = batch[:wanted], batch[wanted:]
        return batch

    # The group.

    def subscribe(
        self,
        topics: str | Sequence[str],
        on_assign: RebalanceCallback | None = None,
        on_revoke: RebalanceCallback | None = None,
        on_lost: RebalanceCallback | None = None,
    ) -> None:
        """Join the group for these topics (one name, or several; a name with `^` in front is a pattern)."""
        callbacks: dict[str, RebalanceCallback] = {}
        if on_assign is not None or (self._reset in END and not self._commits_by_timer):
            callbacks["on_assign"] = self._around(on_assign, revoking=False)
        for name, callback in (("on_revoke", on_revoke), ("on_lost", on_lost)):
            if callback is not None:
                callbacks[name] = self._around(callback, revoking=True)
        super().subscribe([topics] if isinstance(topics, str) else list(topics), **callbacks)
        self._subscribed = True

    def unsubscribe(self) -> None:
        """Leave the group; nothing is assigned any more."""
        super().unsubscribe()
        self._subscribed = False

    def _around(self, callback: RebalanceCallback | None, *, revoking: bool) -> RebalanceCallback:
        def called(_: Any, partitions: list[TopicPartition]) -> None:
            given = partitions if revoking else self._with_beginnings(partitions)
            with self._rebalancing(given, revoking=revoking) as rebalance:
                if callback is not None:
                    callback(self, given)
                if not revoking and not rebalance.carried_out:
                    self.assign(given)

        return called

    @contextmanager
    def _rebalancing(self, partitions: list[TopicPartition], *, revoking: bool) -> Iterator[Rebalance]:
        rebalance = self._rebalance = Rebalance(partitions, revoking=revoking)
        try:
            yield rebalance
        finally:
            self._rebalance = None

    def _with_beginnings(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """Settle where `latest` is, for partitions of which the group has no committed offset."""
        if self._reset not in END or self._commits_by_timer:
            return partitions
        try:
            committed = self.committed(partitions, timeout=LOOK_UP_TIMEOUT_S)
            for each in committed:
                if each.offset < 0 and each.error is None and name_of(each) not in self._began_at:
                    self._began_at[name_of(each)] = self.get_watermark_offsets(each, timeout=LOOK_UP_TIMEOUT_S)[1]
        except KafkaException as error:
            # librdkafka will look both up by itself, and again if that fails; only the way back is not known then.
            logger.warning("the end of newly assigned partitions could not be looked up: %s", reason(error).str())
            return partitions
        return [
            TopicPartition(each.topic, each.partition, self._began_at[name_of(each)])
            if each.offset < 0 and each.error is None
            else each
            for each in committed
        ]

    def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Consume from these partitions; in `on_assign` of a cooperative group, from these as well."""
        rebalance = self._rebalance
        if rebalance is None or rebalance.revoking:
            super().assign(list(partitions))
            return
        placed = rebalance.placed(partitions)
        if self._cooperative:
            super().incremental_assign(placed)
        else:
            super().assign(placed)
        rebalance.carried_out = True

    def incremental_assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Consume from these partitions as well."""
        rebalance = self._rebalance
        super().incremental_assign(list(partitions) if rebalance is None else rebalance.placed(partitions))
        if rebalance is not None:
            rebalance.carried_out = True

    def unassign(self) -> None:
        """Consume from nothing; in `on_revoke` of a cooperative group, from all but what is revoked."""
        rebalance = self._rebalance
        if rebalance is not None and rebalance.revoking and self._cooperative:
            super().incremental_unassign(rebalance.partitions)
        else:
            super().unassign()

    # Positions.

    def seek(self, partition: TopicPartition) -> None:
        """Go to an offset of a partition. Raises KafkaException if it belongs to another member of the group."""
        rebalance = self._rebalance
        if rebalance is not None and rebalance.awaits(partition):
            # Assigned at the offset that is sought, not assigned and then sought.
            rebalance.sought[name_of(partition)] = partition.offset
            return
        self._sought = True
        self._held = [message for message in self._held if not of_partition(message, partition)]
        deadline_s = time.monotonic() + SEEK_PATIENCE_S
        while not self._try_seek(partition, last=time.monotonic() > deadline_s):
            time.sleep(SEEK_RETRY_S)

    def _try_seek(self, partition: TopicPartition, *, last: bool) -> bool:
        """Whether it is there now; not if it was assigned a moment ago and is not being fetched yet."""
        try:
            super().seek(partition)
        except KafkaException as error:
            code = reason(error).code()
            if code not in NOT_FETCHED:
                raise
            if name_of(partition) in map(name_of, self.assignment()):
                if last:
                    raise
                return False
            if self._subscribed:
                raise
            super().incremental_assign([partition])
        return True

    def seek_to_committed(self, partitions: Sequence[TopicPartition] | None = None, timeout: float = -1) -> None:
        """Go back to what the group has committed: all assigned partitions, or these.

        A partition without a committed offset goes to where this consumer began, or to what `auto.offset.reset` says.
        `timeout` in seconds is for asking the coordinator. Raises KafkaException if it cannot be asked.
        """
        if self._commits_by_timer:
            logger.warning("seek_to_committed() with enable.auto.commit: the timer commits what was not processed too")
        wanted = list(partitions) if partitions is not None else self.assignment()
        if not wanted:
            return
        targets = [self._way_back(each) for each in self.committed(wanted, timeout=timeout)]
        for target in targets:
            self.seek(target)
        if not self._stores_by_itself:
            known = [target for target in targets if target.offset >= 0]
            if known:
                self.store_offsets(offsets=known)

    def _way_back(self, committed: TopicPartition) -> TopicPartition:
        if committed.error is not None:
            raise KafkaException(committed.error)
        offset = committed.offset if committed.offset >= 0 else self._began_at.get(name_of(committed), -1)
        if offset < 0:
            offset = OFFSET_BEGINNING if self._reset in BEGINNING else OFFSET_END
        return TopicPartition(committed.topic, committed.partition, offset)

    @overload  # type: ignore[override]  # the same calls, written as two overloads instead of six
    def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: Literal[True] = True,
    ) -> None: ...

    @overload
    def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
        *,
        asynchronous: Literal[False],
    ) -> list[TopicPartition]: ...

    def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
        asynchronous: bool = True,
    ) -> list[TopicPartition] | None:
        """Commit a message's offset + 1, these offsets, or (neither given) how far this consumer has read.

        Synchronous, it returns what was committed, an empty list if nothing has been read yet.
        """
        chosen: dict[str, Any] = {"message": message, "offsets": offsets}
        chosen = {name: value for name, value in chosen.items() if value is not None}
        if not chosen and self._sought and self._stores_by_itself:
            chosen = self._how_far_read()
            if not chosen:
                return None if asynchronous else []
        commit: Callable[..., list[TopicPartition] | None] = super().commit
        try:
            return commit(**chosen, asynchronous=asynchronous)
        except KafkaException as error:
            if chosen or reason(error).code() != KafkaError._NO_OFFSET:  # noqa: SLF001
                raise
        read = self._how_far_read() if self._stores_by_itself else {}
        return commit(**read, asynchronous=asynchronous) if read else []

    def _how_far_read(self) -> dict[str, Any]:
        read = [position for position in self.position(self.assignment()) if position.offset >= 0]
        return {"offsets": read} if read else {}


def is_true(value: Any) -> bool:
    return str(value).strip().lower() in {"true", "t", "1"}


def of_partition(message: Message, partition: TopicPartition) -> bool:
    return (message.topic(), message.partition()) == name_of(partition)
