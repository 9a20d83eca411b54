"""A source of numbers: each of its tasks counts, and goes on behind what it finds stored. A plugin as anybody's.

Its numbers are spread over a few keys, so that within one key the next number is known.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tests.fault.connect.verdict import Verdict

from moldau.connect.data import Schema
from moldau.connect.plugin import (
    ExactlyOnceSupport,
    SourceConnector,
    SourceTask,
    Task,
    TransactionBoundaries,
)
from moldau.connect.records import SourceRecord

NAME = TOPIC = "numbers"
TASKS = 2
KEYS = 5
BATCH = 40
COMMITTED_EVERY = 7
JUNK = "junk"

BOUNDARIES: tuple[dict[str, str], ...] = (
    {"transaction.boundary": "poll"},
    {"transaction.boundary": "interval", "transaction.boundary.interval.ms": "300"},
    {"transaction.boundary": "connector"},
)


class Numbers(SourceConnector):
    def start(self, props: Mapping[str, str]) -> None:
        self.props = dict(props)

    def task_class(self) -> type[Task]:
        return NumbersTask

    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        return [{**self.props, "task": str(number)} for number in range(max_tasks)]

    def exactly_once_support(self, props: Mapping[str, str]) -> ExactlyOnceSupport:
        return ExactlyOnceSupport.SUPPORTED

    def can_define_transaction_boundaries(self, props: Mapping[str, str]) -> TransactionBoundaries:
        return TransactionBoundaries.SUPPORTED


class NumbersTask(SourceTask):
    def start(self, props: Mapping[str, str]) -> None:
        self._task = props["task"]
        self._chance = random.Random()
        stored = self.context.offset_storage_reader().offset({"task": self._task})
        self._next = 0 if stored is None else stored["n"] + 1

    def poll(self) -> Sequence[SourceRecord]:
        time.sleep(self._chance.uniform(0, 0.02))
        numbers = range(self._next, self._next + self._chance.randint(1, BATCH))
        transactions = self.context.transaction_context()
        if transactions is not None and self._chance.random() < 0.1:
            # What is dropped with a transaction has an offset that repeats what was before.
            junk = self._record(self._next - 1, JUNK)
            transactions.abort_transaction(junk)
            return [junk]
        self._next = numbers.stop
        records = [self._record(number, str(number)) for number in numbers]
        if transactions is not None:
            for record in (*records[::COMMITTED_EVERY], records[-1]):
                transactions.commit_transaction(record)
        return records

    def _record(self, number: int, value: str) -> SourceRecord:
        return SourceRecord(
            {"task": self._task},
            {"n": number},
            TOPIC,
            key_schema=Schema.STRING_SCHEMA,
            key=f"{self._task}-{number % KEYS}",
            value_schema=Schema.STRING_SCHEMA,
            value=value,
        )


def judge_numbers(records: Iterable[tuple[str, str]], stored: Iterable[Mapping[str, Any]]) -> Verdict:
    """Each number up to what is stored once, and no other. `records` are keys and values in the order of partitions."""
    verdict = Verdict()
    last: dict[str, int] = {}
    seen: dict[str, set[int]] = defaultdict(set)
    for key, value in records:
        verdict.counts["numbers"] += 1
        if value == JUNK:
            verdict.found("aborted record", f"{JUNK} of {key}")
            continue
        number, task = int(value), key.partition("-")[0]
        if number in seen[task]:
            verdict.found("number twice", f"{number} of {key}")
        elif number != last.get(key, int(key.rpartition("-")[2]) - KEYS) + KEYS:
            verdict.found("numbers out of order", f"{number} of {key} comes after {last.get(key)}")
        seen[task].add(number)
        last[key] = number
    kept = {each["partition"]["task"]: int(each["offset"]["n"]) for each in stored}
    for task in kept.keys() | seen.keys():
        end = kept.get(task, -1) + 1
        lost, early = set(range(end)) - seen[task], {number for number in seen[task] if number >= end}
        if lost:
            verdict.found("lost number", f"{len(lost)} of task {task}, the first is {min(lost)}")
        if early:
            verdict.found("number without its offset", f"{len(early)} of task {task}, the first is {min(early)}")
    return verdict
