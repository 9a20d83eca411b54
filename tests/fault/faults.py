"""The faults: each a function that does something bad to a running workload and ends when it is over.

A fault has the run to act on and a source of chance; how long it lasts is its own business, a second or two.
"""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from bench.versus.broker_process import BrokerProcess
from tests.fault.proxy import Proxy

FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
DISK_BYTES = 256 << 20
BACK_WITHIN_S = 30
"""Of a client that was killed, on a machine with much else to do."""


class Victim(Protocol):
    """A process of a workload."""

    def send_signal(self, which: int) -> None: ...


class Run(Protocol):
    """What a fault may act on."""

    node: BrokerProcess
    proxy: Proxy
    folder: Path
    disk: Path | None
    """Where the small disk is that the node keeps its data on; None if it is on an ordinary one."""

    def clients(self) -> list[Victim]:
        """The clients that run now."""


Fault = Callable[[Run, random.Random], None]


def kill_node(run: Run, chance: random.Random) -> None:
    run.node.kill()
    time.sleep(chance.uniform(0, 0.3))
    run.node.start()


def pause_node(run: Run, chance: random.Random) -> None:
    run.node.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.2, 1.5))
    run.node.process.send_signal(signal.SIGCONT)


def kill_client(run: Run, chance: random.Random) -> None:
    """Whoever looks after the clients starts it again, under another name."""
    _a_client(run, chance).send_signal(signal.SIGKILL)


def pause_client(run: Run, chance: random.Random) -> None:
    victim = _a_client(run, chance)
    victim.send_signal(signal.SIGSTOP)
    # Now and then for longer than a session of a group, or a transaction.
    time.sleep(8 if chance.random() < 0.05 else chance.uniform(0.2, 1.5))
    victim.send_signal(signal.SIGCONT)


def _a_client(run: Run, chance: random.Random) -> Victim:
    """One of those that run; when all of them were just killed, as soon as one is back."""
    deadline = time.monotonic() + BACK_WITHIN_S
    while not (running := run.clients()):
        assert time.monotonic() < deadline, f"no client has come back within {BACK_WITHIN_S} s"
        time.sleep(0.02)
    return chance.choice(running)


def cut_connections(run: Run, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 5)):
        run.proxy.refuses = chance.random() < 0.5
        run.proxy.cut()
        time.sleep(chance.uniform(0, 0.3))
    run.proxy.refuses = False


def delay_connections(run: Run, chance: random.Random) -> None:
    run.proxy.delay_s = chance.uniform(0.02, 0.3)
    time.sleep(1)
    run.proxy.delay_s = 0


def fill_disk(run: Run, chance: random.Random) -> None:
    """A file takes all the room; when it is gone the node is started again, as an operator would."""
    assert run.disk is not None
    ballast = run.disk / "ballast"
    command = ["dd", "if=/dev/zero", f"of={ballast}", "bs=64k", "status=none"]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    time.sleep(chance.uniform(0.3, 1))
    if run.node.is_running():
        run.node.kill()
    ballast.unlink()
    run.node.start()


def jump_clock(run: Run, chance: random.Random) -> None:
    """The node's wall clock goes up to an hour forwards or backwards, and after a while back to the truth."""
    set_clock(run.folder, chance.choice((-1, 1)) * chance.randint(2, 3600))
    time.sleep(chance.uniform(0.3, 1))
    set_clock(run.folder, 0)


def set_clock(folder: Path, ahead_s: int) -> None:
    """What libfaketime reads; replaced at once, because the node may read it at any moment."""
    new = folder / "clock.new"
    new.write_text(f"{ahead_s:+d}\n")
    new.replace(folder / "clock")


def clock_environment(folder: Path) -> dict[str, str]:
    """Variables under which a node's wall clock is what `set_clock` says. The monotonic clock does not jump."""
    set_clock(folder, 0)
    return {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(folder / "clock"),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


FAULTS: dict[str, Fault] = {
    "kill node": kill_node,
    "pause node": pause_node,
    "kill client": kill_client,
    "pause client": pause_client,
    "cut connections": cut_connections,
    "delay connections": delay_connections,
    "full disk": fill_disk,
    "clock jumps": jump_clock,
}
