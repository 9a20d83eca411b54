"""Serdes: what a type becomes on the wire.

Wherever a serde is asked for, a type will do: `str`, `bytes`, `int` (8 bytes, Java's long), `float`, `bool`, `UUID`;
and as JSON `dict`, `list`, a dataclass, a msgspec Struct, a TypedDict, a pydantic model. `Serdes` has Java's names.
"""

from __future__ import annotations

from typing import Any, TypeVar, overload

from moldau.streams.serdes import primitive
from moldau.streams.serdes.serde import Serde, Side, UnknownTypeError, required
from moldau.streams.serdes.structured import json_serde
from moldau.streams.serdes.windowed import Windowed, session_windowed_serde, time_windowed_serde

T = TypeVar("T")

SerdeLike = Serde[T] | type[T]

__all__ = [
    "Serde",
    "SerdeLike",
    "Serdes",
    "Side",
    "UnknownTypeError",
    "Windowed",
    "json_serde",
    "required",
    "serde_of",
    "session_windowed_serde",
    "time_windowed_serde",
]


@overload
def serde_of(kind: None) -> None: ...
@overload
def serde_of(kind: SerdeLike[T]) -> Serde[T]: ...
def serde_of(kind: Any) -> Serde[Any] | None:
    """The serde that stands for a type; a serde stands for itself, None for nothing known."""
    if kind is None or isinstance(kind, Serde):
        return kind
    known = primitive.OF_TYPE.get(kind) if getattr(kind, "__hash__", None) else None
    return known or json_serde(kind)


def serde_for_value(value: Any) -> Serde[Any] | None:
    """The serde of values like this one, such as the first aggregate; None for None."""
    return None if value is None else serde_of(type(value))


class Serdes:
    """Kafka's names for its serdes: `Serdes.String()`, `Serdes.Long()`."""

    @staticmethod
    def String() -> Serde[str]:  # noqa: N802 - Kafka's name
        return primitive.STRING

    @staticmethod
    def Long() -> Serde[int]:  # noqa: N802 - Kafka's name
        return primitive.LONG

    @staticmethod
    def Integer() -> Serde[int]:  # noqa: N802 - Kafka's name
        return primitive.INTEGER

    @staticmethod
    def Short() -> Serde[int]:  # noqa: N802 - Kafka's name
        return primitive.SHORT

    @staticmethod
    def Double() -> Serde[float]:  # noqa: N802 - Kafka's name
        return primitive.DOUBLE

    @staticmethod
    def Float() -> Serde[float]:  # noqa: N802 - Kafka's name
        return primitive.FLOAT

    @staticmethod
    def Boolean() -> Serde[bool]:  # noqa: N802 - Kafka's name
        return primitive.BOOLEAN

    @staticmethod
    def ByteArray() -> Serde[bytes]:  # noqa: N802 - Kafka's name
        return primitive.BYTES

    Bytes = ByteArray

    @staticmethod
    def UUID() -> Serde[Any]:  # noqa: N802 - Kafka's name
        return primitive.UUID_TEXT

    @staticmethod
    def json(kind: type[T] | Any = Any) -> Serde[T]:
        """Values of a type as JSON; without one, whatever JSON says."""
        return json_serde(kind)

    @staticmethod
    def serde_from(serialize: Any, deserialize: Any) -> Serde[Any]:
        """A serde of your own: two functions, of a value to bytes and of bytes to a value."""
        return Serde("custom", serialize, deserialize)
