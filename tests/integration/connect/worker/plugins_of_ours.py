"""Connectors and transforms of somebody who uses Moldau, as `module:Class` in the tests' configurations."""

from __future__ import annotations

import threading
import time
from typing import ClassVar

from moldau.connect.data import Schema
from moldau.connect.errors import ConnectError, DataError, RetriableError
from moldau.connect.plugin import (
    ExactlyOnceSupport,
    SinkConnector,
    SinkTask,
    SourceConnector,
    SourceTask,
    TransactionBoundaries,
    Transformation,
)
from moldau.connect.records import SourceRecord


class Counter(SourceConnector):
    """Numbers, and how far it has come; `count` of them, each task its own."""

    def start(self, props):
        self.props = dict(props)

    def task_class(self):
        return CounterTask

    def task_configs(self, max_tasks):
        return [{**self.props, "task": str(number)} for number in range(max_tasks)]


class Silent(Counter):
    """Does not say whether it agrees to other offsets until it is let."""

    may_answer: ClassVar[threading.Event] = threading.Event()

    def alter_offsets(self, connector_config, offsets):
        self.may_answer.wait()
        return True


class CounterTask(SourceTask):
    acknowledged: ClassVar[list[tuple[int, int | None]]] = []

    def start(self, props):
        self.props = props
        stored = self.context.offset_storage_reader().offset({"task": props["task"]})
        self.next = 0 if stored is None else stored["n"] + 1

    def poll(self):
        end = min(self.next + 50, int(self.props["count"]))
        if self.next >= end:
            time.sleep(0.02)
            return None
        numbers = range(self.next, end)
        self.next = end
        time.sleep(float(self.props.get("pause", "0")))
        return [
            SourceRecord(
                {"task": self.props["task"]},
                {"n": number},
                self.props["topic"],
                key_schema=Schema.STRING_SCHEMA,
                key=self.props["task"],
                value_schema=Schema.STRING_SCHEMA,
                value=str(number),
            )
            for number in numbers
        ]

    def commit_record(self, record, metadata):
        self.acknowledged.append((record.source_offset["n"], None if metadata is None else metadata.offset))


class FailsOnOdd(Transformation):
    """No odd number passes."""

    def apply(self, record):
        if int(record.value) % 2:
            raise DataError(f"{record.value} is odd")
        return record


class Keeper(SinkConnector):
    """Keeps what it is given in this process, under the name of the connector."""

    def start(self, props):
        self.props = dict(props)

    def task_class(self):
        return KeeperTask

    def task_configs(self, max_tasks):
        return [{**self.props, "number": str(number)} for number in range(max_tasks)]


class KeeperTask(SinkTask):
    kept: ClassVar[dict[str, list[str]]] = {}
    calls: ClassVar[dict[str, list[str]]] = {}
    secrets: ClassVar[dict[str, str]] = {}

    def start(self, props):
        self.props = props
        self.failures = int(props.get("failures", "0"))
        self.flush_failures = int(props.get("flush.failures", "0"))
        self.name = props["name"]
        self.secrets[self.name] = props.get("secret", "")

    def put(self, records):
        if records and self.failures:
            self.failures -= 1
            self.context.timeout(50)
            raise RetriableError("the other side is busy")
        for record in records:
            if record.value == self.props.get("poison"):
                reporter = self.context.errant_record_reporter()
                if reporter is None:
                    raise ConnectError(f"cannot take {record.value}")
                reporter.report(record, ConnectError(f"cannot take {record.value}"))
                continue
            self.kept.setdefault(self.name, []).append(record.value)

    def open(self, partitions):
        self.calls.setdefault(self.name, []).append(f"open {sorted(partitions)}")
        if "begins" in self.props:
            self.context.offset(dict.fromkeys(partitions, int(self.props["begins"])))

    def close(self, partitions):
        self.calls.setdefault(self.name, []).append(f"close {sorted(partitions)}")

    def flush(self, offsets):
        if self.flush_failures:
            self.flush_failures -= 1
            raise ConnectError("the disk is full")

    def stop(self):
        while self.props.get("hangs") == "true":
            time.sleep(0.1)


class Ledger(SinkConnector):
    """Keeps how far it has come with what it was given, and commits nothing."""

    def start(self, props):
        self.props = dict(props)

    def task_class(self):
        return LedgerTask

    def task_configs(self, max_tasks):
        return [dict(self.props) for _ in range(max_tasks)]


class LedgerTask(SinkTask):
    written: ClassVar[dict[tuple[str, int], list[int]]] = {}

    def start(self, props):
        """Nothing to open."""

    def open(self, partitions):
        self.context.offset({place: len(self.written.get(place, ())) for place in partitions})

    def put(self, records):
        for record in records:
            self.written.setdefault((record.topic, record.kafka_partition), []).append(record.kafka_offset)

    def pre_commit(self, offsets):
        return {}


class Pages(SourceConnector):
    """Numbers in pages of `page`, one poll each; where a transaction ends is said by the task.

    A page whose number is `dropped` is aborted.
    """

    def start(self, props):
        self.props = dict(props)

    def task_class(self):
        return PagesTask

    def task_configs(self, max_tasks):
        return [dict(self.props)]

    def exactly_once_support(self, props):
        said = props.get("support", "SUPPORTED")
        if said == "raises":
            raise ConnectError("the moon is wrong")
        return None if said == "null" else ExactlyOnceSupport(said)

    def can_define_transaction_boundaries(self, props):
        said = props.get("boundaries", "SUPPORTED")
        return None if said == "null" else TransactionBoundaries(said)


class PagesTask(SourceTask):
    told: ClassVar[list[str]] = []

    def start(self, props):
        self.props = props
        self.page = int(props.get("page", "10"))
        stored = self.context.offset_storage_reader().offset({"of": "pages"})
        self.next = 0 if stored is None else stored["n"] + 1

    def poll(self):
        if self.next >= int(self.props["count"]):
            time.sleep(0.02)
            return None
        number = self.next // self.page
        numbers = range(self.next, self.next + self.page)
        self.next += self.page
        records = [
            SourceRecord(
                {"of": "pages"},
                {"n": each},
                self.props["topic"],
                value_schema=Schema.STRING_SCHEMA,
                value=str(each),
            )
            for each in numbers
        ]
        transactions = self.context.transaction_context()
        if transactions is not None:
            if str(number) == self.props.get("dropped"):
                transactions.abort_transaction(records[-1])
            elif self.props.get("commits") != "never":
                transactions.commit_transaction(records[-1])
        return records

    def commit_record(self, record, metadata):
        self.told.append(f"{record.value} {'left out' if metadata is None else metadata.offset}")

    def commit(self):
        self.told.append("commit")
