"""Money that is moved between accounts: the entries of the transfer workload, and the law that the sum stays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from tests.fault.history.known import Known

PREFIX = "transfer"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transfer. `number` counts the transfers of one book; number 0 opens the accounts."""

    book: str
    number: int
    account: int
    change: int
    balance: int
    """After the change."""

    def value(self, transaction: str | None) -> str:
        """As the value of a record. The transaction makes it unique: a number is used again after an abort."""
        return f"{PREFIX}|{self.book}|{self.number}|{self.account}|{self.change}|{self.balance}|{transaction}"

    @classmethod
    def of(cls, value: str) -> Self | None:
        """The entry in a value, None for any other value."""
        words = value.split("|")
        if words[0] != PREFIX:
            return None
        return cls(words[1], *(int(word) for word in words[2:6]))


def money_not_conserved(known: Known) -> Iterator[str]:
    """A committed state of a book in which money has come or gone, or a balance that does not follow from the last."""
    entries: dict[str, list[Entry]] = defaultdict(list)
    for log in known.committed_log.values():
        last: dict[tuple[str, int], Entry] = {}
        for value in log.values():
            entry = Entry.of(value)
            if entry is None:
                continue
            entries[entry.book].append(entry)
            before = last.get((entry.book, entry.account))
            if before is not None and entry.balance != before.balance + entry.change:
                yield f"{entry} does not follow from {before}"
            last[entry.book, entry.account] = entry
    for book, of_book in entries.items():
        total, sums = None, defaultdict(int)
        for entry in of_book:
            sums[entry.number] += entry.change
        for number in sorted(sums):
            if total is None:
                total = sums[number]
            elif sums[number]:
                yield f"the sum of {book} is {total} before transfer {number} and {total + sums[number]} after it"
                total += sums[number]
