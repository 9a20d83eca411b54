"""One run: writers, faults at moments that a seed chooses, peace until everything has arrived, and the verdict."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
from confluent_kafka import KafkaException
from tests.fault.connect import numbers
from tests.fault.connect.faults import possible_faults
from tests.fault.connect.parts import SINK, SOURCE, Parts
from tests.fault.connect.reading import Reader, committed_offsets, numbers_in, rows_of
from tests.fault.connect.shop import Writer, committed_changes, make_shop
from tests.fault.connect.verdict import TOMBSTONE, Place, Verdict, judge_lake, judge_topics

WRITERS = 3
PEACE_WITHIN_S = 120
PAUSE_S = (0, 0.5, 2, 5)
FENCED = "another one has taken over the work of task"
STORES = ("bucket", "folder")


class _Patience:
    """Lasts as long as something moves, and `PEACE_WITHIN_S` longer."""

    def __init__(self) -> None:
        self._last: int | None = None
        self._deadline = 0.0

    def lasts(self, figure: int) -> bool:
        if figure != self._last:
            self._last, self._deadline = figure, time.monotonic() + PEACE_WITHIN_S
        return time.monotonic() < self._deadline


class Run:
    """See above. What is wrong is in `verdict` afterwards; its records, and the logs of all parts, are in `folder`."""

    def __init__(
        self, folder: Path, seed: int, bug: str | None = None, store: str | None = None, *, once: bool | None = None
    ) -> None:
        self.folder = folder
        self.seed = seed
        self.verdict = Verdict()
        self.done: Counter[str] = Counter()
        self._chance = random.Random(seed)
        place = self._chance.choice(STORES)
        self.once = self._chance.random() < 0.5
        if once is not None:
            self.once = once
        self._parts = Parts(folder, store or place, self._chance, bug, once=self.once)
        self._settled: dict[Place, int] = {}
        self._stored_numbers: list[dict[str, Any]] = []
        self._restarted: set[str] = set()
        self._between = 0
        self._writers: list[Writer] = []

    def judged(self, duration_s: float, faults: Sequence[str] = (), *, between: int = 0) -> Verdict:
        """Run it; `faults` (or any that there are) until `duration_s` is over, each of them at least once.

        Before each there are `between` transactions, however slow the machine is.
        """
        parts = self._parts
        self._between = between
        with parts.standing():
            self._note(f"seed {self.seed}, {'exactly' if self.once else 'at least'} once")
            make_shop(parts.postgres)
            self._reader = Reader(parts.node.bootstrap_servers)
            writers = [Writer(parts.postgres, number, self.seed + number) for number in range(1, WRITERS + 1)]
            self._writers = writers
            try:
                for writer in writers:
                    writer.start()
                parts.create_connectors()
                if self._chance.random() < 0.6:
                    self._wait_until_settled()
                self._trouble(faults, duration_s)
                for writer in writers:
                    writer.end()
                self._end_in_peace()
                self._judge()
            except (AssertionError, RuntimeError, KafkaException) as error:
                self.verdict.found("did not come to its end", f"{error}")
            except httpx.HTTPError as error:
                said = f"{type(error).__name__} {error}: see silence.log and the workers' logs"
                self.verdict.found("did not come to its end", said)
            finally:
                for writer in writers:
                    with contextlib.suppress(AssertionError):
                        writer.end()
                self._reader.close()
                self._write_down()
        return self.verdict

    # Trouble.

    def _trouble(self, chosen: Sequence[str], duration_s: float) -> None:
        possible = possible_faults(self._parts)
        until = time.monotonic() + duration_s
        order = [name for name in chosen if name in possible]
        for number in itertools.count():
            if number >= len(order) and time.monotonic() >= until:
                break
            name = order[number] if number < len(order) else self._chance.choice(order or list(possible))
            self._wait_for_changes()
            self._note(name)
            self.done[name] += 1
            possible[name](self._parts, self._chance)
            self._pass(self._chance.choice(PAUSE_S))
        self._note("faults are over")

    def _wait_for_changes(self) -> None:
        wanted, patience = self._transactions() + self._between, _Patience()
        while (made := self._transactions()) < wanted:
            assert patience.lasts(made), "nothing is written any more"
            self._pass(0.1)

    def _transactions(self) -> int:
        return sum(writer.transactions for writer in self._writers)

    def _pass(self, seconds: float) -> None:
        """Let time go by, looking after what has ended by itself."""
        until = time.monotonic() + seconds
        while True:
            self._revive()
            if time.monotonic() >= until:
                return
            time.sleep(0.1)

    def _revive(self) -> None:
        """Nothing ends by itself, and no task fails for anything that is done here: it is found, and started again."""
        for worker in self._parts.workers:
            if (status := worker.process.poll()) is not None:
                self.verdict.found("worker ended", f"{worker.url} ended with {status}: see {worker.log}")
                worker.start()
        for connector in (SOURCE, SINK, *([numbers.NAME] if self.once else [])):
            status = self._parts.ask("GET", f"/connectors/{connector}/status")
            if status is None:
                continue
            for part in (status["connector"], *status["tasks"]):
                if part["state"] == "FAILED" and part["trace"] not in self._restarted:
                    self._restarted.add(part["trace"])
                    if FENCED in part["trace"]:
                        # Of a worker that was stopped while another one took over: so it has to be.
                        self.verdict.counts["tasks shut out"] += 1
                        continue
                    self.verdict.found("failed task", f"{connector}: {part['trace'].strip().splitlines()[-1]}")
                    self._note(part["trace"])
            if any(part["state"] == "FAILED" for part in (status["connector"], *status["tasks"])):
                self._parts.ask("POST", f"/connectors/{connector}/restart?includeTasks=true&onlyFailed=true")

    def _wait_until_settled(self) -> None:
        """Until the end of the snapshot is kept: from then on there is no other."""
        deadline = time.monotonic() + PEACE_WITHIN_S
        while True:
            self._pass(0)
            found = (self._parts.ask("GET", f"/connectors/{SOURCE}/offsets") or {}).get("offsets") or []
            if any("snapshot" not in each["offset"] or each["offset"]["snapshot_completed"] for each in found):
                break
            assert time.monotonic() < deadline, "the snapshot does not come to its end"
            time.sleep(0.05)
        self._settled = self._reader.ends()
        self._note(f"the snapshot is complete: {self._settled}")

    # The end.

    def _end_in_peace(self) -> None:
        """Until every change is in its topic, and of each partition less than a file is not in the lake."""
        changes = committed_changes(self._parts.postgres)
        patience = _Patience()
        while patience.lasts(len(self._reader.events)):
            self._pass(0.3)
            self._reader.read_to_the_end()
            if "lost change" not in judge_topics(changes, self._reader.events).anomalies:
                break
        self._note("everything has arrived, or nothing comes any more")
        patience = _Patience()
        while (waiting := self._most_waiting()) >= int(self._parts.sink_settings["flush.size"]):
            assert patience.lasts(waiting), f"the sink does not write {waiting} records of a partition"
            self._pass(0.3)
        if self.once:
            self._stop_counting()
        for wrong in self._parts.stop_workers():
            self.verdict.found("worker ended", wrong)

    def _stop_counting(self) -> None:
        deadline = time.monotonic() + PEACE_WITHIN_S
        place = f"/connectors/{numbers.NAME}"
        self._parts.ask("PUT", f"{place}/stop")
        while (self._parts.ask("GET", f"{place}/status") or {}).get("tasks") != []:
            assert time.monotonic() < deadline, "the tasks of the numbers do not stop"
            self._pass(0.1)
        self._stored_numbers = self._parts.ask("GET", f"{place}/offsets")["offsets"]

    def _most_waiting(self) -> int:
        """Records of a partition that are not committed by the sink: so many are in open files, or on their way."""
        committed = committed_offsets(self._parts.node.bootstrap_servers)
        waiting = Counter(
            (event.topic, event.partition)
            for event in self._reader.events
            if event.op != TOMBSTONE and event.offset >= committed[event.topic, event.partition]
        )
        return max(waiting.values(), default=0)

    def _judge(self) -> None:
        self._reader.read_to_the_end()
        self._changes = committed_changes(self._parts.postgres)
        self._rows = rows_of(self._parts.lake.objects())
        committed = committed_offsets(self._parts.node.bootstrap_servers)
        verdicts = [
            judge_topics(self._changes, self._reader.events, once=self.once, settled=self._settled),
            judge_lake(self._reader.events, self._rows, committed),
        ]
        if self.once:
            found = numbers_in(self._parts.node.bootstrap_servers)
            verdicts.append(numbers.judge_numbers(found, self._stored_numbers))
        for each in verdicts:
            self.verdict.counts += each.counts
            for name, cases in each.anomalies.items():
                self.verdict.anomalies[name] += cases

    # What is left for whoever reads a finding.

    def _note(self, what: str) -> None:
        with (self.folder / "faults.log").open("a") as file:
            print(f"{time.strftime('%H:%M:%S')}.{time.time_ns() // 1_000_000 % 1000:03d} {what}", file=file)

    def _write_down(self) -> None:
        for name, records in (
            ("changes", getattr(self, "_changes", [])),
            ("events", self._reader.events),
            ("rows", getattr(self, "_rows", [])),
        ):
            with (self.folder / f"{name}.jsonl").open("w") as file:
                file.writelines(json.dumps(asdict(record)) + "\n" for record in records)
        (self.folder / "sink.json").write_text(json.dumps(self._parts.sink_settings, indent=2))
        server_log = self._parts.postgres.folder / "server.log"
        if server_log.exists():
            (self.folder / "postgres.log").write_bytes(server_log.read_bytes())
