"""Expressions as trees, and the first of their two executors: a tree becomes one Python function.

Nothing here computes before there is a record. The source of a function is made of field names that were checked and of
constants by name: nothing of the user's is run.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping
from keyword import iskeyword
from typing import Any, Final

Tree = tuple[Any, ...]
"""`("field", name)`, `("left",)`, `("right",)`, `("part", tree, name)`, `("constant", value)`, `("not", tree)`,
`("make", kind, ((name, tree), …))`, `("is_null", tree)`, `("in", tree, ("constant", values))`, the name of one of
`FUNCTIONS` and its arguments, or one of Python's operators and its two sides."""

Access = Callable[[str, bool], str]
"""`access(name, or_none)`: the source text that reads a field of `value`; with `or_none` None where there is none."""


def mean_of(total: Any, count: int) -> Any:
    """The mean of values with this sum; of no values None."""
    return total / count if count else None


def _between(value: Any, low: Any, high: Any) -> bool:
    return bool(low <= value <= high)


FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    "abs": abs,
    "between": _between,
    "contains": operator.contains,
    "ends_with": str.endswith,
    "len": len,
    "lower": str.lower,
    "round": round,
    "starts_with": str.startswith,
    "upper": str.upper,
}
"""What is computed by a call: each is None of None, as a field of None is."""


def names_of(tree: Tree) -> Iterator[str]:
    """The fields that an expression reads, in their order."""
    match tree:
        case ("field", name):
            yield name
        case ("constant", _):
            return
        case ("part", whole, _):
            yield from names_of(whole)
        case ("make", _, parts):
            for _, part in parts:
                yield from names_of(part)
        case (_, *parts):
            for part in parts:
                yield from names_of(part)


def said(tree: Tree) -> str:
    """An expression as somebody would write it."""
    match tree:
        case ("field", name):
            return f"col.{name}"
        case ("left" | "right" as side,):
            return str(side)
        case ("part", whole, name):
            return f"{said(whole)}.{name}"
        case ("constant", value):
            return repr(value)
        case ("not", one):
            return f"~{said(one)}"
        case ("make", kind, parts):
            given = "".join(f", {name}={said(part)}" for name, part in parts)
            return f"make({getattr(kind, '__name__', kind)}{given})"
        case ("in", one, values):
            return f"{said(one)}.is_in({said(values)})"
        case ("is_null", one):
            return f"{said(one)}.is_null()"
        case ("and" | "or" as word, one, other):
            return f"({said(one)} {'&' if word == 'and' else '|'} {said(other)})"
        case (name, one, *arguments) if name in FUNCTIONS or name == "mean":
            return f"{said(one)}.{name}({', '.join(said(argument) for argument in arguments)})"
        case (sign, one, other):
            return f"({said(one)} {sign} {said(other)})"
    raise AssertionError(tree)


def compiled(tree: Tree, access: Access, arguments: str = "value") -> Callable[..., Any]:
    """The function of an expression; for `access` see `item`, `attribute` and `no_field`."""
    names: dict[str, Any] = {f"of_{name}": _none_of_none(function) for name, function in FUNCTIONS.items()}
    names |= {"part_of": _part_of, "part_or_none": _part_or_none, "mean_of": mean_of}
    made: Callable[..., Any] = eval(f"lambda {arguments}: {_source(tree, access, names)}", names)  # noqa: S307
    return made


def item(name: str, or_none: bool) -> str:
    """Values are dicts."""
    return f"value.get({name!r})" if or_none else f"value[{name!r}]"


def attribute(name: str, or_none: bool) -> str:
    """Values are objects."""
    # An object that came from elsewhere can have a field whose name is a word of Python, such as `from`.
    read = f"getattr(value, {name!r})" if iskeyword(name) else f"value.{name}"
    return f"(None if value is None else {read})" if or_none else read


def no_field(name: str, or_none: bool) -> str:
    """There are two values."""
    raise TypeError(f"col.{name} could be of either side of a join\nhint: say left.{name} or right.{name}")


def _none_of_none(function: Callable[..., Any]) -> Callable[..., Any]:
    def of(value: Any, *arguments: Any) -> Any:
        return None if value is None else function(value, *arguments)

    return of


def _part_of(value: Any, name: str) -> Any:
    if value is None:
        return None
    return value[name] if type(value) is dict else getattr(value, name)


def _part_or_none(value: Any, name: str) -> Any:
    return value.get(name) if type(value) is dict else _part_of(value, name)


class _Among:
    """Constants to look a value up in, as in a tuple of them."""

    def __init__(self, values: tuple[Any, ...]) -> None:
        self._values = values
        self._known = frozenset(values)

    def __contains__(self, value: Any) -> bool:
        try:
            return value in self._known
        except TypeError:
            # A list or a dict, which cannot be looked up, may still be equal to something.
            return value in self._values


def _among(values: tuple[Any, ...]) -> Any:
    try:
        return _Among(values)
    except TypeError:
        return values


def _source(tree: Tree, access: Access, names: dict[str, Any], *, or_none: bool = False) -> str:
    match tree:
        case ("field", name):
            return access(name, or_none)
        case ("left" | "right" as side,):
            if access is not no_field:
                raise TypeError(
                    f"{side} is a side of a join\nhint: elsewhere col.name is a field of the record's value"
                )
            return str(side)
        case ("part", whole, name):
            read = "part_or_none" if or_none else "part_of"
            return f"{read}({_source(whole, access, names, or_none=or_none)}, {name!r})"
        case ("constant", value):
            return _named(value, names)
        case ("not", one):
            return f"(not {_source(one, access, names)})"
        case ("is_null", one):
            return f"({_source(one, access, names, or_none=True)} is None)"
        case ("in", one, ("constant", values)):
            return f"({_source(one, access, names)} in {_named(_among(values), names)})"
        case ("make", kind, parts):
            return _made(kind, [(name, _source(part, access, names)) for name, part in parts], names)
        case (name, *arguments) if name in FUNCTIONS or name == "mean":
            function = "mean_of" if name == "mean" else f"of_{name}"
            return f"{function}({', '.join(_source(argument, access, names) for argument in arguments)})"
        case (sign, one, other):
            return f"({_source(one, access, names)} {sign} {_source(other, access, names)})"
    raise AssertionError(tree)


def _made(kind: Any, parts: list[tuple[str, str]], names: dict[str, Any]) -> str:
    as_dict = f"{{{', '.join(f'{name!r}: {part}' for name, part in parts)}}}"
    if kind is dict:
        return as_dict
    if any(iskeyword(name) for name, _ in parts):
        return f"{_named(kind, names)}(**{as_dict})"
    return f"{_named(kind, names)}({', '.join(f'{name}={part}' for name, part in parts)})"


def _named(constant: Any, names: dict[str, Any]) -> str:
    name = f"constant_{len(names)}"
    names[name] = constant
    return name
