"""A key goes where Java would send it; a callable is asked as the guide writes it, and not trusted."""

from pathlib import Path

import confluent_kafka
import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ClusterMetadata, PartitionMetadata, TopicMetadata

import moldau
from moldau.client import PartitioningProducer
from moldau.client.partitioner import PARTITION_UNASSIGNED, PartitionChooser

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "java_partitions.tsv"
COUNTS = (1, 2, 3, 7, 12, 24, 100, 4000)
MOCK_PARTITIONS = 4


def keys_and_partitions() -> list[tuple[bytes, list[int]]]:
    rows = [line.split("\t") for line in GOLDEN.read_text().splitlines() if not line.startswith("#")]
    return [(bytes.fromhex(row[0]), [int(cell) for cell in row[1:]]) for row in rows]


class Cluster:
    """Answers about one topic, by hand: how many partitions, which are led, which error."""

    def __init__(self, *, partitions: int = 3, leaderless: tuple[int, ...] = (), errors: tuple[int, ...] = ()) -> None:
        self.partitions = partitions
        self.leaderless = leaderless
        self.errors = list(errors)
        self.asked = 0
        self.now_s = 0.0

    def list_topics(self, topic: str, timeout: float) -> ClusterMetadata:
        self.asked += 1
        metadata = ClusterMetadata()
        metadata.topics = {topic: TopicMetadata()}
        if self.errors:
            metadata.topics[topic].error = KafkaError(self.errors.pop(0))
            return metadata
        for number in reversed(range(self.partitions)):
            partition = metadata.topics[topic].partitions[number] = PartitionMetadata()
            partition.id, partition.leader = number, -1 if number in self.leaderless else 1
        return metadata

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def chooser(self, partitioner, **limits: int) -> PartitionChooser:
        return PartitionChooser(
            partitioner,
            self.list_topics,
            **{"max_block_ms": 1000, "max_age_ms": 300_000, **limits},
            clock=lambda: self.now_s,
            sleep=self.sleep,
        )


def delivered(producer: confluent_kafka.Producer, keys: list[bytes | None]) -> dict[bytes | None, int]:
    places: dict[bytes | None, int] = {}
    for key in keys:
        producer.produce(
            "topic", b"value", key, on_delivery=lambda _, message: places.update({message.key(): message.partition()})
        )
    assert producer.flush(timeout=20) == 0
    return places


def test_librdkafka_hashes_as_java_does():
    for key, partitions in keys_and_partitions():
        assert [confluent_kafka.murmur2(key, count) for count in COUNTS] == partitions, key.hex()


def test_records_land_in_the_partition_that_java_gives_them(mock_cluster: str):
    producer = moldau.Producer(bootstrap_servers=mock_cluster)
    keys = [key for key, _ in keys_and_partitions()]
    expected = {key: confluent_kafka.murmur2(key, MOCK_PARTITIONS) for key in keys}
    assert delivered(producer, keys) == expected


def test_a_partitioner_that_is_named_is_kept(mock_cluster: str):
    producer = moldau.Producer(bootstrap_servers=mock_cluster, partitioner="fnv1a")
    assert delivered(producer, [b"customer-uuid", b"a"]) == {
        key: confluent_kafka.fnv1a(key, MOCK_PARTITIONS) for key in (b"customer-uuid", b"a")
    }


@pytest.mark.parametrize("where", ["keyword", "dictionary"])
def test_a_callable_decides(mock_cluster: str, where: str):
    def last(key, every, available):
        return every[-1]

    producer = (
        moldau.Producer({"bootstrap.servers": mock_cluster}, partitioner=last)
        if where == "keyword"
        else moldau.Producer({"bootstrap.servers": mock_cluster, "partitioner": last})
    )
    assert isinstance(producer, PartitioningProducer)
    assert set(delivered(producer, [b"a", b"b", b"c"]).values()) == {MOCK_PARTITIONS - 1}


def test_a_partition_that_is_given_is_not_asked_about(mock_cluster: str):
    def never(key, every, available):
        raise AssertionError

    producer = moldau.Producer(bootstrap_servers=mock_cluster, partitioner=never)
    reports = []
    producer.produce("topic", b"v", b"key", 2, callback=lambda error, message: reports.append(message.partition()))
    producer.flush(timeout=10)
    assert reports == [2]


def test_a_callable_gets_bytes_all_partitions_in_order_and_those_with_a_leader():
    seen = []
    cluster = Cluster(partitions=4, leaderless=(2,))
    chooser = cluster.chooser(lambda *given: seen.append(given) or 1)
    assert chooser.choose("topic", "klíč") == 1
    assert seen == [("klíč".encode(), (0, 1, 2, 3), (0, 1, 3))]


def test_records_without_a_key_are_not_asked_about():
    cluster = Cluster()
    assert cluster.chooser(lambda key, every, available: key[0]).choose("topic", None) == PARTITION_UNASSIGNED
    assert cluster.asked == 0


@pytest.mark.parametrize("answer", [3, -1, None, "0", 1.5])
def test_an_answer_that_is_no_partition_is_refused(answer: object):
    with pytest.raises(ValueError, match="must return one of all_partitions"):
        Cluster().chooser(lambda *_: answer).choose("topic", b"key")


def test_a_topic_is_asked_for_once_and_again_when_that_is_old():
    cluster = Cluster(partitions=1)
    chooser = cluster.chooser(lambda key, every, available: every[-1], max_age_ms=60_000)
    assert [chooser.choose("topic", b"k") for _ in range(3)] == [0, 0, 0]
    assert cluster.asked == 1
    cluster.partitions, cluster.now_s = 5, 61.0
    assert chooser.choose("topic", b"k") == 4
    assert cluster.asked == 2


def test_a_topic_that_is_being_created_is_waited_for():
    cluster = Cluster(errors=(KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.LEADER_NOT_AVAILABLE))
    assert cluster.chooser(lambda key, every, available: every[0]).choose("topic", b"k") == 0
    assert cluster.asked == 3


def test_a_topic_that_never_comes_is_given_up_with_the_brokers_reason():
    cluster = Cluster(errors=(KafkaError.UNKNOWN_TOPIC_OR_PART,) * 1000)
    with pytest.raises(KafkaException) as refused:
        cluster.chooser(lambda *_: 0, max_block_ms=1000).choose("topic", b"k")
    assert refused.value.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART
    assert cluster.now_s < 1.0


def test_a_class_of_ones_own_with_a_callable_derives_from_the_producer_that_asks():
    class Mine(moldau.Producer):
        pass

    class MineToo(PartitioningProducer):
        pass

    with pytest.raises(TypeError, match="PartitioningProducer"):
        Mine(partitioner=lambda *_: 0)
    assert MineToo(partitioner=lambda *_: 0) is not None


def test_a_producer_without_a_callable_produces_in_c():
    for name in ("produce", "poll", "flush"):
        assert getattr(moldau.Producer, name) is getattr(confluent_kafka.Producer, name)
    assert moldau.Consumer.poll is confluent_kafka.Consumer.poll
