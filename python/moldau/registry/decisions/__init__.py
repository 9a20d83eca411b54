"""What a request leads to: records to write, and an answer.

A decision is a pure function of the state and the request. It changes nothing: its records do, when they have been
written and read back. What is refused raises RegistryError, and nothing is written.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from moldau.registry.records import Record

AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True, slots=True)
class Decision(Generic[AnswerT]):
    """`answer` is given when `records` are in the log and applied; at once if there are none."""

    records: tuple[Record, ...]
    answer: AnswerT
