"""librdkafka at C speed: `rd_kafka_produce_batch` on the library inside the confluent-kafka wheel, through ctypes.

The records lie in one array that is handed over 10,000 at a time, so Python is not in the path of a record. Settings
are librdkafka's defaults (acks=all, linger.ms=5, batches up to 1 MB) with a larger queue. Reading is done by
confluent-kafka's `consume()` in lots of 10,000, whose cost is the making of Python objects.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from pathlib import Path

import confluent_kafka
from confluent_kafka import Consumer, TopicPartition

LOT = 10_000
FLAG_COPY = 0x2
ANY_PARTITION = -1
FLUSH_TIMEOUT_MS = 120_000


class _Message(ctypes.Structure):
    """rd_kafka_message_t of rdkafka.h."""

    _fields_ = [
        ("err", ctypes.c_int),
        ("rkt", ctypes.c_void_p),
        ("partition", ctypes.c_int32),
        ("payload", ctypes.c_void_p),
        ("len", ctypes.c_size_t),
        ("key", ctypes.c_void_p),
        ("key_len", ctypes.c_size_t),
        ("offset", ctypes.c_int64),
        ("_private", ctypes.c_void_p),
    ]


def _library() -> ctypes.CDLL:
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    (path,) = folder.glob("librdkafka*.so*")
    library = ctypes.CDLL(str(path))
    library.rd_kafka_conf_new.restype = ctypes.c_void_p
    library.rd_kafka_conf_set.argtypes = [ctypes.c_void_p, *[ctypes.c_char_p] * 3, ctypes.c_size_t]
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_new.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    library.rd_kafka_topic_new.restype = ctypes.c_void_p
    library.rd_kafka_topic_new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    library.rd_kafka_produce_batch.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_int,
        ctypes.POINTER(_Message),
        ctypes.c_int,
    ]
    for name in ("rd_kafka_poll", "rd_kafka_flush"):
        getattr(library, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.rd_kafka_topic_destroy.argtypes = [ctypes.c_void_p]
    library.rd_kafka_destroy.argtypes = [ctypes.c_void_p]
    return library


def produce(bootstrap_servers: str, topic: str, records: int, record_bytes: int) -> float:
    """Send `records` records to partitions of librdkafka's choice; seconds until the last acknowledgement."""
    library = _library()
    reason = ctypes.create_string_buffer(512)
    settings = library.rd_kafka_conf_new()
    for name, value in {
        "bootstrap.servers": bootstrap_servers,
        "queue.buffering.max.messages": "500000",
        "queue.buffering.max.kbytes": "524288",
    }.items():
        if library.rd_kafka_conf_set(settings, name.encode(), value.encode(), reason, len(reason)) != 0:
            raise RuntimeError(reason.value.decode())
    producer = library.rd_kafka_new(0, settings, reason, len(reason))
    if not producer:
        raise RuntimeError(reason.value.decode())
    handle = library.rd_kafka_topic_new(producer, topic.encode(), None)
    payload = ctypes.create_string_buffer(bytes(range(256)) * (record_bytes // 256 + 1))
    messages = (_Message * LOT)()
    started = time.perf_counter()
    left = records
    while left > 0:
        lot = min(LOT, left)
        for message in messages if left == records else []:
            message.payload, message.len = ctypes.addressof(payload), record_bytes
        taken = library.rd_kafka_produce_batch(handle, ANY_PARTITION, FLAG_COPY, messages, lot)
        left -= taken
        library.rd_kafka_poll(producer, 0 if taken == lot else 10)
    if library.rd_kafka_flush(producer, FLUSH_TIMEOUT_MS) != 0:
        raise RuntimeError("not every record was acknowledged in time")
    taken_s = time.perf_counter() - started
    library.rd_kafka_topic_destroy(handle)
    library.rd_kafka_destroy(producer)
    return taken_s


def check_stored(bootstrap_servers: str, topic: str, partitions: int, records: int) -> None:
    """The ends of the partitions are the proof that nothing was dropped on the way."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "bench"})
    ends = [consumer.get_watermark_offsets(TopicPartition(topic, number), 30)[1] for number in range(partitions)]
    consumer.close()
    if sum(ends) != records:
        raise RuntimeError(f"{records} records were sent, the broker has {sum(ends)}")


def consume(bootstrap_servers: str, topic: str, partitions: int, records: int) -> float:
    """Read until `records` records came; the seconds it took."""
    consumer = Consumer(
        {"bootstrap.servers": bootstrap_servers, "group.id": "bench", "enable.auto.commit": False, "check.crcs": True}
    )
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found = 0
    started = time.perf_counter()
    while found < records:
        # Never more than there is left: consume() would wait its second for the rest.
        for message in consumer.consume(min(LOT, records - found), 1.0):
            error = message.error()
            if error is not None:
                raise RuntimeError(error.str())
            found += 1
    taken_s = time.perf_counter() - started
    consumer.close()
    return taken_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["produce", "consume"])
    parser.add_argument("--bootstrap-servers", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    parser.add_argument("--records", type=int, required=True)
    parser.add_argument("--record-bytes", type=int, required=True)
    given = parser.parse_args()
    if given.what == "produce":
        taken_s = produce(given.bootstrap_servers, given.topic, given.records, given.record_bytes)
        check_stored(given.bootstrap_servers, given.topic, given.partitions, given.records)
    else:
        taken_s = consume(given.bootstrap_servers, given.topic, given.partitions, given.records)
    print(json.dumps({"seconds": taken_s, "records": given.records}))


if __name__ == "__main__":
    main()
