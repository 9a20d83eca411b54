"""How long `moldau.Broker()` takes until clients may connect: `python -m bench.embedded [STARTS]`.

Imports are done before, as in a test session after its first broker; the first client's answer is measured too.
"""

from __future__ import annotations

import statistics
import sys
import time

import moldau

STARTS = 50
GOAL_MS = 300


def start_and_stop() -> tuple[float, float, float]:
    """Milliseconds until it is ready, from there until a client has its first answer, and to close it."""
    broker = moldau.Broker()
    begin = time.perf_counter()
    broker.start()
    ready = time.perf_counter()
    moldau.AdminClient(bootstrap_servers=broker.bootstrap_servers).list_topics(timeout=30)
    answered = time.perf_counter()
    broker.close()
    closed = time.perf_counter()
    return (ready - begin) * 1e3, (answered - ready) * 1e3, (closed - answered) * 1e3


def main() -> None:
    starts = int(sys.argv[1]) if len(sys.argv) > 1 else STARTS
    start_and_stop()
    rows = [start_and_stop() for _ in range(starts)]
    for name, column in zip(("ready", "first answer", "closed"), zip(*rows, strict=True), strict=True):
        print(f"{name:13} median {statistics.median(column):7.1f} ms   slowest {max(column):7.1f} ms")
    print(f"goal          median of ready below {GOAL_MS} ms")


if __name__ == "__main__":
    main()
