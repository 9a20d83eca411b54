"""Dataclasses that nobody changes, without what it costs to have the interpreter watch over that.

    @light_dataclass(frozen=True, slots=True)
    class OffsetRecord: ...

is a frozen dataclass to whoever reads it, and to mypy, which refuses an assignment to a field of it. When it runs it is
not frozen: an object of a frozen class is made field by field through `object.__setattr__`, which takes three times as
long as the assignment, and what a machine does for a request is to a good part the making of such objects. Equality
and hash are those of the frozen class.

For what is made for every request, record or member; elsewhere `dataclasses.dataclass` does as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from dataclasses import dataclass as light_dataclass
else:
    from dataclasses import dataclass

    ClassT = TypeVar("ClassT")

    def light_dataclass(*, frozen: bool, slots: bool) -> Callable[[type[ClassT]], type[ClassT]]:
        """See above; both arguments are there to be read, and always true."""
        assert frozen, "its objects do not change"
        assert slots, "its objects have no more than their fields"
        return dataclass(slots=True, unsafe_hash=True)


__all__ = ["light_dataclass"]
