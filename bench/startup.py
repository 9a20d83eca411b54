"""How long `moldau topic list` takes before it dials: wall and CPU time of whole processes, and what they import.

    python -m bench.startup                 # median of 25
    python -m bench.startup --imports       # the twenty slowest imports

Nobody listens at the address it is given, so the network costs one refused connection on loopback. CPU time is user and
system of the process; on a machine with other work it says more than the wall time. cyclopts alone is the floor: below
it a command line would have to be read by hand.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time

LINES = {
    "python -c pass": ["-c", "pass"],
    "import cyclopts": ["-c", "import cyclopts; cyclopts.App()"],
    "moldau --version": ["-m", "moldau", "--version"],
    "moldau topic list": ["-m", "moldau", "topic", "list", "-b", "127.0.0.1:1"],
    "moldau __complete topic ''": ["-m", "moldau", "__complete", "topic", ""],
    "moldau topic list --help": ["-m", "moldau", "topic", "list", "--help"],
}


def run_once(arguments: list[str]) -> tuple[float, float]:
    """Wall and CPU milliseconds of one process."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _pid, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall_s * 1000, (used.ru_utime + used.ru_stime) * 1000


def slowest_imports(arguments: list[str], count: int) -> list[tuple[int, str]]:
    """Microseconds that each import took with everything it imports."""
    done = subprocess.run([sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=False)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if line.count("|") == 2]
    found = [(int(row[1]), row[2].strip()) for row in rows if row[1].strip().isdecimal()]
    return sorted(found, reverse=True)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--imports", action="store_true")
    options = parser.parse_args()
    if options.imports:
        for microseconds, name in slowest_imports(LINES["moldau topic list"], 20):
            print(f"{microseconds / 1000:8.1f} ms  {name}")
        return
    # Interleaved, so that a neighbour's busy second falls on all of them.
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in LINES}
    for _run in range(options.runs):
        for name, arguments in LINES.items():
            taken[name].append(run_once(arguments))
    print(f"{'':28}{'wall':>8}{'fastest':>9}{'CPU':>8}{'least':>8}  ms, {options.runs} runs")
    for name, pairs in taken.items():
        wall, cpu = zip(*pairs, strict=True)
        print(f"{name:28}{statistics.median(wall):8.0f}{min(wall):9.0f}{statistics.median(cpu):8.0f}{min(cpu):8.0f}")


if __name__ == "__main__":
    main()
