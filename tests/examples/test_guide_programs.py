"""The guide's programs run, one after the other, as a reader would run them."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

ROOT = Path(__file__).resolve().parent.parent.parent
GUIDE = ROOT / "examples" / "guide"
THE_GUIDE = (ROOT / "docs" / "guides" / "the-guide.md").read_text()


def ended(program, *arguments):
    return subprocess.run(
        [sys.executable, str(GUIDE / program), *arguments], capture_output=True, text=True, timeout=90, check=False
    )


def started(program, *arguments):
    return subprocess.Popen(
        [sys.executable, str(GUIDE / program), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def stopped(process):
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    return out


@pytest.fixture(scope="module")
def orders(servers):
    """The topic of the guide with 1,000 orders in it, made by the guide's programs."""
    created = ended("admin_create.py", servers)
    assert (created.stdout, created.returncode) == ("created orders\n", 0), created.stderr
    produced = ended("producer.py", servers)
    assert (produced.stdout, produced.returncode) == ("delivered 1000 of 1000\n", 0), produced.stderr
    return servers


def lines_until(process, wanted):
    seen = []
    for line in process.stdout:
        seen.append(line.strip())
        if seen[-1] == wanted:
            return seen
    raise AssertionError(f"{wanted!r} did not come: {seen}, {process.stderr.read()}")


def test_the_consumer_processes_everything_and_commits_it(orders):
    consumer = started("consumer.py", orders)
    assert "assigned 24 partitions" in lines_until(consumer, "processed 1000")
    assert "revoked 24 partitions" in stopped(consumer)
    lag = ended("lag.py", orders)
    assert lag.stdout.splitlines() == [f"Partition {partition}: lag=0" for partition in range(24)]


def test_the_lag_of_a_group_that_has_read_nothing_is_everything(orders):
    lag = ended("lag.py", orders, "somebody-else")
    assert sum(int(line.partition("lag=")[2]) for line in lag.stdout.splitlines()) == 1000
    assert ended("check_consumer_lag.py", orders, "somebody-else", "10").returncode == 1
    assert ended("check_consumer_lag.py", orders, "somebody-else").returncode == 0


def test_a_static_member_gets_its_partitions_back_and_nobody_else_notices(orders):
    first = started("static_member.py", orders, "a")
    lines_until(first, f"assigned {list(range(24))}")
    second = started("static_member.py", orders, "b")
    mine = second.stdout.readline().strip()
    while "[]" in mine:
        mine = second.stdout.readline().strip()
    assert mine.startswith("assigned [")
    first.stdout.readline()  # what it gave up for the second
    second.send_signal(signal.SIGTERM)
    second.communicate(timeout=60)
    again = started("static_member.py", orders, "b")
    assert again.stdout.readline().strip() == mine
    time.sleep(1)  # long enough for a rebalance to reach the first member, had there been one
    assert stopped(first).count("assigned") <= 1
    stopped(again)


def test_seeking_goes_to_an_offset_and_to_a_time(orders):
    sought = ended("seek.py", orders)
    assert sought.stdout.splitlines()[0].startswith("offset 5: {")
    assert sought.stdout.splitlines()[2] == "replaying from offset 0"
    future_ms = str(int((time.time() + 3600) * 1000))
    assert ended("seek.py", orders, future_ms).stdout.splitlines()[2] == "nothing to replay"


@pytest.mark.parametrize(
    ("make", "key", "value"),
    [
        (Producer, "buffer.memory", 67108864),
        (Producer, "partitioner", lambda *_: 0),
        (Consumer, "fetch.max.wait.ms", 500),
    ],
)
def test_a_key_that_the_table_lists_is_refused_in_these_words(make, key, value):
    with pytest.raises(KafkaException) as refusal:
        make({"bootstrap.servers": "localhost:1", "group.id": "g", "log_level": 0, key: value})
    said = refusal.value.args[0].str()
    assert said.partition(": <function")[0] in THE_GUIDE
    assert key in said


@pytest.mark.parametrize(
    ("make", "settings"),
    [
        (Producer, {"queue.buffering.max.kbytes": 65536, "partitioner": "murmur2_random"}),
        (Consumer, {"group.id": "g", "fetch.wait.max.ms": 500, "max.poll.records": 500}),
    ],
)
def test_what_the_table_says_to_write_is_taken(make, settings):
    make({"bootstrap.servers": "localhost:1", "log_level": 0, **settings})


def test_the_number_of_records_is_the_argument_and_not_max_poll_records(orders):
    consumer = Consumer({"bootstrap.servers": orders, "group.id": "g", "max.poll.records": 10})
    consumer.assign([TopicPartition("orders", partition, 0) for partition in range(24)])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if len(consumer.consume(500, 5)) > 10:
            break
    else:
        pytest.fail("never more than max.poll.records")
    consumer.close()


def test_what_librdkafka_says_to_the_guides_calls_stands_in_the_table(orders):
    def said(call):
        with pytest.raises(KafkaException) as refusal:
            call()
        return refusal.value.args[0].str()

    consumer = Consumer({"bootstrap.servers": orders, "group.id": "nobody", "log_level": 0})
    assert "Local: No offset stored" in said(lambda: consumer.commit(asynchronous=False))
    assert "Local: Unknown partition" in said(lambda: consumer.seek(TopicPartition("orders", 0, 5)))
    assert not hasattr(consumer, "seek_to_committed")
    consumer.close()
    too_long = {"bootstrap.servers": orders, "group.id": "g", "session.timeout.ms": 300001, "log_level": 0}
    assert "`max.poll.interval.ms`must be >= `session.timeout.ms`" in said(lambda: Consumer(too_long))
    for text in ("No offset stored", "Unknown partition", "must be >= `session.timeout.ms`", "seek_to_committed"):
        assert text in THE_GUIDE


def test_the_avro_program_registers_its_schema_and_reads_its_orders_back(orders):
    settings = RegistrySettings(orders, port=0)
    with RegistryThread(settings) as registry:
        ended_well = ended("avro_orders.py", orders, registry.url)
    assert ended_well.returncode == 0, ended_well.stderr
    produced, read = ended_well.stdout.splitlines()
    assert produced.startswith("produced 100 orders, ")
    assert read == f"read 100 orders, {sum(range(100, 200))} cents"
