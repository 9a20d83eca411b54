"""Values of one schema as values of another."""

import pytest

from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.data.projector import project
from moldau.connect.errors import SchemaProjectorError

OLD = SchemaBuilder.struct().name("o").version(1).field("id", Schema.INT32_SCHEMA).field("gone", Schema.INT8_SCHEMA)
NEW = (
    SchemaBuilder.struct()
    .name("o")
    .version(2)
    .field("id", Schema.INT64_SCHEMA)
    .field("note", Schema.OPTIONAL_STRING_SCHEMA)
    .field("status", SchemaBuilder.string().default_value("NEW"))
)


def test_a_struct_gains_and_loses_fields():
    old, new = OLD.build(), NEW.build()
    projected = project(old, Struct(old, id=1, gone=2), new)
    assert projected.schema is new
    assert projected.values == [1, None, "NEW"]


def test_numbers_widen_and_lists_and_maps_follow():
    ints, floats = SchemaBuilder.array(Schema.INT8_SCHEMA).build(), SchemaBuilder.array(Schema.FLOAT64_SCHEMA).build()
    assert repr(project(ints, [1, 2], floats)) == "[1.0, 2.0]"
    narrow = SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT8_SCHEMA).build()
    wide = SchemaBuilder.map(Schema.STRING_SCHEMA, Schema.INT64_SCHEMA).build()
    assert project(narrow, {"a": 1}, wide) == {"a": 1}


@pytest.mark.parametrize(
    ("source", "value", "target", "message"),
    [
        (Schema.INT64_SCHEMA, 1, Schema.INT32_SCHEMA, "INT64 cannot become INT32"),
        (Schema.STRING_SCHEMA, "", Schema.BYTES_SCHEMA, "STRING cannot become BYTES"),
        (Schema.OPTIONAL_INT8_SCHEMA, 1, Schema.INT8_SCHEMA, "that has no default"),
        (SchemaBuilder.int8().name("a").build(), 1, SchemaBuilder.int8().name("b").build(), "the names differ"),
        (SchemaBuilder.int8().parameter("a", "1").build(), 1, Schema.INT8_SCHEMA, "parameters of the schemas differ"),
    ],
)
def test_what_does_not_fit_is_refused(source: Schema, value: object, target: Schema, message: str):
    with pytest.raises(SchemaProjectorError, match=message):
        project(source, value, target)


def test_the_field_that_does_not_fit_is_named():
    new = SchemaBuilder.struct().name("o").field("id", Schema.STRING_SCHEMA).build()
    old = OLD.build()
    with pytest.raises(SchemaProjectorError, match="field 'id': INT32 cannot become STRING"):
        project(old, Struct(old, id=1, gone=1), new)
    required = SchemaBuilder.struct().name("o").field("more", Schema.STRING_SCHEMA).build()
    with pytest.raises(SchemaProjectorError, match="the required field 'more' is missing"):
        project(old, Struct(old, id=1, gone=1), required)


def test_null_of_an_optional_becomes_the_default_of_a_required_one():
    target = SchemaBuilder.int8().default_value(5).build()
    assert project(Schema.OPTIONAL_INT8_SCHEMA, None, target) == 5
    assert project(Schema.OPTIONAL_INT8_SCHEMA, None, Schema.OPTIONAL_INT8_SCHEMA) is None
