"""The asyncio twins against a broker: deliveries, callbacks that are coroutines, cancellation, transactions."""

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine
from importlib.util import find_spec

import pytest
from confluent_kafka import KafkaException, TopicPartition

import moldau
from moldau.testing import KafkaClient
from moldau.testing.plugin import ExternalBroker

TIMEOUT_S = 60


@pytest.fixture
def run() -> Callable[[Coroutine[object, object, object]], object]:
    return lambda coroutine: asyncio.run(asyncio.wait_for(coroutine, TIMEOUT_S))


def group() -> str:
    return f"group-{uuid.uuid4().hex[:8]}"


def by_hand(bootstrap_servers: str, **settings: object) -> dict[str, object]:
    return {
        "bootstrap.servers": bootstrap_servers,
        "group.id": group(),
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        **{name.replace("_", "."): value for name, value in settings.items()},
    }


def test_a_sent_record_has_its_headers_and_its_place(run, bootstrap_servers: str, kafka_topic: str, kafka_client):
    async def send():
        async with moldau.AsyncProducer(bootstrap_servers=bootstrap_servers) as producer:
            return await producer.send(kafka_topic, b"value", b"key", headers={"trace": b"1"})

    assert run(send()).offset() == 0
    (message,) = kafka_client.read(kafka_topic, 1)
    assert message.headers() == [("trace", b"1")]


def test_deliveries_come_without_flush(run, bootstrap_servers: str, kafka_topic: str):
    async def send():
        producer = moldau.AsyncProducer(bootstrap_servers=bootstrap_servers)
        began = time.monotonic()
        deliveries = [await producer.produce(kafka_topic, str(i)) for i in range(2000)]
        offsets = [message.offset() for message in await asyncio.gather(*deliveries)]
        took = time.monotonic() - began
        await producer.close()
        return offsets, took

    offsets, took = run(send())
    assert offsets == list(range(2000))
    assert took < 10


def test_a_refused_record_fails_its_future(run, bootstrap_servers: str):
    async def send():
        async with moldau.AsyncProducer(bootstrap_servers=bootstrap_servers, message_timeout_ms=2000) as producer:
            await producer.send("no/such/topic", b"value")

    with pytest.raises(KafkaException):
        run(send())


def test_a_full_buffer_is_waited_for(run, bootstrap_servers: str, kafka_topic: str):
    async def send():
        settings = {"bootstrap.servers": bootstrap_servers, "queue.buffering.max.messages": 10}
        async with moldau.AsyncProducer(settings) as producer:
            return await asyncio.gather(*[await producer.produce(kafka_topic, b"x") for _ in range(300)])

    assert len(run(send())) == 300


def test_iteration_hands_out_messages_as_they_come(run, bootstrap_servers: str, kafka_topic: str, kafka_client):
    kafka_client.send(kafka_topic, *(str(i) for i in range(50)))

    async def read():
        seen = []
        async with moldau.AsyncConsumer(by_hand(bootstrap_servers)) as consumer:
            await consumer.subscribe(kafka_topic)
            async for message in consumer:
                seen.append(int(message.value()))
                if len(seen) == 50:
                    break
            await consumer.commit()
            return seen, await consumer.committed([TopicPartition(kafka_topic, 0)], 5)

    seen, committed = run(read())
    assert seen == list(range(50))
    assert committed[0].offset == 50


def test_a_cancelled_consume_loses_nothing(run, bootstrap_servers: str, kafka_topic: str, kafka_client: KafkaClient):
    async def read():
        async with moldau.AsyncConsumer(by_hand(bootstrap_servers)) as consumer:
            await consumer.subscribe(kafka_topic)
            while not await consumer.assignment():
                await consumer.consume(1, timeout=0.1)
            waiting = asyncio.ensure_future(consumer.consume(10))
            await asyncio.to_thread(kafka_client.send, kafka_topic, "a", "b")
            await asyncio.sleep(0.5)
            waiting.cancel()
            return [message.value() for message in await consumer.consume(2, timeout=10)]

    assert run(read()) == [b"a", b"b"]


def test_the_event_loop_runs_while_a_consume_waits(run, bootstrap_servers: str, kafka_topic: str):
    async def read():
        ticks = 0
        async with moldau.AsyncConsumer(by_hand(bootstrap_servers)) as consumer:
            await consumer.subscribe(kafka_topic)
            waiting = asyncio.ensure_future(consumer.consume(1, timeout=2))
            while not waiting.done():
                await asyncio.sleep(0.01)
                ticks += 1
        return ticks

    assert run(read()) > 50


@pytest.mark.parametrize("strategy", ["range", "cooperative-sticky"])
def test_coroutines_as_callbacks_may_call_the_consumer(
    run, bootstrap_servers: str, kafka_topic: str, kafka_client: KafkaClient, strategy: str
):
    kafka_client.send(kafka_topic, *(str(i) for i in range(10)))
    calls = []

    async def on_assign(consumer, partitions):
        await asyncio.sleep(0)
        assert isinstance(consumer, moldau.AsyncConsumer)
        await consumer.assign(partitions)
        await consumer.seek(TopicPartition(kafka_topic, 0, 8))
        calls.append("assign")

    async def on_revoke(consumer, partitions):
        calls.append([each.offset for each in await consumer.commit()])

    async def read():
        settings = by_hand(bootstrap_servers, partition_assignment_strategy=strategy)
        async with moldau.AsyncConsumer(settings) as consumer:
            await consumer.subscribe([kafka_topic], on_assign=on_assign, on_revoke=on_revoke)
            return [message.value() for message in await consumer.consume(2, timeout=20)]

    assert run(read()) == [b"8", b"9"]
    assert calls == ["assign", [10]]


def test_what_a_callback_raises_is_raised_by_consume(run, bootstrap_servers: str, kafka_topic: str):
    async def on_assign(consumer, partitions):
        raise ZeroDivisionError

    async def read():
        async with moldau.AsyncConsumer(by_hand(bootstrap_servers)) as consumer:
            await consumer.subscribe([kafka_topic], on_assign=on_assign)
            await consumer.consume(1, timeout=20)

    with pytest.raises(ZeroDivisionError):
        run(read())


def test_a_transaction_that_is_cancelled_is_aborted_and_its_input_read_again(
    run, bootstrap_servers: str, kafka_topic: str, kafka_client: KafkaClient, kafka_broker
):
    if not isinstance(kafka_broker, ExternalBroker) and find_spec("moldau.server.handlers.k26_end_txn") is None:
        pytest.skip("the node has no transactions yet")
    output = kafka_topic + "-out"
    kafka_client.send(kafka_topic, "a", "b")
    kafka_client.send(output, "begin")

    async def step(producer, consumer, messages, *, stuck):
        async with producer.transaction(offsets_from=consumer):
            for message in messages:
                await producer.produce(output, b"done " + message.value())
            if stuck:
                await asyncio.sleep(3600)

    async def pipeline():
        settings = {"bootstrap.servers": bootstrap_servers, "transactional.id": f"tx-{uuid.uuid4().hex}"}
        consuming = by_hand(bootstrap_servers, isolation_level="read_committed")
        async with moldau.AsyncProducer(settings) as producer, moldau.AsyncConsumer(consuming) as consumer:
            await consumer.subscribe(kafka_topic)
            first = await consumer.consume(2, timeout=20)
            stuck = asyncio.ensure_future(step(producer, consumer, first, stuck=True))
            await asyncio.sleep(1)
            stuck.cancel()
            with pytest.raises(asyncio.CancelledError):
                await stuck
            again = await consumer.consume(2, timeout=20)
            await step(producer, consumer, again, stuck=False)
            return await consumer.committed([TopicPartition(kafka_topic, 0)], 5)

    assert run(pipeline())[0].offset == 2
    read = kafka_client.read(output, 3, isolation_level="read_committed")
    assert [message.value() for message in read] == [b"begin", b"done a", b"done b"]
