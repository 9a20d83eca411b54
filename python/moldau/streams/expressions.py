"""Expressions over the fields of a value: `col.status == "COMPLETED"`, `col.amount.sum()`, `make(dict, n=col.amount)`.

An expression is a tree, and can stand wherever a callback can: `col` is what there is of one record's value, `left` and
`right` are the two values of a join. It has two executors: here it becomes one Python function when the topology is
built, and `columns` compiles whole topologies of expressions for `moldau._core`. Fields are those of an object or of a
dict, whichever comes; of those that are objects themselves there are fields, too (`col.address.city`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from keyword import iskeyword
from typing import Any, Final

import msgspec

Number = int | float | str | None

Access = Callable[[str], str]
"""`access(name)`: the source text that reads a field of `value`."""

Tree = tuple[Any, ...]
"""`("field", name)`, `("left",)`, `("right",)`, `("part", tree, name)`, `("constant", value)`, `("not", tree)`,
`("make", kind, ((name, tree), …))`, or one of Python's operators and its two sides."""


class Expression:
    """A value to be computed of a record's value. Operators make new expressions; nothing is computed by them."""

    __hash__ = object.__hash__

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, *values: Any) -> Any:
        """Compute it of a value, or of the two sides of a join."""
        return self.function(*values) if len(values) == 1 else self.of_both()(*values)

    @property
    def function(self) -> Callable[[Any], Any]:
        """The expression as one function, compiled once."""
        if self._function is None:
            of_dict, of_object = _compiled(self.tree, _item), _compiled(self.tree, _attribute)

            def compute(value: Any) -> Any:
                return of_dict(value) if type(value) is dict else of_object(value)

            self._function = compute
        return self._function

    def of_both(self) -> Callable[[Any, Any], Any]:
        """The expression as one function of the two sides of a join."""
        return _compiled(self.tree, _no_field, "left, right")

    def __getattr__(self, name: str) -> Expression:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __getitem__(self, name: str) -> Expression:
        """A field of what this is, `None` of nothing: for names such as `sum`, which are something else here."""
        return Expression(("part", self.tree, _checked(name)))

    def _with(self, operator: str, other: Any, *, swapped: bool = False) -> Expression:
        right = _tree_of(other)
        return Expression((operator, right, self.tree) if swapped else (operator, self.tree, right))

    def __eq__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("==", other)

    def __ne__(self, other: object) -> Expression:  # type: ignore[override]
        return self._with("!=", other)

    def __lt__(self, other: Any) -> Expression:
        return self._with("<", other)

    def __le__(self, other: Any) -> Expression:
        return self._with("<=", other)

    def __gt__(self, other: Any) -> Expression:
        return self._with(">", other)

    def __ge__(self, other: Any) -> Expression:
        return self._with(">=", other)

    def __add__(self, other: Any) -> Expression:
        return self._with("+", other)

    def __radd__(self, other: Any) -> Expression:
        return self._with("+", other, swapped=True)

    def __sub__(self, other: Any) -> Expression:
        return self._with("-", other)

    def __rsub__(self, other: Any) -> Expression:
        return self._with("-", other, swapped=True)

    def __mul__(self, other: Any) -> Expression:
        return self._with("*", other)

    def __rmul__(self, other: Any) -> Expression:
        return self._with("*", other, swapped=True)

    def __truediv__(self, other: Any) -> Expression:
        return self._with("/", other)

    def __rtruediv__(self, other: Any) -> Expression:
        return self._with("/", other, swapped=True)

    def __floordiv__(self, other: Any) -> Expression:
        return self._with("//", other)

    def __mod__(self, other: Any) -> Expression:
        return self._with("%", other)

    def __neg__(self) -> Expression:
        return Expression(("-", ("constant", 0), self.tree))

    def __and__(self, other: Any) -> Expression:
        return self._with("and", other)

    def __or__(self, other: Any) -> Expression:
        return self._with("or", other)

    def __invert__(self) -> Expression:
        return Expression(("not", self.tree))

    def __bool__(self) -> bool:
        raise TypeError("an expression has no truth of its own\nhint: `&`, `|` and `~` instead of and, or, not")

    def sum(self) -> Aggregation:
        """The sum over a group."""
        function, tree = self.function, ("sum", self.tree)
        return Aggregation(
            0,
            lambda held, value: held + function(value),
            lambda one, other: one + other,
            tree,
            lambda held, value: held - function(value),
        )

    def min(self) -> Aggregation:
        """The least of a group."""
        return self._chosen("min", min)

    def max(self) -> Aggregation:
        """The greatest of a group."""
        return self._chosen("max", max)

    def _chosen(self, name: str, choose: Callable[[Any, Any], Any]) -> Aggregation:
        function = self.function

        def of_both(one: Any, other: Any) -> Any:
            if one is None or other is None:
                return one if other is None else other
            return choose(one, other)

        return Aggregation(None, lambda held, value: of_both(held, function(value)), of_both, (name, self.tree))


class _Columns:
    """`col.name` is the field of that name."""

    def __getattr__(self, name: str) -> Expression:
        return self[name]

    def __getitem__(self, name: str) -> Expression:
        return Expression(("field", _checked(name)))


col: Final = _Columns()

left: Final = Expression(("left",))
"""In a join the value of this side; `left.name` is a field of it."""

right: Final = Expression(("right",))
"""The value of the other side: None, and so are its fields, where an outer join found nothing."""


def make(kind: type, /, **parts: Any) -> Expression:
    """An object or a dict of expressions and constants: `make(Total, amount=col.amount * 1.2, kind="order")`."""
    return Expression(("make", kind, tuple((_checked(name), _tree_of(part)) for name, part in parts.items())))


def function_of(callback: Callable[..., Any]) -> Callable[..., Any]:
    """What to call for a callback: of an expression the function that was compiled of it."""
    return callback.function if isinstance(callback, Expression) else callback


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One number of a group: where it begins, what a value adds, what two sessions make together, and what it is
    without a value that was in it (None: nobody can say).

    `tree` says the same for the second executor: `("count",)`, or `"sum"`, `"min"`, `"max"` and what of.
    """

    first: Number
    step: Callable[[Any, Any], Any]
    merge: Callable[[Any, Any], Any]
    tree: Tree
    without: Callable[[Any, Any], Any] | None = None


def count() -> Aggregation:
    """How many values there are in a group."""
    return Aggregation(
        0, lambda held, _: held + 1, lambda one, other: one + other, ("count",), lambda held, _: held - 1
    )


class Aggregates:
    """Several aggregations at once: what an `agg(...)` call keeps per group, a frozen struct with a field for each."""

    def __init__(self, parts: Mapping[str, Aggregation]) -> None:
        if not parts:
            raise ValueError("agg needs at least one aggregation\nhint: such as agg(total=col.amount.sum())")
        self.kind: Any = msgspec.defstruct("Aggregates", [(name, Number) for name in parts], frozen=True)
        self.trees = {name: part.tree for name, part in parts.items()}
        self._first = self.kind(*(part.first for part in parts.values()))
        self._steps = [(name, part.step) for name, part in parts.items()]
        self._merges = [(name, part.merge) for name, part in parts.items()]
        self._withouts = [(name, part.without) for name, part in parts.items() if part.without is not None]
        self.one_way = [name for name, part in parts.items() if part.without is None]
        """The parts that no value can be taken out of again."""

    def first(self) -> Any:
        """Of an empty group."""
        return self._first

    def step(self, key: Any, value: Any, held: Any) -> Any:
        """With one value more."""
        return self.kind(*[step(getattr(held, name), value) for name, step in self._steps])

    def without(self, key: Any, value: Any, held: Any) -> Any:
        """With one value less."""
        return self.kind(*[without(getattr(held, name), value) for name, without in self._withouts])

    def merge(self, key: Any, one: Any, other: Any) -> Any:
        """Of two sessions that became one."""
        return self.kind(*[merge(getattr(one, name), getattr(other, name)) for name, merge in self._merges])


def _checked(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not the name of a field\nhint: a function can stand here, such as a lambda")
    return name


def _tree_of(value: Any) -> Tree:
    return value.tree if isinstance(value, Expression) else ("constant", value)


def _compiled(tree: Tree, access: Access, arguments: str = "value") -> Callable[..., Any]:
    constants: dict[str, Any] = {"part_of": _part_of}
    source = f"lambda {arguments}: {_source(tree, access, constants)}"
    # The source is made of field names that were checked and of constants by name: nothing of the user's is run.
    made: Callable[..., Any] = eval(source, constants)  # noqa: S307
    return made


def _part_of(value: Any, name: str) -> Any:
    if value is None:
        return None
    return value[name] if type(value) is dict else getattr(value, name)


def _source(tree: Tree, access: Access, constants: dict[str, Any]) -> str:
    what = tree[0]
    if what == "field":
        return access(tree[1])
    if what in {"left", "right"}:
        if access is not _no_field:
            raise TypeError(f"{what} is a side of a join\nhint: elsewhere col.name is a field of the record's value")
        return str(what)
    if what == "part":
        return f"part_of({_source(tree[1], access, constants)}, {tree[2]!r})"
    if what == "constant":
        return _named(tree[1], constants)
    if what == "not":
        return f"(not {_source(tree[1], access, constants)})"
    if what == "make":
        parts = [(name, _source(part, access, constants)) for name, part in tree[2]]
        as_dict = f"{{{', '.join(f'{name!r}: {part}' for name, part in parts)}}}"
        if tree[1] is dict:
            return as_dict
        if any(iskeyword(name) for name, _ in parts):
            return f"{_named(tree[1], constants)}(**{as_dict})"
        return f"{_named(tree[1], constants)}({', '.join(f'{name}={part}' for name, part in parts)})"
    return f"({_source(tree[1], access, constants)} {what} {_source(tree[2], access, constants)})"


def _named(constant: Any, constants: dict[str, Any]) -> str:
    name = f"constant_{len(constants)}"
    constants[name] = constant
    return name


def _no_field(name: str) -> str:
    raise TypeError(f"col.{name} could be of either side of a join\nhint: say left.{name} or right.{name}")


def _item(name: str) -> str:
    return f"value[{name!r}]"


def _attribute(name: str) -> str:
    # An object that came from elsewhere can have a field whose name is a word of Python, such as `from`.
    return f"getattr(value, {name!r})" if iskeyword(name) else f"value.{name}"
