"""What a history tells as a whole: who sent what, how it ended, what was seen where. Derived once, read by all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property

from tests.fault.history.operations import (
    AnyOperation,
    History,
    Poll,
    ReadToEnd,
    Record,
    Send,
    Transaction,
    TransactionOutcome,
)

Place = tuple[str, int]
"""Partition and offset."""


class Known:
    """A history in order of time, and the indexes over it."""

    def __init__(self, operations: Iterable[AnyOperation]) -> None:
        self.history: History = sorted(operations, key=lambda operation: operation.at)
        self.sends = [operation for operation in self.history if isinstance(operation, Send)]
        self.polls = [operation for operation in self.history if isinstance(operation, Poll)]
        self.ends = [operation for operation in self.history if isinstance(operation, ReadToEnd)]
        self.transactions = {
            operation.name: operation for operation in self.history if isinstance(operation, Transaction)
        }

    @cached_property
    def sends_of_value(self) -> dict[str, list[Send]]:
        """By value: a copy that was aborted is sent again with the value it had."""
        found: dict[str, list[Send]] = defaultdict(list)
        for send in self.sends:
            found[send.value].append(send)
        return found

    @cached_property
    def sends_of_transaction(self) -> dict[str, list[Send]]:
        found: dict[str, list[Send]] = defaultdict(list)
        for send in self.sends:
            if send.transaction is not None:
                found[send.transaction].append(send)
        return found

    @cached_property
    def acknowledged_at(self) -> dict[Place, Send]:
        """The send that the broker said is there."""
        return {(send.partition, send.offset): send for send in self.sends if send.offset is not None}

    @cached_property
    def places_of_value(self) -> dict[str, set[Place]]:
        """Where each value was seen by readers that see nothing of an aborted transaction."""
        found: dict[str, set[Place]] = defaultdict(set)
        for poll in self.polls:
            for record in poll.records:
                if poll.isolation == "read_committed" or not self.may_be_aborted(record):
                    found[record.value].add((record.partition, record.offset))
        return found

    @cached_property
    def places_of_reader(self) -> dict[str, set[Place]]:
        """What each reader is done with: records whose processing was aborted have to come again."""
        found: dict[str, set[Place]] = defaultdict(set)
        for poll in self.polls:
            if poll.transaction is None or self.has_lasted(poll.transaction):
                found[poll.reader].update((record.partition, record.offset) for record in poll.records)
        return found

    @cached_property
    def committed_log(self) -> dict[str, dict[int, str]]:
        """By partition and offset: everything that any reader of committed records saw."""
        found: dict[str, dict[int, str]] = defaultdict(dict)
        for value, places in self.places_of_value.items():
            for partition, offset in places:
                found[partition].setdefault(offset, value)
        return {partition: dict(sorted(log.items())) for partition, log in found.items()}

    def outcome(self, transaction: str) -> TransactionOutcome:
        """How it ended; `unknown` for one that the history says nothing about."""
        known = self.transactions.get(transaction)
        return "unknown" if known is None else known.outcome

    def has_lasted(self, transaction: str) -> bool:
        """Whether it was committed; where its producer does not know, whether anything of it is there."""
        outcome = self.outcome(transaction)
        if outcome != "unknown":
            return outcome == "committed"
        return any(
            self.writer_of(Record(*place, send.value)) is send
            for send in self.sends_of_transaction.get(transaction, ())
            for place in self.places_of_value.get(send.value, ())
        )

    def settled_at(self, send: Send) -> int | None:
        """Since when a write must be found, or None if it need not be: not acknowledged, or not surely committed."""
        if send.outcome != "ok":
            return None
        if send.transaction is None:
            return send.at
        transaction = self.transactions.get(send.transaction)
        return transaction.at if transaction is not None and transaction.outcome == "committed" else None

    def writer_of(self, record: Record) -> Send | None:
        """The send that a record came from, as far as that is sure: by its place, else by a value sent only once."""
        send = self.acknowledged_at.get((record.partition, record.offset))
        if send is not None and send.value == record.value:
            return send
        sends = self.sends_of_value.get(record.value, [])
        possible = [send for send in sends if send.offset is None and send.partition == record.partition]
        if not possible and len(sends) == 1:
            return sends[0]
        return possible[0] if len(possible) == 1 else None

    def may_be_aborted(self, record: Record) -> bool:
        """Whether a reader of uncommitted records may have seen the remains of a transaction here."""
        return any(
            send.transaction is not None and self.outcome(send.transaction) != "committed"
            for send in self.sends_of_value.get(record.value, [])
        )
