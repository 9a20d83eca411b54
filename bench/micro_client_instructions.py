"""The same comparison in machine instructions: `python -m bench.micro_client_instructions` (needs valgrind).

A busy machine moves seconds by tens of percent and instructions not at all. Each loop runs under callgrind twice, with
few records and with many; the difference is what a record costs, start-up and connecting taken out.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
import uuid

import confluent_kafka

import moldau
from bench.micro_client import BARE as BARE_CLIENTS
from bench.micro_client import BATCH, VALUE, Clients, assigned, produce
from bench.micro_client import OURS as OUR_CLIENTS

FEW, MANY = 500, 30_500
FETCH_AHEAD_S = 15.0
TIMEOUT_S = 600


def produce_loop(clients: Clients, bootstrap: str, topic: str, count: int) -> None:
    """Produces into the buffer and leaves it there, so that no network is counted."""
    producer = clients[0]({"queue.buffering.max.messages": 0, "linger.ms": 100_000, "log_level": 0})
    for number in range(count):
        producer.produce(topic=topic, key=b"%d" % number, value=VALUE)
        producer.poll(0)


def consume_loop(clients: Clients, bootstrap: str, topic: str, count: int) -> None:
    """Reads what was fetched ahead."""
    consumer: confluent_kafka.Consumer = assigned(clients, bootstrap, topic)
    time.sleep(FETCH_AHEAD_S)
    seen = 0
    while seen < count:
        for message in consumer.consume(num_messages=BATCH, timeout=1.0):
            assert message.error() is None
            seen += len(message.value() or b"") > 0


LOOPS = {"produce": produce_loop, "consume": consume_loop}
CLIENTS = {"bare": BARE_CLIENTS, "ours": OUR_CLIENTS}


def instructions(*arguments: str) -> int:
    """What one run of a loop executes, in a process of its own."""
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", sys.executable, "-m", __spec__.name]
    outcome = subprocess.run([*command, *arguments], check=True, capture_output=True, text=True, timeout=TIMEOUT_S)
    found = re.search(r"Collected : (\d+)", outcome.stderr)
    assert found is not None, outcome.stderr
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loop", nargs=5, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.loop is not None:
        loop, who, bootstrap, topic, count = given.loop
        LOOPS[loop](CLIENTS[who], bootstrap, topic, int(count))
        # What closing costs is not the question.
        os._exit(0)
    topic = f"bench-{uuid.uuid4().hex[:8]}"
    with moldau.Broker() as broker:
        produce(BARE_CLIENTS, broker.bootstrap_servers, topic, 2 * MANY)
        for loop in LOOPS:
            cost: dict[str, float] = {}
            for who in CLIENTS:
                few, many = (
                    instructions("--loop", loop, who, broker.bootstrap_servers, topic, str(count))
                    for count in (FEW, MANY)
                )
                cost[who] = (many - few) / (MANY - FEW)
            print(
                f"{loop:8} bare {cost['bare']:>8,.0f}   ours {cost['ours']:>8,.0f} instructions a record   "
                f"x{cost['ours'] / cost['bare']:.4f}"
            )


if __name__ == "__main__":
    main()
