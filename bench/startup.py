"""How long `moldau topic list` takes before it dials: wall time and CPU of whole processes, and what they import.

    python -m bench.startup                 # median of 25
    python -m bench.startup --imports       # the twenty slowest imports

Nobody listens at the address it is given, so the network costs one refused connection on loopback. CPU is user and
system time: on a machine that does other things it says more than the wall. The interpreter's own start is the first
line. Modules are compiled before, as after any install; PYTHONDONTWRITEBYTECODE, with which each start compiles them
anew in twice the time, is not handed on.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time

LINES = {
    "python -c pass": ["-c", "pass"],
    "moldau --version": ["-m", "moldau", "--version"],
    "moldau topic list": ["-m", "moldau", "topic", "list", "-b", "127.0.0.1:1"],
    "moldau __complete topic ''": ["-m", "moldau", "__complete", "topic", ""],
    "moldau topic list --help": ["-m", "moldau", "topic", "list", "--help"],
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def taken_ms(arguments: list[str]) -> tuple[float, float]:
    """Wall and CPU of one process, in milliseconds."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False, env=ENVIRONMENT)
    wall_s, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall_s * 1000, cpu_s * 1000


def slowest_imports(arguments: list[str], count: int) -> list[tuple[int, str]]:
    """Microseconds that each import took with everything it imports."""
    line = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    rows = [line.removeprefix("import time:").split("|") for line in done.stderr.splitlines() if line.count("|") == 2]
    found = [(int(row[1]), row[2].strip()) for row in rows if row[1].strip().isdecimal()]
    return sorted(found, reverse=True)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=25)
    parser.add_argument("--imports", action="store_true")
    options = parser.parse_args()
    for arguments in LINES.values():
        taken_ms(arguments)
    if options.imports:
        for microseconds, name in slowest_imports(LINES["moldau topic list"], 20):
            print(f"{microseconds / 1000:8.1f} ms  {name}")
        return
    # Interleaved, so that a neighbour's busy second falls on all of them.
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in LINES}
    for _run in range(options.runs):
        for name, arguments in LINES.items():
            taken[name].append(taken_ms(arguments))
    print(f"{'':28}{'wall':>8}{'fastest':>9}{'CPU':>8}{'least':>9}  ms, medians of {options.runs} runs")
    for name, values in taken.items():
        wall, cpu = zip(*values, strict=True)
        print(f"{name:28}{statistics.median(wall):8.0f}{min(wall):9.0f}{statistics.median(cpu):8.0f}{min(cpu):9.0f}")


if __name__ == "__main__":
    main()
