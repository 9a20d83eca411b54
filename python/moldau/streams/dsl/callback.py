"""Callbacks of the language: how many arguments they take is found out once, when the topology is built."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from moldau.streams.expressions import Expression


def arity(function: Callable[..., Any], *allowed: int) -> int:
    """How many of the `allowed` numbers of positional arguments to call `function` with.

    A parameter with a default counts only if it must; `*args` takes all there is; what cannot be inspected (some
    built-ins) gets the fewest. Raises TypeError when none fits.
    """
    if not callable(function):
        raise TypeError(f"a function is needed here, not {function!r}")
    fewest, most = _bounds(function)
    fitting = [count for count in allowed if fewest <= count and (most is None or count <= most)]
    if not fitting:
        wanted = " or ".join(str(count) for count in sorted(allowed))
        raise TypeError(f"{_name(function)} must take {wanted} positional arguments, it takes {_said(fewest, most)}")
    return max(fitting) if most is None and _takes_all(function) else min(fitting)


def takes_key(function: Callable[..., Any]) -> bool:
    """Whether a callback of one record wants the key and the value, not the value alone."""
    if isinstance(function, Expression):
        # What is wrong with it is said where it stands.
        _ = function.function
        return False
    return arity(function, 1, 2) == 2


def with_key(function: Callable[..., Any]) -> Callable[[Any, Any, Any], Any]:
    """A callback of two things and perhaps the key before them, as one that takes the key."""
    if isinstance(function, Expression):
        raise TypeError("an expression cannot go on from an aggregate\nhint: agg(total=col.amount.sum()) can")
    if arity(function, 2, 3) == 3:
        return function

    def without_key(key: Any, one: Any, other: Any) -> Any:
        return function(one, other)

    return without_key


def joiner_of(function: Callable[..., Any]) -> Callable[..., Any]:
    """What joins two values; of an expression over `left` and `right` the function that is compiled of it."""
    return function.of_both() if isinstance(function, Expression) else function


def _takes_all(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(one.kind is one.VAR_POSITIONAL for one in parameters)


def _bounds(function: Callable[..., Any]) -> tuple[int, int | None]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return 0, None
    positional = [one for one in parameters if one.kind in {one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD}]
    if isinstance(function, type):
        # A class as a callback makes one of itself of the value: optional fields do not take the key.
        required = sum(one.default is one.empty for one in positional)
        return max(required, 1) if positional else 0, max(required, 1)
    fewest = sum(one.default is one.empty for one in positional)
    return fewest, None if _takes_all(function) else len(positional)


def _said(fewest: int, most: int | None) -> str:
    if most is None:
        return f"{fewest} or more"
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", repr(function))
