"""The logical types of Connect: a number or bytes underneath, a richer Python value above.

Each class is a place for its name, its schema and the way down (`from_logical`) and up (`to_logical`), as in Java.
Converters call these; connectors and transforms see the Python value only.
"""

from __future__ import annotations

import datetime as dt
import decimal
from typing import ClassVar, Final

from moldau.connect.data.builder import SchemaBuilder
from moldau.connect.data.schema import Schema
from moldau.connect.errors import DataError

DAY_MS: Final = 86_400_000
EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
EPOCH_DAY: Final = dt.date(1970, 1, 1)
EPOCH_ORDINAL: Final = EPOCH_DAY.toordinal()
EXACT: Final = decimal.Context(prec=decimal.MAX_PREC, Emin=decimal.MIN_EMIN, Emax=decimal.MAX_EMAX)


class Decimal:
    """A number with a fixed count of digits behind the point (parameter `scale`), on BYTES: two's complement."""

    LOGICAL_NAME: Final = "org.apache.kafka.connect.data.Decimal"
    SCALE: Final = "scale"

    @classmethod
    def builder(cls, scale: int) -> SchemaBuilder:
        return SchemaBuilder.bytes().name(cls.LOGICAL_NAME).version(1).parameter(cls.SCALE, str(scale))

    @classmethod
    def schema(cls, scale: int) -> Schema:
        return cls.builder(scale).build()

    @classmethod
    def scale(cls, schema: Schema) -> int:
        """The scale that a schema names. Raises `DataError` when it names none that can be read."""
        text = (schema.parameters or {}).get(cls.SCALE)
        try:
            return int(text)  # type: ignore[arg-type]
        except (TypeError, ValueError):
            raise DataError(f"{schema} is a Decimal whose parameter 'scale' is {text!r}, not a number") from None

    @classmethod
    def from_logical(cls, schema: Schema, value: decimal.Decimal) -> bytes:
        """The unscaled number, big-endian and as short as can be. Raises `DataError` for another scale."""
        scale = cls.scale(schema)
        return to_bytes(cls.unscaled(value, scale))

    @classmethod
    def unscaled(cls, value: decimal.Decimal, scale: int) -> int:
        """`value` times ten to the power of `scale`; it must have exactly that scale, as in Java."""
        sign, digits, exponent = value.as_tuple()
        if exponent != -scale:
            raise DataError(f"{value} has the scale {scale_of(value)}, its schema has {scale}")
        number = int("".join(map(str, digits)) or "0")
        return -number if sign else number

    @classmethod
    def to_logical(cls, schema: Schema, value: bytes) -> decimal.Decimal:
        return from_unscaled(int.from_bytes(value, "big", signed=True), cls.scale(schema))


def scale_of(value: decimal.Decimal) -> int:
    """How many digits `value` has behind the point. Raises `DataError` for NaN and infinity."""
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise DataError(f"{value} is not a number that a Decimal can hold")
    return -exponent


def to_bytes(number: int) -> bytes:
    """A number as Java's `BigInteger.toByteArray` writes it: two's complement, big-endian, shortest."""
    bits = number.bit_length() if number >= 0 else (~number).bit_length()
    return number.to_bytes(bits // 8 + 1, "big", signed=True)


def from_unscaled(number: int, scale: int) -> decimal.Decimal:
    """`number` with the point moved by `scale` digits, exact whatever its length."""
    return decimal.Decimal(number).scaleb(-scale, EXACT)


class Date:
    """A day without a time or a zone, on INT32: days since 1970-01-01."""

    LOGICAL_NAME: Final = "org.apache.kafka.connect.data.Date"
    SCHEMA: ClassVar[Schema]

    @classmethod
    def builder(cls) -> SchemaBuilder:
        return SchemaBuilder.int32().name(cls.LOGICAL_NAME).version(1)

    @staticmethod
    def from_logical(value: dt.date) -> int:
        return value.toordinal() - EPOCH_ORDINAL

    @staticmethod
    def to_logical(days: int) -> dt.date:
        try:
            return dt.date.fromordinal(EPOCH_ORDINAL + days)
        except (ValueError, OverflowError):
            raise DataError(f"{days} days since 1970 is outside of the years 1 to 9999") from None


class Time:
    """A time of the day without a zone, on INT32: milliseconds since midnight."""

    LOGICAL_NAME: Final = "org.apache.kafka.connect.data.Time"
    SCHEMA: ClassVar[Schema]

    @classmethod
    def builder(cls) -> SchemaBuilder:
        return SchemaBuilder.int32().name(cls.LOGICAL_NAME).version(1)

    @staticmethod
    def from_logical(value: dt.time) -> int:
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000 + value.microsecond // 1000

    @staticmethod
    def to_logical(milliseconds: int) -> dt.time:
        if not 0 <= milliseconds < DAY_MS:
            raise DataError(f"{milliseconds} is not a time: a day has the milliseconds 0 to {DAY_MS - 1}")
        seconds, rest = divmod(milliseconds, 1000)
        minutes, second = divmod(seconds, 60)
        hour, minute = divmod(minutes, 60)
        return dt.time(hour, minute, second, rest * 1000)


class Timestamp:
    """A moment, on INT64: milliseconds since 1970-01-01T00:00:00Z."""

    LOGICAL_NAME: Final = "org.apache.kafka.connect.data.Timestamp"
    SCHEMA: ClassVar[Schema]

    @classmethod
    def builder(cls) -> SchemaBuilder:
        return SchemaBuilder.int64().name(cls.LOGICAL_NAME).version(1)

    @staticmethod
    def from_logical(value: dt.datetime) -> int:
        """Milliseconds since 1970, rounded down. A datetime without a zone is refused: nobody knows when it was."""
        if value.tzinfo is None:
            raise DataError(f"the timestamp {value} has no zone\nhint: give it one, such as tzinfo=dt.UTC")
        since = value - EPOCH
        return since.days * DAY_MS + since.seconds * 1000 + since.microseconds // 1000

    @staticmethod
    def to_logical(milliseconds: int) -> dt.datetime:
        try:
            return EPOCH + dt.timedelta(milliseconds=milliseconds)
        except OverflowError:
            raise DataError(f"{milliseconds} ms since 1970 is outside of the years 1 to 9999") from None


Date.SCHEMA = Date.builder().build()
Time.SCHEMA = Time.builder().build()
Timestamp.SCHEMA = Timestamp.builder().build()
