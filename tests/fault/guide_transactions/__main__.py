"""`python -m tests.fault.guide_transactions --kills N --seed S`: the guide's transactional programs under kill -9.

Chapters of `--chapter` kills, each in a data directory of its own that is judged at its end. The folder of a chapter in
which something was found stays; its history can be judged again with `python -m tests.fault.history FILE`. Status 1
when there is a finding. The seed decides victims, moments and inputs, not how processes interleave.
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.fault.guide_transactions.chapter import Chapter
from tests.fault.planted import BUGS

SAID_EVERY = 50


class Progress:
    """One line that is written over on a terminal; elsewhere a line now and then."""

    def __init__(self, kills: int) -> None:
        self._kills = kills
        self._began = time.monotonic()
        self.done = 0
        self.findings = 0

    def killed(self) -> None:
        self.done += 1
        terminal = sys.stderr.isatty()
        if terminal or self.done % SAID_EVERY == 0 or self.done == self._kills:
            bar = "#" * (30 * self.done // self._kills)
            took_s = time.monotonic() - self._began
            rest_s = took_s / self.done * (self._kills - self.done)
            line = f"[{bar:<30}] {self.done}/{self._kills} kills, {took_s:.0f} s, {rest_s:.0f} s to go, "
            print(f"{line}{self.findings} findings", file=sys.stderr, end="\r" if terminal else "\n", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fault.guide_transactions")
    parser.add_argument("--kills", type=int, default=1000, help="how many in all (1000)")
    parser.add_argument("--seed", type=int, default=None, help="chosen by chance if not given, and printed")
    parser.add_argument("--chapter", type=int, default=100, help="kills before everything is judged (100)")
    parser.add_argument("--bug", choices=sorted(BUGS), help="plant one, to see that it is found")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(1 << 30) if given.seed is None else given.seed
    print(f"seed {seed}", file=sys.stderr, flush=True)
    folder = Path(tempfile.mkdtemp(prefix="moldau-guide-"))
    chance, progress = random.Random(seed), Progress(given.kills)
    killed, ended, hung, counted = Counter[str](), Counter[str](), Counter[str](), Counter[str]()
    while progress.done < given.kills:
        chapter = Chapter(folder / f"from-{progress.done}", chance.randrange(1 << 30), given.bug)
        planned = min(given.chapter, given.kills - progress.done)
        chapter.run(planned, progress.killed)
        killed, ended, hung = killed + chapter.killed, ended + chapter.ended, hung + chapter.hung
        counted += Counter(chapter.verdict.counts if chapter.verdict else {})
        if chapter.findings:
            progress.findings += len(chapter.findings)
            print("\n".join(["", *chapter.findings, f"    {chapter.folder}"]), flush=True)
            if chapter.killed.total() < planned:
                break  # It did not come to its end, and the next one would not either.
        else:
            shutil.rmtree(chapter.folder)
    for what in (killed, ended, hung, counted):
        print(", ".join(f"{count} {name}" for name, count in sorted(what.items())) or "none hung")
    print(f"seed {seed}: {killed.total()} kills, {progress.findings} findings")
    return 1 if progress.findings else 0


if __name__ == "__main__":
    sys.exit(main())
