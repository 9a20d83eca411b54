"""Faults that a test asks a broker for, by the names that people know: `broker.refuse("Produce", error=...)`.

Here a name becomes a number, and a fault a thing that takes itself back: at the end of its `with` block, by `undo()`,
or after so many requests. What then happens to a request is done in Rust, where every request passes
(`crates/moldau-server/src/fault.rs`); the answer that refuses is written by `dispatch`.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
import re
from collections.abc import Callable
from functools import cache
from types import TracebackType
from typing import Final, Literal, Protocol, Self

from moldau.errors import ErrorCode
from moldau.server import handlers
from moldau.server.core_types import FaultKind

After = Literal["request", "append"]

DROPS: Final[dict[str, FaultKind]] = {"request": "drop-before", "append": "drop-after"}


class Faulty(Protocol):
    """What a fault needs of a broker's core."""

    def add_fault(self, api_key: int, kind: FaultKind, value: int, times: int | None) -> int: ...
    def remove_fault(self, fault: int) -> None: ...
    def fault_met(self, fault: int) -> int | None: ...


class Fault:
    """One thing that goes wrong, until it is taken back. Use it in a `with` block, or call `undo()`."""

    def __init__(self, what: str, undo: Callable[[], int]) -> None:
        self._what = what
        self._undo: Callable[[], int] | None = undo
        self._met: Callable[[], int] = lambda: 0
        self._final = 0

    @classmethod
    def added(cls, core: Faulty, api: str | int, kind: FaultKind, value: int, times: int | None) -> Fault:
        """A fault in a core; `times` is how many requests it meets, None all of them.

        Raises:
            ValueError: there is no such API, or `times` is not positive.
            RuntimeError: the broker does not run.
        """
        if times is not None and times < 1:
            raise ValueError(f"times is {times}: a fault that meets no request is none")
        key = api_key(api)
        number = core.add_fault(key, kind, value, times)

        def met() -> int:
            return core.fault_met(number) or 0

        def undo() -> int:
            count = met()
            core.remove_fault(number)
            return count

        fault = cls(f"{kind} {api}", undo)
        fault._met = met
        return fault

    @property
    def met(self) -> int:
        """How many requests it has met so far."""
        return self._final if self._undo is None else self._met()

    def undo(self) -> None:
        """Take it back. Does nothing the second time, or when the broker has been stopped meanwhile."""
        undo, self._undo = self._undo, None
        if undo is not None:
            try:
                self._final = undo()
            except RuntimeError:
                # The core of that time is gone, and its faults with it.
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.undo()

    def __repr__(self) -> str:
        return f"<Fault {self._what}{'' if self._undo else ', undone'}>"


@cache
def api_keys() -> dict[str, int]:
    """Every API that the broker knows, by its name in Kafka's protocol."""
    names = (each.name for each in pkgutil.iter_modules(handlers.__path__) if re.match(r"k\d", each.name))
    apis = (importlib.import_module(f"{handlers.__name__}.{name}").API for name in names)
    return {api.name: api.key for api in apis}


def api_key(api: str | int) -> int:
    """The number of an API: `"Produce"` is 0.

    Raises:
        ValueError: there is none of that name.
    """
    keys = api_keys()
    if isinstance(api, int):
        if api in keys.values():
            return api
        raise ValueError(f"the broker has no API with the key {api}")
    by_folded_name = {name.casefold(): key for name, key in keys.items()}
    folded = api.replace("_", "").replace("-", "").casefold()
    if folded in by_folded_name:
        return by_folded_name[folded]
    raise ValueError(f"the broker has no API named {api!r}{_did_you_mean(api, keys)}")


def error_code(error: str | int) -> ErrorCode:
    """The error of that name or number.

    Raises:
        ValueError: there is none, or it is NONE.
    """
    if isinstance(error, int):
        code = ErrorCode(error)
    elif error.upper() in ErrorCode.__members__:
        code = ErrorCode[error.upper()]
    else:
        raise ValueError(f"Kafka has no error named {error!r}{_did_you_mean(error.upper(), ErrorCode.__members__)}")
    if code is ErrorCode.NONE:
        raise ValueError("NONE is no error to refuse a request with")
    return code


def drop_kind(after: str) -> FaultKind:
    """Where a connection is cut. Raises ValueError if it is not one of `After`."""
    if after not in DROPS:
        raise ValueError(f"after is {after!r}: say 'request' (nothing is done) or 'append' (done, but not answered)")
    return DROPS[after]


def _did_you_mean(name: str, names: object) -> str:
    near = difflib.get_close_matches(name, list(names), n=2)  # type: ignore[call-overload]
    return f": did you mean {' or '.join(near)}?" if near else ""
