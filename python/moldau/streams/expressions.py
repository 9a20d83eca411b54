"""Expressions over the fields of a value: `col.status == "COMPLETED"`, `col.amount.sum()`, `make(dict, n=col.amount)`.

An expression is a tree, and can stand wherever a callback can: `col` is what there is of one record's value, `left` and
`right` are the two values of a join. It has two executors: `trees` makes one Python function of it when the topology is
built, and `columns` compiles whole topologies of expressions for `moldau._core`. Fields are those of an object or of a
dict, whichever comes; of those that are objects themselves there are fields, too (`col.address.city`).

It computes as Python does, with one exception: a field, or a function such as `lower()`, of None is None.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from types import MethodType
from typing import TYPE_CHECKING, Any, Final, NoReturn

from moldau.streams.aggregations import Aggregation, chosen, mean_over, sum_of
from moldau.streams.trees import Tree, attribute, compiled, item, no_field, said

_ELSEWHERE: Final = {
    "average": "mean()",
    "avg": "mean()",
    "count": "count() of moldau.streams, which counts the records of a group",
    "endswith": "ends_with(...)",
    "find": "contains(...)",
    "is_between": "between(low, high)",
    "is_none": "is_null()",
    "isin": "is_in([...])",
    "isna": "is_null()",
    "isnull": "is_null()",
    "len_bytes": "len()",
    "len_chars": "len()",
    "length": "len()",
    "not_null": "is_not_null()",
    "notna": "is_not_null()",
    "notnull": "is_not_null()",
    "size": "len()",
    "startswith": "starts_with(...)",
    "to_lowercase": "lower()",
    "to_uppercase": "upper()",
}
"""What other libraries call it, and how it is written here."""


class Expression:
    """A value to be computed of a record's value. Operators make new expressions; nothing is computed by them."""

    __hash__ = object.__hash__

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self._function: Callable[[Any], Any] | None = None

    def __call__(self, *values: Any) -> Any:
        """Compute it of a value, or of the two sides of a join."""
        if len(values) == 1 and not isinstance(values[0], _WITHOUT_FIELDS):
            return self.function(values[0])
        if all(isinstance(value, _WITHOUT_FIELDS) for value in values):
            self._refuse_call(values)
        return self.function(*values) if len(values) == 1 else self.of_both()(*values)

    def _refuse_call(self, arguments: tuple[Any, ...]) -> None:
        """Say what to write instead, if somebody called what is a field here."""
        if self.tree[0] not in {"field", "part"}:
            if not arguments:
                raise TypeError(f"{self!r} is computed of a value, or of the two sides of a join")
            return
        name = self.tree[-1]
        hint = _ELSEWHERE.get(name)
        if hint is None:
            near = get_close_matches(name, _METHODS, 1)
            hint = f"{near[0]}()" if near else f"a function can stand here; expressions have {', '.join(_METHODS)}"
        raise TypeError(f"{self!r} is a field, and no method\nhint: {hint}")

    def __repr__(self) -> str:
        return said(self.tree)

    @property
    def function(self) -> Callable[[Any], Any]:
        """The expression as one function, compiled once."""
        if self._function is None:
            of_dict, of_object = compiled(self.tree, item), compiled(self.tree, attribute)

            def compute(value: Any) -> Any:
                return of_dict(value) if type(value) is dict else of_object(value)

            self._function = compute
        return self._function

    def of_both(self) -> Callable[[Any, Any], Any]:
        """The expression as one function of the two sides of a join."""
        return compiled(self.tree, no_field, "left, right")

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

    def __abs__(self) -> Expression:
        return self.abs()

    def __round__(self, digits: int | None = None) -> Expression:
        return self.round(digits)

    def __and__(self, other: Any) -> Expression:
        return self._with("and", _condition(other, "&"))

    def __rand__(self, other: Any) -> Expression:
        return self._with("and", _condition(other, "&"), swapped=True)

    def __or__(self, other: Any) -> Expression:
        return self._with("or", _condition(other, "|"))

    def __ror__(self, other: Any) -> Expression:
        return self._with("or", _condition(other, "|"), swapped=True)

    def __invert__(self) -> Expression:
        return Expression(("not", self.tree))

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self!r} is neither true nor false before there is a record\n"
            "hint: (a == 1) & (b == 2), `|` and `~` instead of and, or, not; a.is_in([1, 2]) instead of a in [1, 2]; "
            "a.between(1, 5) instead of 1 <= a <= 5"
        )

    if not TYPE_CHECKING:
        # mypy refuses these by itself, as long as it is not told of them.

        def __contains__(self, other: Any) -> NoReturn:
            raise TypeError(
                f"what {self!r} holds is not known before there is a record\nhint: {self!r}.contains({other!r})"
            )

        def __iter__(self) -> NoReturn:
            raise TypeError(
                f"there is nothing in {self!r} before there is a record\n"
                "hint: a function can go through it, such as lambda value: [len(tag) for tag in value.tags]"
            )

        def __len__(self) -> NoReturn:
            raise TypeError(f"how long {self!r} is is not known before there is a record\nhint: {self!r}.len()")

    def is_null(self) -> Expression:
        """Whether it is None, or a field that is not there."""
        return Expression(("is_null", self.tree))

    def is_not_null(self) -> Expression:
        """Whether it is there and not None."""
        return ~self.is_null()

    def is_in(self, values: Iterable[Any]) -> Expression:
        """Whether it is one of these constants."""
        if isinstance(values, (str, bytes, Expression)):
            raise TypeError(
                f"is_in takes a list of constants, not {values!r}\nhint: a.contains(b) says whether b is in a"
            )
        known = tuple(values)
        if any(isinstance(value, Expression) for value in known):
            raise TypeError("is_in takes constants\nhint: (a == b) | (a == c) compares with other fields")
        return Expression(("in", self.tree, ("constant", known)))

    def between(self, low: Any, high: Any) -> Expression:
        """Whether it is in a span, both ends included."""
        return self._call("between", low, high)

    def abs(self) -> Expression:
        """A number without its sign."""
        return self._call("abs")

    def round(self, digits: int | None = None) -> Expression:
        """A number with so many digits behind the point, halves to the even one; without `digits` a whole one."""
        if digits is None:
            return self._call("round")
        if type(digits) is not int:
            raise TypeError(f"round takes a number of digits, not {digits!r}")
        return self._call("round", digits)

    def lower(self) -> Expression:
        """A text in small letters."""
        return self._call("lower")

    def upper(self) -> Expression:
        """A text in capital letters."""
        return self._call("upper")

    def len(self) -> Expression:
        """How many characters a text has, or elements a list."""
        return self._call("len")

    def starts_with(self, beginning: str | Expression) -> Expression:
        """Whether a text begins with another."""
        return self._call("starts_with", _text(beginning, "starts_with"))

    def ends_with(self, end: str | Expression) -> Expression:
        """Whether a text ends with another."""
        return self._call("ends_with", _text(end, "ends_with"))

    def contains(self, part: Any) -> Expression:
        """Whether this stands somewhere in a text, as it is, or is in a list."""
        return self._call("contains", part)

    def _call(self, name: str, *arguments: Any) -> Expression:
        return Expression((name, self.tree, *(_tree_of(argument) for argument in arguments)))

    def sum(self) -> Aggregation:
        """The sum over a group."""
        return sum_of(self.function, self.tree)

    def mean(self) -> Aggregation:
        """The mean over a group; None where there was nothing but None."""
        return mean_over(self.function, self.tree)

    def min(self) -> Aggregation:
        """The least of a group."""
        return chosen(self.function, self.tree, "min", min)

    def max(self) -> Aggregation:
        """The greatest of a group."""
        return chosen(self.function, self.tree, "max", max)


_WITHOUT_FIELDS: Final = (str, bytes, int, float, list, tuple, set, frozenset, Expression)
"""What no expression is computed of that reads fields."""

_METHODS: Final = sorted(
    name for name, found in vars(Expression).items() if callable(found) and name[0] != "_" and name != "of_both"
)


class _Columns:
    """`col.name` is the field of that name, and so are `col["name"]` and `col("name")`."""

    def __call__(self, name: str) -> Expression:
        return self[name]

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


def _checked(name: Any) -> str:
    if not isinstance(name, str):
        raise TypeError(f"a field has a name, which {name!r} is not\nhint: a function can stand here, such as a lambda")
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not the name of a field\nhint: a function can stand here, such as a lambda")
    return name


def _tree_of(value: Any) -> Tree:
    if isinstance(value, MethodType) and isinstance(value.__self__, Expression):
        name = value.__name__
        raise TypeError(
            f"{name} is a function of expressions, not a field\n"
            f"hint: .{name}() calls it; a field of that name is read with [{name!r}]"
        )
    return value.tree if isinstance(value, Expression) else ("constant", value)


def _condition(value: Any, sign: str) -> Any:
    if isinstance(value, (Expression, bool)):
        return value
    raise TypeError(
        f"`{sign}` takes two conditions, and {value!r} is none\n"
        f"hint: parentheses, for it binds first: (a == 1) {sign} (b == 2)"
    )


def _text(value: Any, name: str) -> Any:
    if isinstance(value, (Expression, str)):
        return value
    raise TypeError(f"{name} takes a text, not {value!r}")
