"""A chapter: one life of a data directory under many kills, and the verdict on what happened in it.

Programs and node run, inputs are fed, and at moments that a seed chooses a program, the node, or all of them are killed
and started again. Then everything is left in peace until each group has committed the end of its input, and the history
is judged: by `tests.fault.history`, and by the promise itself, that each input has had its effect once.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from bench.versus import peers
from tests.fault.guide_transactions.members import remove_members
from tests.fault.guide_transactions.programs import (
    PARTITIONS,
    PROGRAMS,
    SENDING_OFFSETS,
    STUCK_S,
    Program,
    RunningProgram,
)
from tests.fault.history.operations import History, Poll, Send, merged, operations_in, write_history
from tests.fault.history.verdict import Verdict, judge
from tests.fault.records import create_topic
from tests.fault.warm import WarmNode
from tests.fault.workloads.ending import read_everything, wait_until_the_group_is_done
from tests.fault.workloads.recording import RecordedProducer, Recorder

VICTIMS = {"eos_processor": 7, "checkout": 6, "node": 5, "node, and again while it starts": 1, "everything": 2}
MOMENT_WITHIN_S = 1.5
MOMENT_BYTES_MAX = 20_000
"""A kill waits until a program has written up to so much: two transactions of the one, a part of one of the other."""
LOT_MAX = {"carts": 80, "raw-orders": 250}
BACKLOG_MAX = 4_000
IN_PEACE_S = 4 * STUCK_S
"""A program may still be found stuck, and begin once more."""


@dataclass
class Chapter:
    """See above. `killed` counts by victim, `hung` the hangs that are the client's own; both grow while it runs."""

    folder: Path
    seed: int
    bug: str | None = None
    victims: dict[str, int] = field(default_factory=VICTIMS.copy)
    """Who is killed, and how often in proportion."""
    killed: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    hung: Counter[str] = field(default_factory=Counter)
    findings: list[str] = field(default_factory=list)
    verdict: Verdict | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self._files = self.folder / "clients"
        self._files.mkdir()
        self._chance = random.Random(self.seed)
        self._notes = Recorder(self._files / "faults.jsonl", "faults")
        settings = {"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000"}
        self.node = WarmNode(peers.moldau(self.folder / "node", settings), self.bug)
        self._programs: list[RunningProgram] = []
        self._fed = dict.fromkeys((program.source for program in PROGRAMS), 0)

    @property
    def history_file(self) -> Path:
        return self.folder / "history.jsonl"

    def run(self, kills: int, after_each: Callable[[], None] = lambda: None) -> None:
        """Kill that often, then judge; what is wrong is in `findings` afterwards."""
        try:
            self._start_node()
            for topic, partitions in PARTITIONS.items():
                create_topic(self.node.bootstrap_servers, topic, partitions, segment_bytes=str(1 << 20))
            self._feeder = RecordedProducer(
                Recorder(self._files / "feeder.jsonl", "feeder"), self.node.bootstrap_servers
            )
            servers = self.node.bootstrap_servers
            self._programs = [RunningProgram(program, servers, self._files) for program in PROGRAMS]
            for _ in range(kills):
                self._feed()
                self._wait_for_the_moment()
                self._kill(self._chance.choices(list(self.victims), list(self.victims.values()))[0])
                self._revive()
                after_each()
            self._end_in_peace()
            self._judge()
        except (AssertionError, RuntimeError) as error:
            self.findings.append(f"{error}")
        finally:
            for running in self._programs:
                running.kill()
            if self.node.is_running():
                self.node.kill()

    # What is done to them

    def _feed(self) -> None:
        """A lot of inputs for each program, numbered; nothing as long as it has plenty."""
        for source, lot_max in LOT_MAX.items():
            if self._fed[source] - self._done_about(source) > BACKLOG_MAX:
                continue
            for _ in range(self._chance.randrange(lot_max)):
                number = self._fed[source]
                self._feeder.send(source, number % PARTITIONS[source], f"{source}-{number:07d}")
                self._fed[source] += 1
        self._feeder.client.poll(0)

    def _done_about(self, source: str) -> int:
        """How many inputs its program has dealt with, from what it has written; a guess is good enough."""
        running = next(each for each in self._programs if each.program.source == source)
        return running.written_bytes() // (1000 * len(running.program.outputs))

    def _wait_for_the_moment(self) -> None:
        """Somewhere in a transaction or between two, counted in what a program has done, not in time."""
        watched = self._chance.choice(self._programs)
        until = watched.written_bytes() + self._chance.randrange(MOMENT_BYTES_MAX)
        deadline = time.monotonic() + self._chance.uniform(0, MOMENT_WITHIN_S)
        while watched.written_bytes() < until and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(self._chance.uniform(0, 0.005))

    def _kill(self, victim: str) -> None:
        self.killed[victim] += 1
        self._notes.note(f"kill {victim}")
        dead = [running for running in self._programs if victim in (running.program.name, "everything")]
        for running in dead:
            running.kill()
        if not victim.startswith("node") and victim != "everything":
            self._bury(dead)
            return
        self.node.kill()
        if victim == "node, and again while it starts":
            self.node.process = self.node.spawn()
            time.sleep(self._chance.uniform(0, 0.3))
            self.node.kill()
        time.sleep(self._chance.choice((0, 0, 0.1, 0.5)))
        self._start_node()
        self._bury(dead)

    def _start_node(self) -> None:
        self.node.start()
        self._node_since = time.time()

    def _bury(self, dead: list[RunningProgram]) -> None:
        """The group would wait for a dead member until its session is over: 45 s in a program as the guide has it."""
        for running in dead:
            remove_members(self.node.bootstrap_servers, running.program.group)
            running.start()

    def _revive(self) -> None:
        """A program that has ended, as the guide's do when they are done or meet an error, is started again."""
        for running in self._programs:
            status = running.process.poll()
            if status is None and running.is_stuck(self._node_since):
                self._has_hung(running)
            elif status is not None:
                self.ended[f"{running.program.name} ended with {status}"] += 1
                if status not in (0, 1):
                    self.findings.append(f"{running.program.name} ended with {status}: see {running.log}")
                remove_members(self.node.bootstrap_servers, running.program.group)
                running.start()

    def _has_hung(self, running: RunningProgram) -> None:
        name, last = running.program.name, running.last_line()
        self._notes.note(f"{name} hung after: {last}")
        if running.program.hangs_by_itself and SENDING_OFFSETS in last:
            self.hung[name] += 1
        else:
            self.findings.append(f"{name} hung after: {last}")
        running.kill()
        self._bury([running])

    # The end, and the verdict

    def _end_in_peace(self) -> None:
        left = self._feeder.client.flush(60)
        assert left == 0, f"{left} inputs were not acknowledged within 60 s"
        servers = self.node.bootstrap_servers
        for program in PROGRAMS:
            wait_until_the_group_is_done(
                self._notes,
                servers,
                program.group,
                program.source,
                PARTITIONS[program.source],
                self._revive,
                IN_PEACE_S,
            )
        for running in self._programs:
            running.kill()
        reader = Recorder(self._files / "reader.jsonl", "reader")
        read_everything(reader, servers, PARTITIONS)

    def _judge(self) -> None:
        history = merged(operation for file in sorted(self._files.glob("*.jsonl")) for operation in operations_in(file))
        write_history(self.history_file, history)
        self.verdict = judge(history)
        if self.verdict.anomalies:
            self.findings.append(self.verdict.report())
        for program in PROGRAMS:
            self.findings += broken_promises(program, history)


def broken_promises(program: Program, history: History) -> list[str]:
    """Inputs that have not had each of their effects once, for a reader of committed records."""
    source = f"{program.source}-"
    inputs = [op.value for op in history if isinstance(op, Send) and op.partition.startswith(source)]
    found = []
    for topic, effect in program.outputs.items():
        seen: Counter[str] = Counter()
        for poll in history:
            if isinstance(poll, Poll) and poll.process == "reader":
                seen.update(record.value for record in poll.records if record.partition.rpartition("-")[0] == topic)
        expected = {effect(value) for value in inputs}
        for what, values in {
            "never written": sorted(expected - seen.keys()),
            "written more than once": sorted(value for value, times in seen.items() if times > 1),
            "made from nothing": sorted(seen.keys() - expected),
        }.items():
            if values:
                found.append(f"{program.name}: {len(values)} records of {topic} were {what}: {values[:5]}")
    return found
