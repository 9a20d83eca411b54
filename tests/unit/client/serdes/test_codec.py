"""The compiled codec: what is taken for what, which branch of a union is meant, and what errors say."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import gc
import json
import types
import uuid
from collections import OrderedDict
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from moldau._core import AvroDecoder, AvroEncoder, AvroError
from moldau.client.serdes.shapes import ShapeError, Shapes

DOG = {"type": "record", "name": "pets.Dog", "fields": [{"name": "name", "type": "string"}]}
CAT = {
    "type": "record",
    "name": "pets.Cat",
    "fields": [{"name": "name", "type": "string"}, {"name": "lives", "type": "int", "default": 9}],
}


def encode(schema: Any, value: Any) -> bytes:
    return AvroEncoder(json.dumps(schema)).encode(value)


def round_trip(schema: Any, value: Any) -> Any:
    return AvroDecoder(json.dumps(schema)).decode(encode(schema, value))


def refusal(schema: Any, value: Any) -> str:
    with pytest.raises(AvroError) as caught:
        encode(schema, value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("union", "value", "branch"),
    [
        (["null", "string"], None, 0),
        (["null", "string"], "x", 1),
        (["int", "long"], 5, 0),
        (["int", "long"], 2**40, 1),
        (["float", "double"], 1.5, 1),
        (["float", "string", "double"], 1.5, 2),
        (["double", "float"], 1.5, 0),
        (["int", "boolean"], True, 1),
        (["string", "bytes"], b"x", 1),
        ([DOG, CAT], {"name": "Rex"}, 0),
        ([DOG, CAT], {"name": "Tom", "lives": 7}, 1),
        ([DOG, CAT], {"name": "Tom", "-type": "pets.Cat"}, 1),
        ([DOG, CAT], ("pets.Cat", {"name": "Tom"}), 1),
        (["int", "long"], ("long", 5), 1),
        (["string", {"type": "enum", "name": "E", "symbols": ["A"]}], ("E", "A"), 1),
        ([{"type": "long", "logicalType": "timestamp-millis"}, "string"], dt.datetime.now(dt.UTC), 0),
        ([{"type": "array", "items": "int"}, {"type": "array", "items": "int"}][:1], [1], 0),
    ],
)
def test_the_branch_of_a_union_is_chosen_as_fastavro_chooses(union, value, branch):
    assert encode(union, value)[0] == 2 * branch


def test_an_instance_is_meant_for_the_record_with_the_name_of_its_class():
    cat = dataclasses.make_dataclass("Cat", [("name", str)])
    assert encode([DOG, CAT], cat("Tom"))[0] == 2


def test_named_branches_come_with_their_name_when_asked_for():
    decoder = AvroDecoder(json.dumps([DOG, CAT, "null"]), named_branches=True)
    assert decoder.decode(encode([DOG, CAT, "null"], {"name": "Rex"})) == ("pets.Dog", {"name": "Rex"})


@pytest.mark.parametrize(
    ("schema", "value", "said"),
    [
        ("int", 2**31, "2147483648 is no int: it has more than 32 bits"),
        ("long", 2**63, "9223372036854775808 is no long: it has more than 64 bits"),
        ("long", 1.0, "1.0 (float) is no long"),
        ("string", 5, "5 (int) is no string"),
        ("string", "\ud800", "'utf-8' codec can't encode character '\\ud800' in position 0: surrogates not allowed"),
        ("float", 1e300, f"{10**300} is too large for a float".replace(str(10**300), "1" + "0" * 300)),
        ("boolean", 1, "1 (int) is no boolean"),
        ({"type": "fixed", "name": "F", "size": 2}, b"x", "1 bytes for a fixed of 2"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, "B", "'B' is none of the symbols of E"),
        (["null", "int"], "x", "'x' (str) is no int"),
        (["int", "string"], 1.5, "1.5 (float) is none of int, string"),
        (["int", "string"], ("bytes", b""), 'the union has no branch "bytes"'),
        ({"type": "array", "items": "int"}, "12", "'12' (str) is no array"),
        ({"type": "map", "values": "int"}, {1: 1}, "a key of the map is no string"),
        (DOG, {}, "name: it is missing, and the schema has no default for it"),
        (DOG, 5, "5 (int) is no record"),
        (["null", DOG], {"name": "x", "-type": "pets.Cat"}, 'its "-type" is not pets.Dog'),
        ({"type": "array", "items": DOG}, [{"name": "a"}, {"name": 1}], "[1].name: 1 (int) is no string"),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            Decimal("1.005"),
            "1.005 has more than 2 digits behind the point",
        ),
        (
            {"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2},
            Decimal(100),
            "100 has more than 4 digits",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_told_with_its_path(schema, value, said):
    assert refusal(schema, value) == said


def test_a_value_that_holds_itself_is_an_error_and_no_crash():
    node = {"type": "record", "name": "Node", "fields": [{"name": "next", "type": ["null", "Node", "string"]}]}
    loop: dict[str, Any] = {}
    loop["next"] = loop
    assert "Node" in refusal(node, loop) or "deeper" in refusal(node, loop)
    array = {
        "type": "record",
        "name": "Tree",
        "fields": [{"name": "leaves", "type": {"type": "array", "items": "Tree"}}],
    }
    tree: dict[str, Any] = {}
    tree["leaves"] = [tree]
    assert "nested deeper than 512" in refusal(array, tree)


def test_missing_fields_are_their_default_and_null_where_it_may_be():
    schema = {
        "type": "record",
        "name": "R",
        "fields": [
            {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["x"]},
            {"name": "raw", "type": "bytes", "default": "\u00ff"},
            {"name": "maybe", "type": ["int", "null"]},
        ],
    }
    assert round_trip(schema, {}) == {"tags": ["x"], "raw": b"\xff", "maybe": None}


def test_a_default_is_made_anew_for_every_record():
    writer = {"type": "record", "name": "R", "fields": []}
    field = {"name": "tags", "type": {"type": "array", "items": "string"}, "default": []}
    decoder = AvroDecoder(json.dumps(writer), reader=json.dumps({**writer, "fields": [field]}))
    decoder.decode(b"")["tags"].append("mine")
    assert decoder.decode(b"") == {"tags": []}


def test_any_mapping_and_any_sequence_will_do():
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": {"type": "map", "values": "int"}}]}
    assert encode(schema, types.MappingProxyType({"a": OrderedDict(k=1)})) == encode(schema, {"a": {"k": 1}})
    array = {"type": "array", "items": "int"}
    assert encode(array, (1, 2)) == encode(array, range(1, 3)) == encode(array, [1, 2])


def test_moments_of_other_zones_and_of_none_are_the_same_instant():
    schema = {"type": "long", "logicalType": "timestamp-micros"}
    moment = dt.datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=dt.UTC)
    assert encode(schema, moment.astimezone(dt.timezone(dt.timedelta(hours=-7, minutes=-30)))) == encode(schema, moment)
    assert encode(schema, moment.astimezone().replace(tzinfo=None)) == encode(schema, moment)
    assert round_trip(schema, dt.datetime(1, 1, 1, tzinfo=dt.UTC)) == dt.datetime(1, 1, 1, tzinfo=dt.UTC)
    with pytest.raises(AvroError, match="years 1 and 9999"):
        AvroDecoder(json.dumps(schema)).decode(encode("long", 2**62))


def test_what_only_claims_to_be_a_datetime_is_asked_and_not_looked_into():
    class Proxy:
        __class__ = dt.datetime

        def __init__(self, moment: dt.datetime) -> None:
            self._moment = moment

        def __getattr__(self, name: str) -> Any:
            return getattr(self._moment, name)

    schema = {"type": "long", "logicalType": "timestamp-micros"}
    moment = dt.datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=dt.UTC)
    assert encode(schema, Proxy(moment)) == encode(schema, moment)

    class Later(dt.datetime):
        """A subclass is laid out as its base."""

    assert encode(schema, Later(2026, 3, 1, 12, 0, 0, 1, tzinfo=dt.UTC)) == encode(schema, moment)


def test_a_decimal_keeps_every_digit():
    schema = {"type": "bytes", "logicalType": "decimal", "precision": 100, "scale": 50}
    value = Decimal("-" + "9" * 50 + "." + "1" * 50)
    assert str(round_trip(schema, value)) == str(value)


def test_a_uuid_may_be_text_or_sixteen_bytes():
    value = uuid.uuid4()
    assert round_trip({"type": "string", "logicalType": "uuid"}, value) == value
    assert round_trip({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, value) == value.bytes


class Color(enum.Enum):
    RED = "r"
    BLUE = "b"


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int


@dataclasses.dataclass
class Checked:
    x: int
    doubled: int = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        if self.x < 0:
            raise ValueError("x is negative")
        self.doubled = 2 * self.x


class Picture(msgspec.Struct, rename="camel"):
    main_point: Point
    more: list[Point]
    named: dict[str, Point | None]
    color: Color
    checked: Checked | None = None


PICTURE = {
    "type": "record",
    "name": "Picture",
    "fields": [
        {
            "name": "mainPoint",
            "type": {
                "type": "record",
                "name": "Point",
                "fields": [{"name": "x", "type": "int"}, {"name": "y", "type": "int"}],
            },
        },
        {"name": "more", "type": {"type": "array", "items": "Point"}},
        {"name": "named", "type": {"type": "map", "values": ["null", "Point"]}},
        {"name": "color", "type": {"type": "enum", "name": "Color", "symbols": ["RED", "BLUE"]}},
        {
            "name": "checked",
            "type": ["null", {"type": "record", "name": "Checked", "fields": [{"name": "x", "type": "int"}]}],
        },
    ],
}


def picture_decoder() -> AvroDecoder:
    text = json.dumps(PICTURE)
    shapes = Shapes(text, [], Picture)
    return AvroDecoder(text, shapes=shapes.shapes, symbols=shapes.symbols)


def test_classes_inside_of_classes_are_found_by_their_annotations():
    shapes = Shapes(json.dumps(PICTURE), [], Picture).shapes
    assert {name: how for name, (_, how, _, _) in shapes.items()} == {
        "Picture": "slots",
        "Point": "slots",
        "Checked": "call",
    }
    picture = Picture(Point(1, 2), [Point(3, 4)], {"a": None, "b": Point(5, 6)}, Color.BLUE, Checked(7))
    assert picture_decoder().decode(encode(PICTURE, picture)) == picture


def test_what_a_class_refuses_is_told_with_its_path_and_its_exception():
    picture = {"mainPoint": {"x": 1, "y": 1}, "more": [], "named": {}, "color": "RED", "checked": {"x": -1}}
    with pytest.raises(AvroError, match="checked: x is negative") as caught:
        picture_decoder().decode(encode(PICTURE, picture))
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.offset is not None


def test_a_class_without_fields_is_refused():
    with pytest.raises(ShapeError, match="no record that int could hold"):
        Shapes(json.dumps(DOG), [], int)


def how_many(*classes):
    """Instances that the collector knows of. Of anything else there may be more now: other threads live on."""
    gc.collect()
    return sum(type(one) in classes for one in gc.get_objects())


def test_instances_survive_the_collector_and_leave_nothing_behind():
    decoder = picture_decoder()
    content = encode(PICTURE, Picture(Point(1, 2), [Point(3, 4)] * 3, {"b": Point(5, 6)}, Color.RED))
    decoder.decode(content)
    before = how_many(Picture, Point)
    kept = [decoder.decode(content) for _ in range(1000)]
    gc.collect()
    assert all(one == kept[0] for one in kept)
    assert how_many(Picture, Point) > before
    del kept
    with pytest.raises(AvroError):
        decoder.decode(content[:4])
    assert how_many(Picture, Point) <= before
