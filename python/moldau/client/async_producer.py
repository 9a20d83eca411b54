"""The asyncio twin of the producer.

confluent-kafka has an AIOProducer, but it collects records in a buffer of its own before librdkafka's, refuses
headers, and settles futures from another thread than the event loop's. Here a record goes to librdkafka at once; one
thread polls for delivery reports and hands them to the event loop, many at a time. A full buffer is waited for.
"""

# ruff: noqa: ASYNC109 -- `timeout` is passed on to librdkafka, which knows better than a cancellation what to undo.

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Mapping
from types import TracebackType
from typing import Any, Self

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from moldau.client.async_consumer import AsyncConsumer
from moldau.client.producer import Headers, Producer

POLL_SLICE_S = 0.1
FULL_BUFFER_WAIT_S = 0.01

Delivery = asyncio.Future[Message]


class AsyncProducer:
    """Produces records from coroutines. Takes the settings of `Producer`; made while the event loop runs.

    `async with AsyncProducer(...) as producer` flushes and closes at the end.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        self._loop = asyncio.get_running_loop()
        self._producer = Producer(config, **settings)
        self._reports: deque[tuple[Delivery, KafkaError | None, Message]] = deque()
        self._settling = False
        self._closed = threading.Event()
        self._poller = threading.Thread(target=self._poll, name="moldau-async-producer", daemon=True)
        self._poller.start()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __len__(self) -> int:
        """How many records are not delivered yet."""
        return len(self._producer)

    async def produce(
        self,
        topic: str,
        value: str | bytes | None = None,
        key: str | bytes | None = None,
        partition: int = -1,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> Delivery:
        """Hand a record to the producer; waits only while its buffer is full.

        Returns a future of the delivered message; awaiting it raises KafkaException if the record was refused.
        """
        if self._closed.is_set():
            raise RuntimeError("the producer is closed")
        delivery: Delivery = self._loop.create_future()

        def report(error: KafkaError | None, message: Message) -> None:
            self._reports.append((delivery, error, message))
            if not self._settling:
                self._settling = True
                # A loop that is gone has nobody waiting any more.
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._settle)

        while True:
            try:
                self._producer.produce(
                    topic, value, key, partition, on_delivery=report, timestamp=timestamp, headers=headers
                )
                return delivery
            except BufferError:
                await asyncio.sleep(FULL_BUFFER_WAIT_S)

    async def send(
        self,
        topic: str,
        value: str | bytes | None = None,
        key: str | bytes | None = None,
        partition: int = -1,
        timestamp: int = 0,
        headers: Headers | None = None,
    ) -> Message:
        """Produce one record and wait until it is delivered. Raises KafkaException if it was refused."""
        return await (await self.produce(topic, value, key, partition, timestamp, headers))

    async def flush(self, timeout: float = -1) -> int:
        """Wait until everything is delivered, at most `timeout` seconds; returns how many records are not."""
        left = await asyncio.to_thread(self._producer.flush, timeout)
        self._settle()
        return left

    async def list_topics(self, topic: str | None = None, timeout: float = -1) -> Any:
        """What the cluster says of one topic, or of all."""
        return await asyncio.to_thread(self._producer.list_topics, topic, timeout)

    async def init_transactions(self, timeout: float = -1) -> None:
        """Make this producer the only one with its `transactional.id`."""
        await asyncio.to_thread(self._producer.init_transactions, timeout)

    async def begin_transaction(self) -> None:
        """Begin a transaction."""
        await asyncio.to_thread(self._producer.begin_transaction)

    async def send_offsets_to_transaction(
        self, positions: list[TopicPartition], group_metadata: Any, timeout: float = -1
    ) -> None:
        """Commit offsets of a group together with the transaction."""
        await asyncio.to_thread(self._producer.send_offsets_to_transaction, positions, group_metadata, timeout)

    async def commit_transaction(self, timeout: float = -1) -> None:
        """Commit the transaction."""
        await asyncio.to_thread(self._producer.commit_transaction, timeout)

    async def abort_transaction(self, timeout: float = -1) -> None:
        """Abort the transaction."""
        await asyncio.to_thread(self._producer.abort_transaction, timeout)

    @contextlib.asynccontextmanager
    async def transaction(
        self, *, offsets_from: AsyncConsumer | None = None, timeout: float = -1
    ) -> AsyncIterator[Self]:
        """One transaction: committed when the block ends, aborted when it raises; see Producer.transaction."""
        # A consumer is used from one thread only, its own; the transaction's calls are made there then.
        run = asyncio.to_thread if offsets_from is None else offsets_from.run
        consumer = None if offsets_from is None else offsets_from.consumer
        block = self._producer.transaction(offsets_from=consumer, timeout=timeout)
        await run(block.__enter__)
        try:
            yield self
        except BaseException as error:
            await to_the_end(run(quietly_leave, block, error))
            if offsets_from is not None:
                offsets_from.forget_arrived()
            raise
        await to_the_end(run(block.__exit__, None, None, None))

    async def close(self) -> None:
        """Flush and stop. Does nothing the second time."""
        if self._closed.is_set():
            return
        await self.flush()
        self._closed.set()
        await asyncio.to_thread(self._poller.join)
        self._settle()

    def _poll(self) -> None:
        while not self._closed.is_set():
            self._producer.poll(POLL_SLICE_S)

    def _settle(self) -> None:
        """Give futures their results, on the event loop's thread."""
        # First, so that a report which comes during the loop below is either seen by it or schedules another.
        self._settling = False
        while self._reports:
            delivery, error, message = self._reports.popleft()
            if delivery.done():
                continue
            if error is None:
                delivery.set_result(message)
            else:
                delivery.set_exception(KafkaException(error))


def quietly_leave(block: contextlib.AbstractContextManager[Any], error: BaseException) -> None:
    """End the block with the error that it raised, which the caller raises itself."""
    try:
        block.__exit__(type(error), error, error.__traceback__)
    except BaseException as raised:
        if raised is not error:
            raise


async def to_the_end(ending: Coroutine[Any, Any, Any]) -> None:
    """Wait for it even if this task is cancelled meanwhile: a transaction that is left open holds readers up."""
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
