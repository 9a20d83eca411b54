"""The files of google/type and of Confluent that may be imported without a reference: their names and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_TYPE: Final = 'syntax = "proto3"; package google.type; '
_CONFLUENT: Final = 'syntax = "proto3"; package confluent.type; '

_META: Final = """
syntax = "proto3";
package confluent;
import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; repeated Rule rules = 4; }
message Rule { string name = 1; string doc = 2; string expr = 3; string sql = 4; }
extend google.protobuf.FileOptions { Meta file_meta = 1088; }
extend google.protobuf.MessageOptions { Meta message_meta = 1088; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }
extend google.protobuf.EnumOptions { Meta enum_meta = 1088; }
extend google.protobuf.EnumValueOptions { Meta enum_value_meta = 1088; }
"""

_DATETIME: Final = """
message DateTime {
  int32 year = 1; int32 month = 2; int32 day = 3;
  int32 hours = 4; int32 minutes = 5; int32 seconds = 6; int32 nanos = 7;
  oneof time_offset { google.protobuf.Duration utc_offset = 8; TimeZone time_zone = 9; }
}
message TimeZone { string id = 1; string version = 2; }
"""

_PHONE_NUMBER: Final = """
message PhoneNumber {
  message ShortCode { string region_code = 1; string number = 2; }
  oneof kind { string e164_number = 1; ShortCode short_code = 2; }
  string extension = 3;
}
"""

_POSTAL_ADDRESS: Final = """
message PostalAddress {
  int32 revision = 1; string region_code = 2; string language_code = 3; string postal_code = 4;
  string sorting_code = 5; string administrative_area = 6; string locality = 7; string sublocality = 8;
  repeated string address_lines = 9; repeated string recipients = 10; string organization = 11;
}
"""


def _enum(name: str, values: str) -> str:
    numbered = " ".join(f"{value} = {number};" for number, value in enumerate(values.split()))
    return f"{_TYPE}enum {name} {{ {numbered} }}"


def _message(name: str, kind: str, fields: str) -> str:
    numbered = " ".join(f"{kind} {field} = {number};" for number, field in enumerate(fields.split(), 1))
    return f"{_TYPE}message {name} {{ {numbered} }}"


TEXTS: Final[Mapping[str, str]] = {
    "confluent/meta.proto": _META,
    "confluent/type/decimal.proto": _CONFLUENT
    + "message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }",
    "confluent/type/variant.proto": _CONFLUENT + "message Variant { bytes metadata = 1; bytes value = 2; }",
    "google/type/calendar_period.proto": _enum(
        "CalendarPeriod", "CALENDAR_PERIOD_UNSPECIFIED DAY WEEK FORTNIGHT MONTH QUARTER HALF YEAR"
    ),
    "google/type/color.proto": _TYPE
    + 'import "google/protobuf/wrappers.proto"; '
    + "message Color { float red = 1; float green = 2; float blue = 3; google.protobuf.FloatValue alpha = 4; }",
    "google/type/date.proto": _message("Date", "int32", "year month day"),
    "google/type/datetime.proto": _TYPE + 'import "google/protobuf/duration.proto"; ' + _DATETIME,
    "google/type/dayofweek.proto": _enum(
        "DayOfWeek", "DAY_OF_WEEK_UNSPECIFIED MONDAY TUESDAY WEDNESDAY THURSDAY FRIDAY SATURDAY SUNDAY"
    ),
    "google/type/decimal.proto": _message("Decimal", "string", "value"),
    "google/type/expr.proto": _message("Expr", "string", "expression title description location"),
    "google/type/fraction.proto": _message("Fraction", "int64", "numerator denominator"),
    "google/type/interval.proto": _TYPE
    + 'import "google/protobuf/timestamp.proto"; '
    + "message Interval { google.protobuf.Timestamp start_time = 1; google.protobuf.Timestamp end_time = 2; }",
    "google/type/latlng.proto": _message("LatLng", "double", "latitude longitude"),
    "google/type/money.proto": _TYPE + "message Money { string currency_code = 1; int64 units = 2; int32 nanos = 3; }",
    "google/type/month.proto": _enum(
        "Month",
        "MONTH_UNSPECIFIED JANUARY FEBRUARY MARCH APRIL MAY JUNE JULY AUGUST SEPTEMBER OCTOBER NOVEMBER DECEMBER",
    ),
    "google/type/phone_number.proto": _TYPE + _PHONE_NUMBER,
    "google/type/postal_address.proto": _TYPE + _POSTAL_ADDRESS,
    "google/type/quaternion.proto": _message("Quaternion", "double", "x y z w"),
    "google/type/timeofday.proto": _message("TimeOfDay", "int32", "hours minutes seconds nanos"),
}
