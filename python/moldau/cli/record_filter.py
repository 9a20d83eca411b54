"""A small language that says which records are wanted: read into functions by the parser below, never run as code.

    value.total > 100 and headers.source == "web"
    key ~ "customer-*" or partition in (0, 3)
    timestamp >= "2026-01-31T12:00" and not exists(value.refund)

    condition   or, and, not, ( ), with || && ! as well
    comparison  == != < <= > >=   ~ text with * and ?   contains   in (…, …)
    operand     "text", 'text', 12, 1.5, true, false, null
                key, value, topic, partition, offset, timestamp, headers.NAME, headers["odd name"]
                value.field.other[0], key.field: what a JSON document holds there, null where it holds nothing
                size(x) in bytes or entries, lower(x), exists(x)

Comparing things of different kinds is false, not an error: records differ. Numbers are exact (64-bit and beyond).
There are no loops, no attributes of Python and no regular expressions, and the size of an expression is limited, so
the work per record is bounded by the expression's and the record's length.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.outcome import UsageError

if TYPE_CHECKING:
    from confluent_kafka import Message

LENGTH_MAX: Final = 4096
DEPTH_MAX: Final = 40

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<number>-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{1,3})?)
      | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<word>[A-Za-z_][A-Za-z_0-9\-]*)
      | (?P<sign>==|!=|<=|>=|&&|\|\||[<>~!()\[\],.])
    )""",
    re.VERBOSE,
)
_SIGNS: Final = {"&&": "and", "||": "or", "!": "not"}
_ROOTS: Final = ("key", "value", "headers", "topic", "partition", "offset", "timestamp")
_CONSTANTS: Final[dict[str, Any]] = {"true": True, "false": False, "null": None}

Operand = Callable[["Subject"], Any]
Predicate = Callable[["Message"], bool]


class FilterError(UsageError):
    """An expression that says nothing; `column` counts from 1."""

    def __init__(self, source: str, position: int, problem: str) -> None:
        super().__init__(f"filter, column {position + 1}: {problem}\n  {source}\n  {' ' * position}^")
        self.column = position + 1


class Subject:
    """One record as expressions see it. JSON is parsed once, and only when somebody asks for a field."""

    __slots__ = ("_documents", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._documents: dict[str, Any] = {}

    def content(self, name: str) -> bytes | None:
        """The bytes of the key or the value."""
        content = self.message.key() if name == "key" else self.message.value()
        return content.encode() if isinstance(content, str) else content

    def document(self, name: str) -> Any:
        """The key or the value as JSON; None when it is none."""
        if name not in self._documents:
            self._documents[name] = _parsed(self.content(name))
        return self._documents[name]

    def header(self, name: str) -> Any:
        """The last header of this name."""
        headers: Any = self.message.headers() or ()
        found = [value for one, value in headers if one == name]
        return _as_text(found[-1]) if found else None


def _parsed(content: bytes | None) -> Any:
    if content is None:
        return None
    try:
        return json.loads(content, parse_float=Decimal)
    except (ValueError, RecursionError):
        return None


def _as_text(content: bytes | str | None) -> str | None:
    if content is None or isinstance(content, str):
        return content
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def compile_filter(source: str) -> Predicate:
    """Turn an expression into a function from record to whether it is wanted.

    Raises:
        FilterError: it says nothing; the message points at the place.
    """
    if len(source) > LENGTH_MAX:
        raise UsageError(f"the filter has {len(source)} characters, at most {LENGTH_MAX} are read")
    parser = _Parser(source, _tokens(source))
    condition = parser.whole()
    return lambda message: condition(Subject(message)) is True


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an expression; `kind` is a group of `_TOKEN`, or `end`."""

    kind: str
    text: str
    position: int


def _tokens(source: str) -> list[Token]:
    tokens = []
    position = 0
    while source[position:].strip():
        match = _TOKEN.match(source, position)
        if match is None:
            start = len(source) - len(source[position:].lstrip())
            hint = "a text without its end" if source[start] in "\"'" else f"{source[start]!r} means nothing here"
            raise FilterError(source, start, "write == to compare" if source[start] == "=" else hint)
        kind = str(match.lastgroup)
        tokens.append(Token(kind, _SIGNS.get(match[kind], match[kind]), match.start(kind)))
        position = match.end()
    return [*tokens, Token("end", "", len(source))]


class _Parser:
    """Recursive descent, one method per line of the grammar."""

    def __init__(self, source: str, tokens: list[Token]) -> None:
        self._source = source
        self._tokens = tokens
        self._index = 0
        self._depth = 0

    def whole(self) -> Operand:
        condition = self._or()
        if self._here.kind != "end":
            raise self._complaint(f"{self._here.text!r} does not follow from what stands before it")
        return condition

    @property
    def _here(self) -> Token:
        return self._tokens[self._index]

    def _complaint(self, problem: str, token: Token | None = None) -> FilterError:
        return FilterError(self._source, (token or self._here).position, problem)

    def _take(self, *texts: str) -> bool:
        if self._here.kind in ("word", "sign") and self._here.text in texts:
            self._index += 1
            return True
        return False

    def _expect(self, text: str) -> None:
        if not self._take(text):
            raise self._complaint(f"expected {text!r}")

    def _or(self) -> Operand:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return parts[0] if len(parts) == 1 else lambda subject: any(part(subject) is True for part in parts)

    def _and(self) -> Operand:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return parts[0] if len(parts) == 1 else lambda subject: all(part(subject) is True for part in parts)

    def _not(self) -> Operand:
        if not self._take("not"):
            return self._comparison()
        self._go_deeper()
        inner = self._not()
        self._depth -= 1
        return lambda subject: inner(subject) is not True

    def _go_deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._complaint(f"more than {DEPTH_MAX} conditions inside of one another")

    def _comparison(self) -> Operand:
        begin, start = self._index, self._here
        if self._take("("):
            self._go_deeper()
            inner = self._or()
            self._expect(")")
            self._depth -= 1
            return inner
        left = self._operand()
        sign = self._here.text
        if self._take("in"):
            return self._membership(left)
        if not self._take("==", "!=", "<", "<=", ">", ">=", "~", "contains"):
            alone = self._index == begin + 1
            if start.kind != "word" or alone or start.text in ("size", "lower"):
                raise self._complaint("this is no condition: compare it with something", start)
            return left
        right_token = self._here
        right = self._operand()
        if start.text == "timestamp" and right_token.kind == "text":
            right = self._time(right_token)
        if sign == "~":
            return self._glob(left, right_token)
        compare = _COMPARISONS[sign]
        return lambda subject: compare(left(subject), right(subject))

    def _membership(self, left: Operand) -> Operand:
        self._expect("(")
        choices = [self._operand()]
        while self._take(","):
            choices.append(self._operand())
        self._expect(")")

        def contained(subject: Subject) -> bool:
            value = left(subject)
            return any(_equal(value, choice(subject)) for choice in choices)

        return contained

    def _glob(self, left: Operand, token: Token) -> Operand:
        if token.kind != "text":
            raise self._complaint("behind ~ stands a text with * and ?", token)
        pattern = self._literal(token)
        return lambda subject: matches(_text_of(left(subject)), pattern)

    def _time(self, token: Token) -> Operand:
        from moldau.cli.places import milliseconds

        try:
            moment = milliseconds(self._literal(token))
        except UsageError as error:
            raise self._complaint(f"{token.text} is no time; 2026-01-31T12:00 or @-1h is", token) from error
        return lambda _subject: moment

    def _literal(self, token: Token) -> str:
        return re.sub(
            r"\\(.)", lambda match: {"n": "\n", "t": "\t"}.get(match[1], match[1]), token.text[1:-1], flags=re.DOTALL
        )

    def _operand(self) -> Operand:
        token = self._here
        self._index += 1
        if token.kind == "text":
            text = self._literal(token)
            return lambda _subject: text
        if token.kind == "number":
            number: Any = int(token.text) if re.fullmatch(r"-?[0-9]+", token.text) else Decimal(token.text)
            return lambda _subject: number
        if token.kind == "word" and token.text in _CONSTANTS:
            constant = _CONSTANTS[token.text]
            return lambda _subject: constant
        if token.kind == "word" and token.text in _FUNCTIONS:
            return self._function(token.text)
        if token.kind == "word" and token.text in _ROOTS:
            return self._field(token)
        self._index -= 1
        if token.kind == "end":
            raise self._complaint("something is missing at the end")
        raise self._complaint(f"{token.text!r} is none of {', '.join(_ROOTS)}, a number or a quoted text")

    def _function(self, name: str) -> Operand:
        self._expect("(")
        inner = self._operand()
        self._expect(")")
        function = _FUNCTIONS[name]
        return lambda subject: function(inner(subject))

    def _field(self, root: Token) -> Operand:
        path = self._path()
        name = root.text
        if name == "headers":
            if len(path) != 1 or not isinstance(path[0], str):
                raise self._complaint("headers are named: headers.source", root)
            header = path[0]
            return lambda subject: subject.header(header)
        if name in ("key", "value"):
            if path:
                return lambda subject: _walk(subject.document(name), path)
            return lambda subject: subject.content(name)
        if path:
            raise self._complaint(f"{name} has nothing inside", root)
        return {
            "topic": lambda subject: subject.message.topic(),
            "partition": lambda subject: subject.message.partition(),
            "offset": lambda subject: subject.message.offset(),
            "timestamp": lambda subject: subject.message.timestamp()[1],
        }[name]

    def _path(self) -> list[str | int]:
        path: list[str | int] = []
        while True:
            if self._take("."):
                token = self._here
                if token.kind != "word":
                    raise self._complaint('expected the name of a field; odd names are written ["odd name"]')
                path.append(token.text)
                self._index += 1
            elif self._take("["):
                token = self._here
                if token.kind == "text":
                    path.append(self._literal(token))
                elif token.kind == "number" and token.text.isdecimal():
                    path.append(int(token.text))
                else:
                    raise self._complaint("expected a position or a quoted name")
                self._index += 1
                self._expect("]")
            else:
                return path


def _walk(document: Any, path: list[str | int]) -> Any:
    for step in path:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list) and step < len(document):
            document = document[step]
        else:
            return None
    return document


def _text_of(value: Any) -> str | None:
    return _as_text(value) if isinstance(value, bytes | str) else None


def _kind(value: Any) -> tuple[str, Any]:
    if isinstance(value, bool):
        return "boolean", value
    if isinstance(value, int | Decimal):
        return "number", value
    if isinstance(value, bytes | str):
        return "text", value.encode() if isinstance(value, str) else value
    return ("nothing", None) if value is None else ("document", value)


def _equal(left: Any, right: Any) -> bool:
    return _kind(left) == _kind(right)


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    def ordered(left: Any, right: Any) -> bool:
        (left_kind, left_value), (right_kind, right_value) = _kind(left), _kind(right)
        return left_kind == right_kind and left_kind in ("number", "text") and compare(left_value, right_value)

    return ordered


def _contains(whole: Any, part: Any) -> bool:
    if isinstance(whole, list):
        return any(_equal(entry, part) for entry in whole)
    (whole_kind, whole_value), (part_kind, part_value) = _kind(whole), _kind(part)
    return whole_kind == part_kind == "text" and part_value in whole_value


_COMPARISONS: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "==": _equal,
    "!=": lambda left, right: not _equal(left, right),
    "<": _ordered(lambda left, right: bool(left < right)),
    "<=": _ordered(lambda left, right: bool(left <= right)),
    ">": _ordered(lambda left, right: bool(left > right)),
    ">=": _ordered(lambda left, right: bool(left >= right)),
    "contains": _contains,
}


def _size(value: Any) -> int | None:
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes | list | dict) else None


def _lower(value: Any) -> str | None:
    text = _text_of(value)
    return text.lower() if text is not None else None


def _exists(value: Any) -> bool:
    return value is not None


_FUNCTIONS: Final[dict[str, Callable[[Any], Any]]] = {"size": _size, "lower": _lower, "exists": _exists}


def matches(text: str | None, pattern: str) -> bool:
    """Whether a text is what a pattern with `*` (anything) and `?` (one character) says.

    Goes back to the last star only, so the work is at most the product of both lengths.
    """
    if text is None:
        return False
    place = position = 0
    star, resume = -1, 0
    while place < len(text):
        # The star first: a text may hold one too.
        if position < len(pattern) and pattern[position] == "*":
            star, resume = position, place
            position += 1
        elif position < len(pattern) and pattern[position] in ("?", text[place]):
            position += 1
            place += 1
        elif star >= 0:
            position = star + 1
            resume += 1
            place = resume
        else:
            return False
    return pattern[position:].strip("*") == ""
