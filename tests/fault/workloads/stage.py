"""Where a workload runs: a folder with a node of its own, a proxy before it, a small disk, a clock to set."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.versus import peers
from bench.versus.ports import free_port
from tests.fault.faults import DISK_BYTES, FAKETIME, FAULTS, clock_environment
from tests.fault.proxy import Proxy
from tests.fault.small_disk import small_disk
from tests.fault.workloads.run import WorkloadRun

ABORTS_LATE_TRANSACTIONS_EVERY_MS = 1000


@contextlib.contextmanager
def staged(
    folder: Path, workload: str, seed: int, faults: Sequence[str] = (), bug: str | None = None, aborts: float = 0.1
) -> Iterator[WorkloadRun]:
    """A run whose node has started; everything is stopped at the end. `bug` names one of `tests.fault.planted`."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as stack:
        proxy = Proxy()
        stack.callback(proxy.stop)
        settings = {
            "moldau.http.listener": f"127.0.0.1:{free_port()}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{proxy.port}",
            "transaction.abort.timed.out.transaction.cleanup.interval.ms": str(ABORTS_LATE_TRANSACTIONS_EVERY_MS),
        }
        disk = None
        if "full disk" in faults:
            disk = stack.enter_context(small_disk(folder / "disk", DISK_BYTES))
            assert disk is not None, f"no small disk here: see {missing_faults}"
            settings["log.dirs"] = str(disk / "data")
        node = peers.moldau(folder / "node", settings)
        if "clock jumps" in faults:
            node.environment |= clock_environment(folder)
        if bug is not None:
            node.command[1:3] = ["-m", "tests.fault.planted", bug]
            node.environment["PYTHONPATH"] += f":{Path(__file__).parents[3]}"
        stack.callback(lambda: node.is_running() and node.kill())
        node.start()
        proxy.target_port = node.port
        run = WorkloadRun(workload, seed, node, proxy, folder, disk, aborts)
        try:
            yield run
        except BaseException:
            sys.stderr.write(f"--- seed {seed}, {node.log_file}\n{node.log_tail()}\n")
            raise


def missing_faults(folder: Path) -> dict[str, str]:
    """The faults that cannot be had on this machine, each with the reason."""
    missing = {}
    with small_disk(folder / "probe", 1 << 20) as disk:
        if disk is None:
            missing["full disk"] = "mounting a tmpfs needs root"
    if not FAKETIME.exists():
        missing["clock jumps"] = f"{FAKETIME} is not installed (Debian package: faketime)"
    return missing


def possible_faults(folder: Path) -> list[str]:
    missing = missing_faults(folder)
    return [name for name in FAULTS if name not in missing]
