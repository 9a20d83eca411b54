"""`python -m tests.fault.lost_coordinator PEER [STRATEGY]`: does a client find the coordinator of its group again?

PEER is `moldau` or `kafka`, STRATEGY librdkafka's `metadata.recovery.strategy`. One transaction with offsets, four
seconds without any connection, three seconds in which all is well, one more transaction. Status 1 when the client hangs
in the second one. See docs/internals/faults.md: the hang is the client's, whichever broker is behind the proxy.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.versus import peers
from confluent_kafka import Consumer, Producer, TopicPartition
from tests.fault.proxy import Proxy
from tests.fault.records import create_topic

ASKED_FOR_S = 5
HANGS_AFTER_S = 40


def client(bootstrap_servers: str, strategy: str) -> None:
    """Two transactions with offsets; between them it waits for a line on stdin."""
    consumer = Consumer({"bootstrap.servers": bootstrap_servers, "group.id": "copy", "log_level": 0})
    consumer.subscribe(["raw"])
    consumer.poll(3)
    settings = {"transactional.id": "copy", "metadata.recovery.strategy": strategy, "log_level": 0}
    producer = Producer({"bootstrap.servers": bootstrap_servers, **settings})
    producer.init_transactions(30)
    for offset in (1, 2):
        producer.begin_transaction()
        producer.produce("refined", b"record")
        offsets = [TopicPartition("raw", 0, offset)]
        producer.send_offsets_to_transaction(offsets, consumer.consumer_group_metadata(), ASKED_FOR_S)
        producer.commit_transaction(30)
        print(f"transaction {offset} is committed", flush=True)
        if offset == 1:
            sys.stdin.readline()


def hangs(peer: str, strategy: str) -> bool:
    """Whether the client still waits after `HANGS_AFTER_S`."""
    proxy = Proxy()
    advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy.port}"}
    node = peers.start(peer, Path(tempfile.mkdtemp(prefix="lost-coordinator-")), advertised)
    proxy.target_port = node.port
    try:
        servers = f"127.0.0.1:{proxy.port}"
        for topic in ("raw", "refined"):
            create_topic(servers, topic)
        command = [sys.executable, "-m", "tests.fault.lost_coordinator", "client", servers, strategy]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        print(process.stdout.readline().strip())
        proxy.refuses = True
        proxy.cut()
        time.sleep(4)
        proxy.refuses = False
        time.sleep(3)
        try:
            told, _ = process.communicate("go on\n", HANGS_AFTER_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            print(f"it hangs: {HANGS_AFTER_S} s, and it was to wait for {ASKED_FOR_S}")
            return True
        print(told.strip())
        return False
    finally:
        node.kill()
        proxy.stop()


if __name__ == "__main__":
    if sys.argv[1] == "client":
        client(*sys.argv[2:])
    else:
        sys.exit(hangs(sys.argv[1], *sys.argv[2:] or ["rebootstrap"]))
