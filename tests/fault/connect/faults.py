"""What is done to the parts of a run: each fault is over when its function returns."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Callable

from tests.fault.connect.parts import SINK, SOURCE, Parts
from tests.fault.connect.weather import StormyBucket

Fault = Callable[[Parts, random.Random], None]


def kill_worker(parts: Parts, chance: random.Random) -> None:
    worker = chance.choice(parts.workers)
    worker.kill()
    # Sometimes before the others know that it is gone, sometimes long after they have taken over.
    time.sleep(chance.choice((0, 0.2, 1, 5)))
    worker.start()


def pause_worker(parts: Parts, chance: random.Random) -> None:
    """Now and then for longer than its session: what it has polled it still wants to send when it goes on."""
    worker = chance.choice(parts.workers)
    worker.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.choice((0.5, 2, 6)))
    worker.process.send_signal(signal.SIGCONT)


def kill_both_workers(parts: Parts, chance: random.Random) -> None:
    for worker in parts.workers:
        worker.kill()
    for worker in parts.workers:
        time.sleep(chance.choice((0, 0, 0.5)))
        worker.start()


def ask_worker_to_leave(parts: Parts, chance: random.Random) -> None:
    worker = chance.choice(parts.workers)
    worker.process.terminate()
    try:
        worker.process.wait(30)
    except subprocess.TimeoutExpired:
        worker.kill()
        raise AssertionError(f"{worker.url} does not end when it is asked to: see {worker.log}") from None
    worker.start()


def kill_node(parts: Parts, chance: random.Random) -> None:
    parts.node.kill()
    time.sleep(chance.choice((0, 0.2, 2)))
    parts.node.start()


def kill_node_and_workers(parts: Parts, chance: random.Random) -> None:
    """What a worker has sent, and the node has not taken, is nowhere but in the database."""
    parts.node.kill()
    time.sleep(chance.choice((0.2, 1, 2)))
    for worker in parts.workers:
        worker.kill()
    parts.node.start()
    for worker in parts.workers:
        worker.start()


def kill_postgres(parts: Parts, chance: random.Random) -> None:
    parts.postgres.kill_everything()
    time.sleep(chance.choice((0, 0.2, 2)))
    parts.postgres.start()


def kill_everything(parts: Parts, chance: random.Random) -> None:
    kills: list[Callable[[], None]] = [
        parts.node.kill,
        parts.postgres.kill_everything,
        *(each.kill for each in parts.workers),
    ]
    starts: list[Callable[[], None]] = [parts.node.start, parts.postgres.start]
    for kill in chance.sample(kills, len(kills)):
        kill()
    for start in chance.sample(starts, len(starts)):
        start()
    for worker in parts.workers:
        worker.start()


def restart_connectors(parts: Parts, chance: random.Random) -> None:
    parts.ask("POST", f"/connectors/{chance.choice((SOURCE, SINK))}/restart?includeTasks=true")
    time.sleep(chance.uniform(0, 1))


def cut_connections_to_the_store(parts: Parts, chance: random.Random) -> None:
    for _ in range(chance.randint(1, 4)):
        parts.lake.proxy.cut()
        time.sleep(chance.uniform(0, 0.4))


def kill_store(parts: Parts, chance: random.Random) -> None:
    parts.lake.proxy.refuses = True
    parts.lake.proxy.cut()
    time.sleep(chance.choice((0.3, 1, 4)))
    parts.lake.proxy.refuses = False


def _weather(name: str) -> Fault:
    def fault(parts: Parts, chance: random.Random) -> None:
        parts.lake.share = chance.choice((0.3, 0.8, 1))
        parts.lake.weather = name
        time.sleep(chance.uniform(0.5, 3))
        parts.lake.weather = "fair"

    return fault


def fill_disk(parts: Parts, chance: random.Random) -> None:
    assert parts.lake.disk is not None
    ballast = parts.lake.disk / "ballast"
    command = ["dd", "if=/dev/zero", f"of={ballast}", "bs=64k", "status=none"]
    subprocess.run(command, check=False, stderr=subprocess.DEVNULL)
    time.sleep(chance.uniform(0.5, 3))
    ballast.unlink()


ALWAYS: dict[str, Fault] = {
    "kill worker": kill_worker,
    "kill both workers": kill_both_workers,
    "ask worker to leave": ask_worker_to_leave,
    "kill node": kill_node,
    "kill node and workers": kill_node_and_workers,
    "kill postgres": kill_postgres,
    "kill everything": kill_everything,
    "restart connectors": restart_connectors,
}
OF_A_FENCED_SOURCE: dict[str, Fault] = {"pause worker": pause_worker}
OF_A_BUCKET: dict[str, Fault] = {
    "cut connections to the store": cut_connections_to_the_store,
    "kill store": kill_store,
    "store busy": _weather("busy"),
    "store slow": _weather("slow"),
    "store forgetful": _weather("forgetful"),
}
OF_A_FOLDER: dict[str, Fault] = {"full disk": fill_disk}


def possible_faults(parts: Parts) -> dict[str, Fault]:
    """Those that this place for the lake, and this source, can have."""
    found = {**ALWAYS, **(OF_A_FENCED_SOURCE if parts.once else {})}
    if isinstance(parts.lake, StormyBucket):
        return {**found, **OF_A_BUCKET}
    return {**found, **(OF_A_FOLDER if parts.lake.disk is not None else {})}
