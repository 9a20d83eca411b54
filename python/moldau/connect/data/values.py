"""Values as text and back, as in `org.apache.kafka.connect.data.Values`: what headers and literals of settings are.

`parse_string` finds out what a text most likely is: null, true, a number in the smallest type that holds it, a date,
time or timestamp in ISO 8601 with milliseconds and Z, a list or a map of such, or else a string.
"""

from __future__ import annotations

import base64
import datetime as dt
import decimal
from typing import Any, Final

from moldau.connect.data.java_text import java_float, java_text, to_float32
from moldau.connect.data.logical import DAY_MS, Date, Decimal, Time, Timestamp, scale_of
from moldau.connect.data.schema import INTEGER_RANGES, NULL, Schema, SchemaAndValue, Type
from moldau.connect.data.struct import Struct
from moldau.connect.errors import DataError
from moldau.connect.java_dates import SimpleDateFormat

TIME_FORMAT: Final = SimpleDateFormat("HH:mm:ss.SSS'Z'")
DATE_FORMAT: Final = SimpleDateFormat("yyyy-MM-dd")
TIMESTAMP_FORMAT: Final = SimpleDateFormat("yyyy-MM-dd'T'HH:mm:ss.SSS'Z'")
# In the order of promotion: each can hold what stands before it, more or less.
NUMERIC: Final = (Type.INT8, Type.INT16, Type.INT32, Type.INT64, Type.FLOAT32, Type.FLOAT64)


def milliseconds_of(value: dt.date | dt.time) -> int:
    """A logical date, time or timestamp as milliseconds since 1970, which is all that Java keeps of it."""
    if isinstance(value, dt.datetime):
        return Timestamp.from_logical(value)
    return Date.from_logical(value) * DAY_MS if isinstance(value, dt.date) else Time.from_logical(value)


def date_text(value: dt.date | dt.time) -> str:
    """ISO 8601. As in Java, what lies before the second day of 1970 is written as a time."""
    milliseconds = milliseconds_of(value)
    if milliseconds < DAY_MS:
        return TIME_FORMAT.format(milliseconds)
    return (DATE_FORMAT if milliseconds % DAY_MS == 0 else TIMESTAMP_FORMAT).format(milliseconds)


def to_text(schema: Schema | None, value: Any) -> str | None:
    """`Values.convertToString`: a string as it is, everything else as `parse_string` reads it."""
    return None if value is None else _text(schema, value, embedded=False)


def _text(schema: Schema | None, value: Any, *, embedded: bool) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if embedded else value
    if isinstance(value, bytes | bytearray | memoryview):
        encoded = base64.b64encode(value).decode()
        return f'"{encoded}"' if embedded else encoded
    if isinstance(value, float) and schema is not None and schema.type is Type.FLOAT32:
        return java_float(value)
    if isinstance(value, bool | int | float | decimal.Decimal):
        return java_text(value)
    if isinstance(value, dt.date | dt.time):
        return date_text(value)
    if isinstance(value, list):
        inner = schema.value_schema if schema is not None else None
        return "[" + ",".join(_text(inner, each, embedded=True) for each in value) + "]"
    if isinstance(value, dict):
        keys, values = (schema.key_schema, schema.value_schema) if schema is not None else (None, None)
        pairs = (
            f"{_text(keys, key, embedded=True)}:{_text(values, each, embedded=True)}" for key, each in value.items()
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, Struct):
        pairs = (
            f"{_text(None, field.name, embedded=True)}:{_text(field.schema, value.get(field.name), embedded=True)}"
            for field in value.schema.fields
        )
        return "{" + ",".join(pairs) + "}"
    raise DataError(f"{type(value).__name__} cannot be written as text: {value!r:.80}")


def parse_string(text: str | None) -> SchemaAndValue:
    """`Values.parseString`: what a text most likely is, with the schema that goes with it."""
    if text is None:
        return NULL
    if text == "":
        return SchemaAndValue(Schema.STRING_SCHEMA, text)
    return _Parser(text).parse(embedded=False) or NULL


class _Parser:
    """Reads one text. A part that is null is None here, as nothing can be said of its schema."""

    def __init__(self, text: str) -> None:
        self._tokens = Tokens(text)
        self._text = text

    def parse(self, *, embedded: bool) -> SchemaAndValue | None:
        tokens = self._tokens
        if not tokens.more():
            return None
        if embedded and tokens.take('"'):
            return self._quoted()
        for literal, found in (
            ("null", None),
            ("true", SchemaAndValue(Schema.BOOLEAN_SCHEMA, True)),
            ("false", SchemaAndValue(Schema.BOOLEAN_SCHEMA, False)),
        ):
            start = tokens.mark()
            if tokens.take(literal) and (embedded or not tokens.more()):
                return found
            tokens.rewind(start)
        start = tokens.mark()
        try:
            if tokens.take("["):
                return self._array()
            if tokens.take("{"):
                return self._map()
        except DataError:
            tokens.rewind(start)
        token = tokens.next()
        if not token.strip():
            return SchemaAndValue(Schema.STRING_SCHEMA, token)
        return self._plain(token.strip(), embedded=embedded)

    def _plain(self, token: str, *, embedded: bool) -> SchemaAndValue:
        if token[0].isdigit():
            temporal = self._temporal_of_several(token)
            if temporal is not None:
                return temporal
        if token[0].isdigit() or token[0] in "+-":
            number = parse_number(token)
            if number is not None:
                return number
        if embedded:
            raise DataError(f"{token!r} in {self._text!r} is no value")
        return SchemaAndValue(Schema.STRING_SCHEMA, self._text)

    def _quoted(self) -> SchemaAndValue:
        parts: list[str] = []
        while self._tokens.more() and not self._tokens.take('"'):
            parts.append(self._tokens.next())
        content = "".join(parts)
        return parse_temporal(content) or SchemaAndValue(Schema.STRING_SCHEMA, content)

    def _array(self) -> SchemaAndValue:
        tokens = self._tokens
        result: list[Any] = []
        common = _Common()
        while tokens.more():
            if tokens.take("]"):
                if common.schema is None:
                    return SchemaAndValue(Schema(Type.ARRAY), result)
                return SchemaAndValue(
                    Schema(Type.ARRAY, value_schema=common.schema), [_promoted(common.schema, each) for each in result]
                )
            if tokens.take(","):
                raise DataError(f"an element of the list is empty: {self._text!r}")
            element = self.parse(embedded=True)
            common.merge(element)
            result.append(None if element is None else element.value)
            at = tokens.mark()
            if tokens.take("]"):
                tokens.rewind(at)
            elif not tokens.take(","):
                raise DataError(f"a comma is missing in the list: {self._text!r}")
        raise DataError(f"the list does not end: {self._text!r}")

    def _map(self) -> SchemaAndValue:
        tokens = self._tokens
        result: dict[Any, Any] = {}
        keys, values = _Common(), _Common()
        while tokens.more():
            if tokens.take("}"):
                return self._map_of(keys.schema, values.schema, result)
            if tokens.take(","):
                raise DataError(f"an entry of the map is empty: {self._text!r}")
            key = self.parse(embedded=True)
            if key is None or key.value is None:
                raise DataError(f"a key of the map is null: {self._text!r}")
            if not tokens.take(":"):
                raise DataError(f"a colon is missing in the map: {self._text!r}")
            value = self.parse(embedded=True)
            try:
                result[key.value] = None if value is None else value.value
            except TypeError:
                raise DataError(f"a list or a map cannot be the key of a map: {self._text!r}") from None
            tokens.take(",")
            keys.merge(key)
            values.merge(value)
        raise DataError(f"the map does not end: {self._text!r}")

    @staticmethod
    def _map_of(keys: Schema | None, values: Schema | None, result: dict[Any, Any]) -> SchemaAndValue:
        schema = Schema(Type.MAP, key_schema=keys, value_schema=values if keys is not None else None)
        aligned = {_promoted(keys, key): _promoted(values, value) for key, value in result.items()}
        return SchemaAndValue(schema, aligned)

    def _temporal_of_several(self, token: str) -> SchemaAndValue | None:
        """A time has colons in it, which end tokens: two of them, so four more tokens."""
        at = self._tokens.mark()
        rest = self._tokens.next_of(4)
        if rest is not None:
            temporal = parse_temporal(token + rest)
            if temporal is not None:
                return temporal
        self._tokens.rewind(at)
        return parse_temporal(token)


def parse_temporal(text: str) -> SchemaAndValue | None:
    """A date, time or timestamp, told by its length, or None."""
    text = text.replace("\\:", ":")
    try:
        if len(text) == len("HH:mm:ss.SSSZ"):
            return SchemaAndValue(Time.SCHEMA, Time.to_logical(TIME_FORMAT.parse(text) % DAY_MS))
        if len(text) == len("yyyy-MM-ddTHH:mm:ss.SSSZ"):
            return SchemaAndValue(Timestamp.SCHEMA, Timestamp.to_logical(TIMESTAMP_FORMAT.parse(text)))
        if len(text) == len("yyyy-MM-dd"):
            return SchemaAndValue(Date.SCHEMA, Date.to_logical(DATE_FORMAT.parse(text) // DAY_MS))
    except DataError:
        return None
    return None


def parse_number(token: str) -> SchemaAndValue | None:
    """A number in the smallest type that holds it, or None."""
    try:
        number = decimal.Decimal(token)
    except decimal.InvalidOperation:
        return None
    if not number.is_finite() or "_" in token:
        return None
    size = abs(number)
    if size == 0 or 1 <= size <= decimal.Decimal("1e19"):
        whole = int(number)
        if whole == number:
            for kind, (low, high) in INTEGER_RANGES.items():
                if low <= whole <= high:
                    return SchemaAndValue(READY[kind], whole)
    scale = scale_of(number)
    if scale != 0:
        short = to_float32(float(number))
        if short not in INFINITE:
            return SchemaAndValue(Schema.FLOAT32_SCHEMA, short)
        if float(number) not in INFINITE:
            return SchemaAndValue(Schema.FLOAT64_SCHEMA, float(number))
    return SchemaAndValue(Decimal.schema(scale), number)


INFINITE: Final = (float("inf"), float("-inf"))
READY: Final = {
    Type.INT8: Schema.INT8_SCHEMA,
    Type.INT16: Schema.INT16_SCHEMA,
    Type.INT32: Schema.INT32_SCHEMA,
    Type.INT64: Schema.INT64_SCHEMA,
}


class _Common:
    """The schema that all elements can have; None when there is none."""

    __slots__ = ("_compatible", "schema")

    def __init__(self) -> None:
        self.schema: Schema | None = None
        self._compatible = True

    def merge(self, element: SchemaAndValue | None) -> None:
        if element is None or element.schema is None or not self._compatible:
            return
        self.schema = element.schema if self.schema is None else _common(self.schema, element.schema)
        self._compatible = self.schema is not None


def _common(one: Schema, other: Schema) -> Schema | None:
    if one.type is other.type:
        return other
    if one.type in NUMERIC and other.type in NUMERIC:
        return max(one, other, key=lambda schema: NUMERIC.index(schema.type))
    return None


def _promoted(schema: Schema | None, value: Any) -> Any:
    if schema is not None and schema.type in {Type.FLOAT32, Type.FLOAT64} and isinstance(value, int):
        return float(value)
    return value


class Tokens:
    """The text cut at its delimiters; a backslash before one makes it a part of the text."""

    DELIMITERS: Final = frozenset(':,{}[]"')

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ahead: str | None = None

    def mark(self) -> int:
        return self._at - (len(self._ahead) if self._ahead is not None else 0)

    def rewind(self, at: int) -> None:
        self._at = at
        self._ahead = None

    def more(self) -> bool:
        return self._ahead is not None or self._at < len(self._text)

    def next(self) -> str:
        token = self._cut() if self._ahead is None else self._ahead
        self._ahead = None
        return token

    def next_of(self, count: int) -> str | None:
        start = self.mark()
        for _ in range(count):
            if not self.more():
                self.rewind(start)
                return None
            self.next()
        return self._text[start : self._at]

    def take(self, expected: str) -> bool:
        """Take the next token if it is `expected`, blanks around it aside."""
        if self._ahead is None:
            if not self.more():
                return False
            self._ahead = self._cut()
        while not self._ahead.strip() and self._at < len(self._text):
            self._ahead = self._cut()
        if self._ahead.strip() != expected:
            return False
        self._ahead = None
        return True

    def _cut(self) -> str:
        start = self._at
        escaped = False
        while self._at < len(self._text):
            letter = self._text[self._at]
            if letter in self.DELIMITERS and not escaped:
                if start == self._at:
                    self._at += 1
                break
            escaped = letter == "\\" and not escaped
            self._at += 1
        return self._text[start : self._at]
