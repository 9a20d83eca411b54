"""What clients did and what they saw: the operations of a history, and the file that keeps one.

A history is one JSON object a line, in any order: `at` sorts it (CLOCK_MONOTONIC in nanoseconds, so it compares between
processes of one machine). Values are unique for each send, except where a workload says that a value stands for an
effect that must happen once (a copy is named for its original).

A partition is written `topic-0`. Nothing here may know a client library: the checker is pure.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import msgspec

Isolation = Literal["read_committed", "read_uncommitted"]
SendOutcome = Literal["ok", "failed", "unknown"]
TransactionOutcome = Literal["committed", "aborted", "unknown"]


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What all have: when it was over, and who did it. A client that is started again is another process."""

    at: int
    process: str


class Send(Operation, tag="send"):
    """A record handed to a producer. `began` orders the sends of a process; `failed` means surely not written."""

    began: int
    partition: str
    value: str
    outcome: SendOutcome
    offset: int | None = None
    """Where the broker said it is; None when it did not say."""
    transaction: str | None = None
    reason: str | None = None


class Record(msgspec.Struct, frozen=True, array_like=True):
    """One record as a consumer got it."""

    partition: str
    offset: int
    value: str


class Poll(Operation, tag="poll"):
    """Records that a consumer got, in that order. `reader` is on whose behalf: a group, or the process itself."""

    reader: str
    isolation: Isolation
    records: tuple[Record, ...]
    transaction: str | None = None
    """The transaction that these records were processed in."""


class Assign(Operation, tag="assign"):
    """Partitions a consumer has from now on, all of them. Where it goes on in each is for the group to say."""

    partitions: tuple[str, ...]


class Seek(Operation, tag="seek"):
    """A consumer goes to another offset on purpose."""

    partition: str
    offset: int


class Transaction(Operation, tag="transaction"):
    """How a transaction ended for its producer. `committing` is when it asked to commit; None if it never did."""

    name: str
    outcome: TransactionOutcome
    committing: int | None = None


class ReadToEnd(Operation, tag="read-to-end"):
    """`reader` has got everything there was in `partition` below `offset`; the end was asked for at `began`."""

    reader: str
    isolation: Isolation
    partition: str
    offset: int
    began: int


class Note(Operation, tag="note"):
    """Something a person who reads the history wants to know: a fault, a seed."""

    text: str


AnyOperation = Send | Poll | Assign | Seek | Transaction | ReadToEnd | Note
History = list[AnyOperation]

_decoder = msgspec.json.Decoder(AnyOperation)


def write_history(path: Path, operations: Iterable[AnyOperation]) -> None:
    """One operation a line."""
    with path.open("wb") as file:
        file.writelines(msgspec.json.encode(operation) + b"\n" for operation in operations)


def merged(operations: Iterable[AnyOperation]) -> History:
    """The last word about each send and each transaction, and everything else, in order of time.

    The operations come in the order of their files: what a client writes before the deed is no longer true after it.
    """
    last: dict[object, AnyOperation] = {}
    for number, operation in enumerate(operations):
        if isinstance(operation, Send):
            last[operation.process, operation.began] = operation
        elif isinstance(operation, Transaction):
            last[operation.name] = operation
        else:
            last[number] = operation
    return sorted(last.values(), key=lambda operation: operation.at)


def read_history(path: Path) -> History:
    """The operations of a file, in order of time.

    Raises:
        ValueError: a line that is no operation; names file and line.
    """
    return merged(operations_in(path))


def operations_in(path: Path) -> Iterator[AnyOperation]:
    """In the order of the file."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            yield _decoder.decode(line)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise ValueError(f"{path}:{number}: {error}") from error


def partition_name(topic: str, partition: int) -> str:
    """How a partition is written in a history; interned, a history says it often."""
    return sys.intern(f"{topic}-{partition}")
