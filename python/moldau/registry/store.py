"""The topic `_schemas`: read by a thread from its first record on, written by whoever leads.

Whatever happens to the state comes from the topic: a write is finished when the reading thread has brought it back.
Records are applied in the event loop's thread, in their order, so nobody sees half of a batch.

Writes are transactions where the cluster has them. The transactional id is that of the group, so the first thing that
a new leader does shuts the old one out, whatever the old one believes; and the records of one decision are all there or
none is. After a write whose end is not known, the producer is thrown away and the next write starts as a new leader
does: shut out whatever is still on its way, then read everything that is there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient, NewTopic

from moldau.errors import MoldauError
from moldau.registry.errors import RegistryError, schema_too_large, store_failed, timed_out
from moldau.registry.records import BadRecordError, Record, decode, encode
from moldau.registry.settings import RegistrySettings

logger: Final = logging.getLogger("moldau.registry.store")

PARTITION: Final = 0
BATCH: Final = 1000
POLL_S: Final = 0.25
RECORD_BYTES_MAX: Final = 32 * 1024 * 1024
CREATE_TIMEOUT_S: Final = 30.0
FENCE_TIMEOUT_S: Final = 5.0
RETRY_S: Final = 0.5

Apply = Callable[[Record], None]


class StoreOpenError(MoldauError):
    """The topic cannot be used as it is; the message says what is wrong with it."""


class TopicStore:
    """One registry's view of the topic. All methods belong to the event loop's thread."""

    def __init__(self, settings: RegistrySettings, apply: Apply) -> None:
        """`apply` is called with every record, in order; it may raise BadRecordError."""
        self._settings = settings
        self._apply = apply
        self._client = {"bootstrap.servers": settings.bootstrap_servers, "log_level": 0, **settings.client}
        self._loop = asyncio.get_running_loop()
        self._position = 0
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, name="moldau-registry-reader", daemon=True)
        self._writer: _Writer | None = None
        self._watcher: Consumer | None = None
        self._has_transactions = True
        self.bad_records = 0
        self.cluster_id = ""

    async def open(self) -> None:
        """Make sure of the topic, and return when everything that is in it was applied.

        Raises:
            StoreOpenError: the topic cannot be created or used.
            RegistryError: the cluster does not answer.
        """
        self.cluster_id = await asyncio.to_thread(_make_sure_of_topic, self._settings, self._client)
        self._watcher = Consumer({**self._client, "group.id": "unused", "isolation.level": "read_committed"})
        self._reader.start()
        await self.catch_up(self._settings.start_timeout_s)

    async def close(self) -> None:
        """Stop reading and writing."""
        self._closing.set()
        if self._reader.is_alive():
            await asyncio.to_thread(self._reader.join)
        if self._writer is not None:
            await asyncio.to_thread(self._writer.close)
        if self._watcher is not None:
            await asyncio.to_thread(self._watcher.close)
        for _, future in self._waiting:
            future.cancel()

    async def catch_up(self, timeout_s: float | None = None) -> None:
        """Return when everything is applied that stands in the topic at this moment.

        Raises:
            RegistryError: the cluster does not answer, or not in time.
        """
        timeout_s = self._settings.store_timeout_s if timeout_s is None else timeout_s
        await self._applied_up_to(await asyncio.to_thread(self._end, timeout_s), timeout_s)

    async def lead(self, first: Callable[[], Record]) -> None:
        """Shut out every other writer, then read everything; `first` is what is written to know where that ends.

        Raises:
            RegistryError: the cluster does not answer.
        """
        await self._drop_writer()
        timeout_s = self._settings.store_timeout_s
        writer = await asyncio.to_thread(
            _Writer.open, self._settings, self._client, transactional=self._has_transactions
        )
        self._writer = writer
        self._has_transactions = writer.transactional
        await self.catch_up(timeout_s)
        await self.write([first()])

    @property
    def leads(self) -> bool:
        """Whether `lead` was done, and no write has failed since."""
        return self._writer is not None

    async def write(self, records: Sequence[Record]) -> None:
        """Append records and wait until they are applied.

        Raises:
            RegistryError: they were refused, or it is not known whether they were written. In both cases `lead` has to
                be called again before the next write.
        """
        if self._writer is None:
            raise store_failed("this registry does not lead")
        encoded = [encode(record) for record in records]
        timeout_s = self._settings.store_timeout_s
        try:
            last = await asyncio.to_thread(self._writer.write, encoded, timeout_s)
        except KafkaException as exception:
            await self._drop_writer()
            raise _as_refusal(exception.args[0], encoded) from exception
        try:
            await self._applied_up_to(last + 1, timeout_s)
        except RegistryError:
            await self._drop_writer()
            raise

    async def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            await asyncio.to_thread(writer.close)

    def _end(self, timeout_s: float) -> int:
        assert self._watcher is not None
        try:
            watermarks = self._watcher.get_watermark_offsets(
                TopicPartition(self._settings.topic, PARTITION), timeout=timeout_s, cached=False
            )
        except KafkaException as exception:
            raise _as_refusal(exception.args[0], ()) from exception
        if watermarks is None:
            raise timed_out("the cluster does not say where the topic ends")
        return int(watermarks[1])

    async def _applied_up_to(self, position: int, timeout_s: float) -> None:
        if self._position >= position:
            return
        future: asyncio.Future[None] = self._loop.create_future()
        entry = (position, future)
        self._waiting.append(entry)
        try:
            await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            raise timed_out(f"the topic is read up to {self._position}, not yet to {position}") from None
        finally:
            if entry in self._waiting:
                self._waiting.remove(entry)

    # The reading thread.

    def _read(self) -> None:
        consumer = Consumer(
            {
                **self._client,
                "group.id": "unused",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                # As long takes it to hear that the end was reached, which a start waits for.
                "fetch.wait.max.ms": 100,
                "fetch.error.backoff.ms": 100,
                "reconnect.backoff.max.ms": 1000,
                "topic.metadata.refresh.interval.ms": 10_000,
            }
        )
        try:
            # A consumer that was not told who leads finds out half a second after its assignment.
            with contextlib.suppress(KafkaException):
                consumer.list_topics(self._settings.topic, self._settings.start_timeout_s)
            consumer.assign([TopicPartition(self._settings.topic, PARTITION, OFFSET_BEGINNING)])
            while not self._closing.is_set():
                first = consumer.poll(POLL_S)
                if first is not None:
                    # One record at once when it comes, many when many are there.
                    messages = [first, *consumer.consume(BATCH, timeout=0)]
                    self._loop.call_soon_threadsafe(self._take, messages)
        except (KafkaException, RuntimeError):
            # RuntimeError: the event loop is gone, and so is whoever wanted the records.
            if not self._closing.is_set():
                logger.exception("the registry no longer reads %s", self._settings.topic)
        finally:
            consumer.close()

    def _take(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            offset = message.offset()
            if error is None:
                self._take_record(message)
                self._position = (offset or 0) + 1
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 (that is its name)
                # Transaction markers take offsets too; only the end of the partition tells about them.
                self._position = max(self._position, offset or 0)
            else:
                logger.warning("reading %s: %s", self._settings.topic, error.str())
        for entry in [entry for entry in self._waiting if entry[0] <= self._position]:
            self._waiting.remove(entry)
            if not entry[1].done():
                entry[1].set_result(None)

    def _take_record(self, message: Message) -> None:
        try:
            self._apply(decode(_bytes(message.key()), _bytes(message.value()), message.timestamp()[1]))
        except BadRecordError as error:
            self.bad_records += 1
            logger.warning("skipped a bad record at offset %d of %s: %s", message.offset(), self._settings.topic, error)


class _Writer:
    """One producer. Its methods wait, and belong into a thread."""

    def __init__(self, producer: Producer, topic: str, *, transactional: bool) -> None:
        self._producer = producer
        self._topic = topic
        self.transactional = transactional

    @classmethod
    def open(cls, settings: RegistrySettings, client: dict[str, Any], *, transactional: bool) -> _Writer:
        """Raises RegistryError if the cluster does not answer."""
        timeout_s = settings.store_timeout_s
        timeout_ms = int(timeout_s * 1000)
        base = {
            **client,
            "acks": "all",
            "enable.idempotence": True,
            "linger.ms": 0,
            "message.max.bytes": RECORD_BYTES_MAX,
            "delivery.timeout.ms": timeout_ms,
            "reconnect.backoff.max.ms": 1000,
        }
        if not transactional:
            return cls(Producer(base), settings.topic, transactional=False)
        transactional_id = f"moldau-registry-{settings.group_id}-{settings.topic}"
        producer = Producer({**base, "transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms})
        try:
            producer.init_transactions(FENCE_TIMEOUT_S)
        except KafkaException as exception:
            error = exception.args[0]
            if not _lacks_transactions(error, producer):
                raise _as_refusal(error, ()) from exception
            logger.warning("the cluster has no transactions (%s): an old leader is not shut out", error.str())
            return cls(Producer(base), settings.topic, transactional=False)
        return cls(producer, settings.topic, transactional=True)

    def write(self, records: Sequence[tuple[bytes, bytes | None]], timeout_s: float) -> int:
        """Append, and return the last offset. Raises KafkaException."""
        reports: list[tuple[KafkaError | None, Message]] = []
        if self.transactional:
            self._producer.begin_transaction()
        for key, value in records:
            self._producer.produce(
                self._topic,
                value,
                key,
                PARTITION,
                on_delivery=lambda error, message: reports.append((error, message)),
            )
        self._producer.flush(timeout_s)
        for error, _ in reports:
            if error is not None:
                raise KafkaException(error)
        if len(reports) < len(records):
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "the records were not acknowledged"))  # noqa: SLF001
        if self.transactional:
            self._producer.commit_transaction(timeout_s)
        return max(message.offset() or 0 for _, message in reports)

    def close(self) -> None:
        """Give up what is on its way."""
        self._producer.purge()
        self._producer.flush(0)


def _lacks_transactions(error: KafkaError, producer: Producer) -> bool:
    if error.code() in WITHOUT_TRANSACTIONS:
        return True
    if error.code() not in WAITED:
        return False
    # librdkafka asks for a coordinator until its time is over. If the cluster answers everything else, it has none.
    try:
        producer.list_topics(timeout=FENCE_TIMEOUT_S)
    except KafkaException:
        return False
    return True


WITHOUT_TRANSACTIONS: Final = frozenset(
    {
        KafkaError._UNSUPPORTED_FEATURE,  # noqa: SLF001 (that is its name)
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
        KafkaError.INVALID_REQUEST,
    }
)


def _make_sure_of_topic(settings: RegistrySettings, client: dict[str, Any]) -> str:
    """The id of the cluster."""
    admin = AdminClient(client)
    topic = settings.topic
    try:
        metadata = admin.list_topics(topic=None, timeout=settings.start_timeout_s)
        if topic not in metadata.topics:
            replicas = min(settings.replication_factor, len(metadata.brokers))
            new = NewTopic(topic, 1, replicas, config={"cleanup.policy": "compact"})
            _created(admin, new)
            metadata = admin.list_topics(topic=topic, timeout=settings.start_timeout_s)
    except KafkaException as exception:
        raise _as_refusal(exception.args[0], ()) from exception
    partitions = metadata.topics[topic].partitions
    if len(partitions) > 1:
        raise StoreOpenError(
            f"the topic {topic} has {len(partitions)} partitions; a registry keeps its order in one: name another topic"
        )
    _check_is_compacted(admin, topic)
    return str(metadata.cluster_id or "")


def _created(admin: AdminClient, new: NewTopic) -> None:
    future = admin.create_topics([new], operation_timeout=CREATE_TIMEOUT_S)[new.topic]
    try:
        future.result(CREATE_TIMEOUT_S)
    except KafkaException as exception:
        # Another registry that starts at the same moment was faster.
        if exception.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise


def _check_is_compacted(admin: AdminClient, topic: str) -> None:
    from confluent_kafka.admin import ConfigResource, ResourceType

    resource = ConfigResource(ResourceType.TOPIC, topic)
    try:
        configs = admin.describe_configs([resource])[resource].result(CREATE_TIMEOUT_S)
    except KafkaException as exception:
        logger.warning("cannot see whether %s is compacted: %s", topic, exception.args[0].str())
        return
    policy = configs["cleanup.policy"].value if "cleanup.policy" in configs else "compact"
    if policy != "compact":
        raise StoreOpenError(
            f"the topic {topic} has cleanup.policy={policy}, which throws schemas away; it must be compact"
        )


def _as_refusal(error: KafkaError, records: Sequence[tuple[bytes, bytes | None]]) -> RegistryError:
    if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.RECORD_LIST_TOO_LARGE):
        size = max((len(value or b"") for _, value in records), default=0)
        return schema_too_large(size, None)
    if error.code() in WAITED:
        return timed_out(error.str())
    return store_failed(error.str())


WAITED: Final = frozenset(
    {
        KafkaError._TIMED_OUT,  # noqa: SLF001
        KafkaError._MSG_TIMED_OUT,  # noqa: SLF001
        KafkaError._TIMED_OUT_QUEUE,  # noqa: SLF001
        KafkaError.REQUEST_TIMED_OUT,
    }
)


def _bytes(value: Any) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
