"""What a request or response looks like on the wire: kio's generated classes, turned into tables once.

kio carries every message of the protocol as annotated dataclasses generated from
Apache Kafka's own schemas; they are the one description of the messages in this package. Its reader is not used: it
reserves memory from an array length before looking at what is there (a length of 2^31 ends the process), and it
refuses tagged fields it does not know, which the protocol says to skip (KIP-482). So this module keeps the schema,
`codec` does the reading and writing, and the tests hold the result against kio's own writer and reader.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

from kio.index import KioIndexError, load_request_schema, load_response_schema

NOT_FLEXIBLE: Final = 32767
MAX_VERSION: Final = 31
"""No API is near this version; a sanity bound for scans."""
ZERO_UUID: Final = UUID(int=0)

FLEXIBLE_SINCE: Final[dict[int, int]] = {
    **dict.fromkeys((45, 46, 50, 51, 55, 57, 60, 61, 64, 65, 66, 68, 69, 71, 72, 74, 75, 80, 81), 0),
    **dict.fromkeys((83, 84, 85, 86, 87, 88, 89, 90, 91, 92), 0),
    **dict.fromkeys((27, 44, 48, 49, 76, 77, 78, 79), 1),
    **dict.fromkeys((21, 22, 29, 30, 31, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43), 2),
    **dict.fromkeys((10, 16, 18, 24, 25, 26, 28), 3),
    **dict.fromkeys((12, 13, 14, 20, 23, 32), 4),
    **dict.fromkeys((15, 19), 5),
    **dict.fromkeys((2, 9, 11), 6),
    0: 9,
    1: 12,
    3: 9,
    8: 8,
    17: NOT_FLEXIBLE,
    47: NOT_FLEXIBLE,
}
"""By API key, the first version of the request with compact types and tagged fields. The same could be read off kio's
classes, but importing every version of every message takes a second, and a node should start faster than that.
"""

IMPLICIT_DEFAULTS: Final[dict[str, Any]] = {
    "string": "",
    "bytes": b"",
    "records": b"",
    "uuid": ZERO_UUID,
    "bool": False,
    "float64": 0.0,
}
"""What a field without a declared default is when nobody sets it; every other type is 0."""


@dataclass(frozen=True, slots=True)
class FieldLayout:
    """One field of one version of one structure."""

    name: str
    kind: str
    """kio's type name (`int32`, `string`, `timedelta_i32`, …), or `struct`."""
    struct: StructLayout | None
    is_array: bool
    nullable: bool
    tag: int | None
    default: Any


@dataclass(frozen=True, slots=True)
class StructLayout:
    """One structure in one version."""

    kio_class: type
    flexible: bool
    fields: tuple[FieldLayout, ...]
    tagged: dict[int, FieldLayout]
    names: frozenset[str]


class UnknownMessageError(LookupError):
    """kio has no such message in this version."""


Direction = Literal["request", "response"]


@cache
def message_layout(api_key: int, version: int, direction: Direction) -> StructLayout:
    """The layout of one message.

    Raises:
        UnknownMessageError: there is no such API key or version.
    """
    load = load_request_schema if direction == "request" else load_response_schema
    try:
        kio_class = load(api_key, version)
    except (KioIndexError, ImportError) as error:
        raise UnknownMessageError(f"API key {api_key} has no {direction} version {version}") from error
    return _struct_layout(kio_class)


def message_versions(api_key: int, direction: Direction) -> list[int]:
    """Every version of a message that kio knows."""
    known = []
    for version in range(MAX_VERSION + 1):
        try:
            message_layout(api_key, version, direction)
        except UnknownMessageError:
            continue
        known.append(version)
    return known


def _struct_layout(kio_class: type) -> StructLayout:
    flexible: bool = kio_class.__flexible__  # type: ignore[attr-defined]
    layouts = tuple(_field_layout(field) for field in fields(kio_class))
    by_tag = {layout.tag: layout for layout in layouts if layout.tag is not None}
    return StructLayout(
        kio_class=kio_class,
        flexible=flexible,
        fields=tuple(layout for layout in layouts if layout.tag is None),
        tagged=dict(sorted(by_tag.items())),
        names=frozenset(layout.name for layout in layouts),
    )


def _field_layout(field: Any) -> FieldLayout:
    inner, nullable = _without_none(field.type)
    is_array = get_origin(inner) is tuple
    if is_array:
        inner, _ = _without_none(get_args(inner)[0])
    struct = _struct_layout(inner) if isinstance(inner, type) and is_dataclass(inner) else None
    kind = "struct" if struct is not None else field.metadata["kafka_type"]
    return FieldLayout(
        name=field.name,
        kind=kind,
        struct=struct,
        is_array=is_array,
        nullable=nullable,
        tag=field.metadata.get("tag"),
        default=_default(field, kind, struct, is_array, nullable),
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) not in (UnionType, Union):
        return annotation, False
    (inner,) = (argument for argument in get_args(annotation) if argument is not NoneType)
    return inner, True


def _default(field: Any, kind: str, struct: StructLayout | None, is_array: bool, nullable: bool) -> Any:
    """The value of a field that nobody sets, as plain data: a mapping for a structure, numbers for times."""
    if is_array:
        return None if field.default is None else ()
    if struct is not None:
        return None if nullable else {}
    if field.default is None or (field.default is MISSING and nullable and kind in ("datetime_i64", "records")):
        return None
    if field.default is MISSING:
        return IMPLICIT_DEFAULTS.get(kind, 0)
    if kind in ("timedelta_i32", "timedelta_i64"):
        return round(field.default.total_seconds() * 1000)
    if kind == "datetime_i64":
        return round(field.default.timestamp() * 1000)
    if kind == "error_code":
        return field.default.value
    return field.default
