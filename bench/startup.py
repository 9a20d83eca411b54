"""How long `moldau topic list` takes before it dials: the wall time of whole processes, and what they import.

    python -m bench.startup                 # median of 25
    python -m bench.startup --imports       # the twenty slowest imports

Nobody listens at the address it is given, so the network costs one refused connection on loopback.
"""

from __future__ import annotations

import argparse
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


def wall_ms(arguments: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
    return (time.perf_counter() - started) * 1000


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
    taken: dict[str, list[float]] = {name: [] for name in LINES}
    for _run in range(options.runs):
        for name, arguments in LINES.items():
            taken[name].append(wall_ms(arguments))
    print(f"{'':28}{'median':>8}{'fastest':>9}  ms, {options.runs} runs")
    for name, values in taken.items():
        print(f"{name:28}{statistics.median(values):8.0f}{min(values):9.0f}")


if __name__ == "__main__":
    main()
