"""Runs workloads on both brokers, in an order that changes from round to round."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.versus import peers
from bench.versus.broker_process import BrokerProcess
from bench.versus.rounds import order_of
from bench.versus.sample import Results, Sample
from bench.versus.workloads import (
    Workload,
    compaction,
    heartbeats,
    offset_commits,
    partitions,
    registry,
    transactions,
)

MODULES = {
    "transactions": transactions,
    "commits": offset_commits,
    "heartbeats": heartbeats,
    "partitions": partitions,
    "compaction": compaction,
    "registry": registry,
}
WORKLOADS = {name: module.WORKLOAD for name, module in MODULES.items()}


def about(names: Sequence[str]) -> dict[str, str]:
    """What each workload does, in the words of its module."""
    return {name: MODULES[name].__doc__ or "" for name in names}


class Runs:
    """The samples of some workloads, `rounds` times each."""

    def __init__(self, directory: Path, rounds: int, quick: bool, say: Callable[[str], None]) -> None:
        self.directory = directory
        self.rounds = rounds
        self.quick = quick
        self.say = say
        self.results = Results(samples={peer: [[] for _ in range(rounds)] for peer in peers.PEERS})

    def run(self, name: str) -> None:
        """One workload. A broker that fails at it is a note in the results, not the end of the run."""
        workload = WORKLOADS[name]
        nodes: dict[str, BrokerProcess] = {}
        try:
            for number in range(0 if self._warms_up(workload) else 1, self.rounds + 1):
                for peer in order_of(number):
                    self.say(f"{name}: {peer}, " + (f"round {number} of {self.rounds}" if number else "warm-up"))
                    if peer not in nodes or workload.fresh:
                        folder = self.directory / f"{name}-{number}" / peer
                        nodes[peer] = peers.start(peer, folder, workload.settings)
                    found = self._measure(name, peer, nodes[peer], workload, number == 0)
                    if number:
                        self.results.samples[peer][number - 1].extend(found)
                    if workload.fresh:
                        self._remove(nodes[peer])
        finally:
            for node in nodes.values():
                self._remove(node)

    def _warms_up(self, workload: Workload) -> bool:
        return not (workload.fresh or self.quick)

    def _measure(self, name: str, peer: str, node: BrokerProcess, workload: Workload, warm_up: bool) -> list[Sample]:
        found = []
        try:
            for sample in workload.measure(node, self.quick or warm_up):
                cpu = "" if sample.cpu is None else f", {sample.cpu:.4g} {sample.cpu_unit} of broker CPU"
                self.say(f"  {sample.row}: {sample.value:.4g} {sample.unit}{cpu}")
                found.append(sample)
        except Exception as error:  # noqa: BLE001
            # Not finishing is a result too; what was measured before it stands.
            note = f"{name} on {peer} did not finish: {type(error).__name__}: {error}"
            self.results.notes.append(note)
            self.say(f"{note}\n{node.log_tail()}")
        return found

    @staticmethod
    def _remove(node: BrokerProcess) -> None:
        if node.is_running():
            node.stop()
        shutil.rmtree(node.data, ignore_errors=True)
