"""What turns keys and values into bytes and back: one pair of functions, chosen when the topology is built.

A `Serde` is two plain functions, so that a record pays for one call and nothing else. `bind` is asked once per topic
and side when a task is made; a serde that needs the topic (a schema registry's subject) answers with another one.
Byte formats are those of `org.apache.kafka.common.serialization`, so a Java application reads the same topics.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

T = TypeVar("T")

Side = Literal["key", "value"]


@dataclass(frozen=True, slots=True)
class Serde(Generic[T]):
    """Two functions for one type. None never reaches them: it is a tombstone, on both sides of the wire.

    `immutable` says that nobody can change a value that was handed out. Stores keep such values as they are; all
    others are kept as bytes, so that an aggregate that was changed in place is not its own old value.
    """

    name: str
    serialize: Callable[[T], bytes]
    deserialize: Callable[[bytes], T]
    immutable: bool = False

    def bind(self, topic: str, side: Side) -> Serde[T]:
        """The serde for one side of one topic; this one needs to know neither."""
        return self


class UnknownTypeError(TypeError):
    """Nothing says how the values of a place become bytes; the message names the place and what to write there."""

    def __init__(self, place: str, side: Side) -> None:
        super().__init__(f"the type of the {side}s of {place} is not known\nhint: say it there, such as {side}=str")
        self.place = place
        self.side = side


def required(serde: Serde[Any] | None, place: str, side: Side) -> Serde[Any]:
    """The serde, or the error that says where a type is missing."""
    if serde is None:
        raise UnknownTypeError(place, side)
    return serde
