"""Schemas and the values that go with them, as in `org.apache.kafka.connect.data`.

| type | value in Python |
| --- | --- |
| INT8, INT16, INT32, INT64 | `int` within the range |
| FLOAT32, FLOAT64 | `float` |
| BOOLEAN, STRING | `bool`, `str` |
| BYTES | `bytes` (also `bytearray`, `memoryview`) |
| ARRAY, MAP, STRUCT | `list`, `dict`, `Struct` |
| Decimal (on BYTES) | `decimal.Decimal` |
| Date (on INT32) | `datetime.date` |
| Time (on INT32) | `datetime.time`, without a zone, whole milliseconds |
| Timestamp (on INT64) | `datetime.datetime` in UTC, whole milliseconds |

A value without a schema is what JSON gives: `dict`, `list`, `str`, `int`, `float`, `bool`, `None`.
"""

from moldau.connect.data.builder import SchemaBuilder
from moldau.connect.data.logical import Date, Decimal, Time, Timestamp
from moldau.connect.data.schema import NULL, Field, Schema, SchemaAndValue, Type
from moldau.connect.data.struct import Struct, validate_value

__all__ = [
    "NULL",
    "Date",
    "Decimal",
    "Field",
    "Schema",
    "SchemaAndValue",
    "SchemaBuilder",
    "Struct",
    "Time",
    "Timestamp",
    "Type",
    "validate_value",
]
