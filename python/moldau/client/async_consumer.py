"""The asyncio twin of the consumer.

confluent-kafka has an AIOConsumer; a `consume` of it that is cancelled loses the messages that had arrived, and it
knows nothing of what `Consumer` adds. Here messages land in a queue first and are taken from there, so one that a
cancelled call had fetched is returned by the next.

Rebalance callbacks may be functions, called on the consumer's thread with the consumer underneath, or coroutine
functions, called on the event loop with this object.
"""

# ruff: noqa: ASYNC109 -- `timeout` is passed on to librdkafka, which knows better than a cancellation what to undo.

from __future__ import annotations

import asyncio
import inspect
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from moldau.client.consumer import Consumer, RebalanceCallback, of_partition
from moldau.client.consumer_thread import ConsumerThread

T = TypeVar("T")

FETCH_SLICE_S = 0.2
ITERATION_BATCH = 500


class AsyncConsumer:
    """Consumes records in coroutines. Takes the settings of `Consumer`; made while the event loop runs.

    `async with AsyncConsumer(...) as consumer` closes it at the end; `async for message in consumer` reads for ever.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        self._thread = ConsumerThread(asyncio.get_running_loop())
        self._closed = False
        self._arrived: deque[Message] = deque()
        self.consumer = Consumer(config, **settings)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def __aiter__(self) -> AsyncIterator[Message]:
        """Every message as it comes. Raises KafkaException for an error; the end of a partition is none."""
        while True:
            # One message at least, then all that are there: each is handed out as soon as it can be.
            for message in await self.consume(1) + self._take(ITERATION_BATCH):
                error = message.error()
                if error is None:
                    yield message
                elif error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001
                    raise KafkaException(error)

    async def run(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function on the consumer's thread: the only one where `consumer` may be used."""
        if self._closed:
            raise RuntimeError("the consumer is closed")
        return await self._thread.run(function, *args, **kwargs)

    async def consume(self, num_messages: int | None = None, timeout: float = -1) -> list[Message]:
        """Up to `num_messages` (`max.poll.records` if not given, else 1) within `timeout` seconds; -1 waits for all."""
        wanted = self.consumer.max_poll_records if num_messages is None else num_messages
        deadline_s = time.monotonic() + timeout if timeout >= 0 else float("inf")
        while len(self._arrived) < wanted:
            left_s = deadline_s - time.monotonic()
            await self.run(self._fetch, wanted - len(self._arrived), min(max(left_s, 0.0), FETCH_SLICE_S))
            if left_s <= FETCH_SLICE_S:
                break
        return self._take(wanted)

    async def poll(self, timeout: float = -1) -> Message | None:
        """The next message, or None if there is none within `timeout` seconds."""
        return next(iter(await self.consume(1, timeout)), None)

    def _fetch(self, count: int, timeout: float) -> None:
        messages = self.consumer.consume(count, timeout)
        # Only now: a callback during the call may have sought, and so replaced the queue.
        self._arrived.extend(messages)

    def _take(self, count: int) -> list[Message]:
        return [self._arrived.popleft() for _ in range(min(count, len(self._arrived)))]

    def forget_arrived(self, partition: TopicPartition | None = None) -> None:
        """Drop what arrived but was not returned yet, because the position has been moved."""
        kept = [] if partition is None else [each for each in self._arrived if not of_partition(each, partition)]
        self._arrived = deque(kept)

    async def subscribe(
        self,
        topics: str | Sequence[str],
        on_assign: Callable[..., Any] | None = None,
        on_revoke: Callable[..., Any] | None = None,
        on_lost: Callable[..., Any] | None = None,
    ) -> None:
        """Join the group for these topics; see Consumer.subscribe."""
        callbacks = [self._bridged(callback) for callback in (on_assign, on_revoke, on_lost)]
        await self.run(self.consumer.subscribe, topics, *callbacks)

    def _bridged(self, callback: Callable[..., Any] | None) -> RebalanceCallback | None:
        if callback is None or not inspect.iscoroutinefunction(callback):
            return callback
        coroutine = callback
        return lambda _, partitions: self._thread.wait_for(lambda: coroutine(self, partitions))

    async def unsubscribe(self) -> None:
        """Leave the group."""
        await self.run(self.consumer.unsubscribe)

    async def assign(self, partitions: Sequence[TopicPartition]) -> None:
        """Consume from these partitions; see Consumer.assign."""
        await self.run(self.consumer.assign, partitions)

    async def unassign(self) -> None:
        """Consume from nothing."""
        await self.run(self.consumer.unassign)

    async def assignment(self) -> list[TopicPartition]:
        """The partitions that are consumed from."""
        return await self.run(self.consumer.assignment)

    async def position(self, partitions: list[TopicPartition]) -> list[TopicPartition]:
        """The offset after the last message returned, for each partition."""
        return await self.run(self.consumer.position, partitions)

    async def committed(self, partitions: list[TopicPartition], timeout: float = -1) -> list[TopicPartition]:
        """What the group has committed."""
        return await self.run(self.consumer.committed, partitions, timeout)

    async def commit(
        self,
        message: Message | None = None,
        offsets: list[TopicPartition] | None = None,
    ) -> list[TopicPartition]:
        """Commit and wait until it is done; see Consumer.commit."""
        return await self.run(self.consumer.commit, message, offsets, asynchronous=False)

    async def store_offsets(self, message: Message | None = None, offsets: list[TopicPartition] | None = None) -> None:
        """Say what is processed, where `enable.auto.offset.store` is false."""
        given: dict[str, Any] = {"message": message} if message is not None else {"offsets": offsets}
        await self.run(self.consumer.store_offsets, **given)

    async def seek(self, partition: TopicPartition) -> None:
        """Go to an offset of a partition; see Consumer.seek."""
        await self.run(self.consumer.seek, partition)
        self.forget_arrived(partition)

    async def seek_to_committed(self, partitions: Sequence[TopicPartition] | None = None, timeout: float = -1) -> None:
        """Go back to what the group has committed; see Consumer.seek_to_committed."""
        await self.run(self.consumer.seek_to_committed, partitions, timeout)
        if partitions is None:
            self.forget_arrived()
        for partition in partitions or ():
            self.forget_arrived(partition)

    async def pause(self, partitions: list[TopicPartition]) -> None:
        """Fetch nothing from these partitions until `resume`."""
        await self.run(self.consumer.pause, partitions)

    async def resume(self, partitions: list[TopicPartition]) -> None:
        """Fetch from these partitions again."""
        await self.run(self.consumer.resume, partitions)

    async def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """What the cluster says of one topic, or of all."""
        return await self.run(self.consumer.list_topics, topic, timeout)

    async def get_watermark_offsets(self, partition: TopicPartition, timeout: float = -1) -> tuple[int, int]:
        """The first offset of a partition and the one after its last."""
        return await self.run(self.consumer.get_watermark_offsets, partition, timeout)

    async def offsets_for_times(self, partitions: list[TopicPartition], timeout: float = -1) -> list[TopicPartition]:
        """For each partition the first offset at or after the time (ms) that stands in its `offset`."""
        return await self.run(self.consumer.offsets_for_times, partitions, timeout)

    async def consumer_group_metadata(self) -> Any:
        """What `send_offsets_to_transaction` wants to know of this consumer."""
        return await self.run(self.consumer.consumer_group_metadata)

    async def close(self) -> None:
        """Leave the group and stop. Does nothing the second time."""
        if self._closed:
            return
        try:
            await self.run(self.consumer.close)
        finally:
            self._closed = True
            await self._thread.stop()
