"""Schemas: how they are built, and when two are the same."""

import pytest

from moldau.connect.data import Decimal, Schema, SchemaBuilder, Type
from moldau.connect.errors import DataError, SchemaBuilderError


def order() -> SchemaBuilder:
    return SchemaBuilder.struct().name("order").version(2).field("id", Schema.INT64_SCHEMA)


def test_a_schema_equals_one_that_says_the_same():
    one, other = order().build(), order().build()
    assert one == other
    assert hash(one) == hash(other)
    assert SchemaBuilder.array(one).build() == SchemaBuilder.array(other).build()


@pytest.mark.parametrize(
    "other",
    [
        order().optional(),
        SchemaBuilder.struct().name("order").version(3).field("id", Schema.INT64_SCHEMA),
        order().doc("an order"),
        order().parameter("a", "b"),
        SchemaBuilder.struct().name("order").version(2).field("id", Schema.OPTIONAL_INT64_SCHEMA),
        SchemaBuilder.struct().name("order").version(2).field("key", Schema.INT64_SCHEMA),
        order().field("b", Schema.INT8_SCHEMA),
    ],
)
def test_a_schema_differs_from_one_that_says_anything_else(other: SchemaBuilder):
    assert order().build() != other.build()


def test_a_default_is_part_of_a_schema():
    assert SchemaBuilder.int32().default_value(1).build() != SchemaBuilder.int32().default_value(2).build()
    assert SchemaBuilder.int32().default_value(1).build() != Schema.INT32_SCHEMA


def test_order_of_fields_is_part_of_a_schema():
    forth = SchemaBuilder.struct().field("a", Schema.INT8_SCHEMA).field("b", Schema.INT8_SCHEMA).build()
    back = SchemaBuilder.struct().field("b", Schema.INT8_SCHEMA).field("a", Schema.INT8_SCHEMA).build()
    assert forth != back


def test_order_of_parameters_is_not():
    forth = SchemaBuilder.int8().parameter("a", "1").parameter("b", "2").build()
    back = SchemaBuilder.int8().parameter("b", "2").parameter("a", "1").build()
    assert forth == back
    assert hash(forth) == hash(back)


def test_a_property_is_set_once():
    with pytest.raises(SchemaBuilderError, match="name of the schema is set already"):
        order().name("another")
    assert order().name("order").build() == order().build()


def test_a_field_is_named_once_and_only_in_a_struct():
    with pytest.raises(SchemaBuilderError, match="field 'id' already"):
        order().field("id", Schema.STRING_SCHEMA)
    with pytest.raises(SchemaBuilderError, match="INT32 takes no field"):
        SchemaBuilder.int32().field("id", Schema.STRING_SCHEMA)


def test_a_default_must_fit():
    with pytest.raises(SchemaBuilderError, match="does not fit into INT8"):
        SchemaBuilder.int8().default_value(300)


def test_a_builder_stands_for_the_schema_it_builds():
    schema = SchemaBuilder.struct().field("tags", SchemaBuilder.array(SchemaBuilder.string().optional())).build()
    tags = schema.field("tags")
    assert tags is not None
    assert tags.schema == SchemaBuilder.array(Schema.OPTIONAL_STRING_SCHEMA).build()


def test_only_a_struct_is_asked_for_fields():
    with pytest.raises(DataError, match="only a struct has"):
        Schema.INT8_SCHEMA.field("a")
    assert order().build().field("nothing") is None


def test_a_schema_names_itself_as_in_java():
    assert repr(order().build()) == "Schema{order:STRUCT}"
    assert repr(Schema.INT8_SCHEMA) == "Schema{INT8}"
    assert repr(Decimal.schema(2)) == "Schema{org.apache.kafka.connect.data.Decimal:BYTES}"


def test_types_with_parts_are_not_primitive():
    assert [kind for kind in Type if not kind.is_primitive] == [Type.ARRAY, Type.MAP, Type.STRUCT]
