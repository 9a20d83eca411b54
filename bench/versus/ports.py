"""Free ports for servers that are started later, apart from those of every other process of tests or benchmarks."""

from __future__ import annotations

import fcntl
import itertools
import os
import socket
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

PORTS: Final = range(10_000, 32_000)
"""Below those that the kernel hands out by itself (32768 and up)."""
PORTS_PER_PROCESS: Final = 250


def free_port() -> int:
    """A port of the loopback interface that nobody listens on; the next call gives another one.

    It is bound later, perhaps by a JVM that takes seconds to start, and again after a restart: so processes side by
    side have ranges of their own.
    """
    looks = itertools.islice(_own_ports(), PORTS_PER_PROCESS)
    found = next(filter(_is_free, looks), None)
    if found is None:
        raise RuntimeError(f"each of the {PORTS_PER_PROCESS} ports of this process is taken: what does it not stop?")
    return found


@cache
def _own_ports() -> Iterator[int]:
    """Round and round the first range that nobody has; where all are taken, one that is shared with somebody."""
    ranges = [PORTS[first : first + PORTS_PER_PROCESS] for first in range(0, len(PORTS), PORTS_PER_PROCESS)]
    # Not everybody begins to look at the first.
    begin = os.getpid() % len(ranges)
    ranges = ranges[begin:] + ranges[:begin]
    return itertools.cycle(next(filter(_is_taken_by_us, ranges), ranges[0]))


def _is_taken_by_us(ports: range) -> bool:
    """Lock the range for as long as this process lives; False when somebody else has it."""
    folder = Path(tempfile.gettempdir()) / f"moldau-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    lock = os.open(folder / str(ports[0]), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return False
    # The descriptor is the lock: it is closed when the process ends.
    return True


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
