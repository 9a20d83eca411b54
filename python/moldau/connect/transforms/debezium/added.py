"""What `add.fields` and `add.headers` name: parts of an envelope that go with the row that is taken out of it.

`op` and the times are the envelope's own, `id`, `total_order` and `data_collection_order` the transaction's, any other
name without a dot is the source's; with a dot the struct is named. What is in none of them is taken from the envelope
itself, where other transforms may have put it, and what is nowhere is left out.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from moldau.connect.config_def import invalid
from moldau.connect.data import Schema, SchemaBuilder, Struct, Type
from moldau.connect.errors import DataError
from moldau.connect.transforms.base import copy_basics

OWN: Final = frozenset({"op", "ts_ms", "ts_us", "ts_ns"})
OF_TRANSACTION: Final = frozenset({"id", "total_order", "data_collection_order"})


class Reference(NamedTuple):
    """A part of an envelope: `struct` holds it (None: the envelope itself); `new_name` is what it is called outside."""

    struct: str | None
    field: str
    new_name: str


class Found(NamedTuple):
    """The same for envelopes of one schema: places of the struct and the field, and the schema that it gets."""

    outer: int | None
    inner: int
    name: str
    schema: Schema

    def of(self, envelope: Struct) -> Any:
        """The value; None when the struct that holds it is null."""
        if self.outer is None:
            return envelope.values[self.inner]
        holder = envelope.values[self.outer]
        return None if holder is None else holder.values[self.inner]


def references(setting: str, prefix: str, texts: list[str]) -> list[Reference]:
    """What a setting names. Raises `ConfigError`."""
    return [_reference(setting, prefix, text) for text in texts]


def _reference(setting: str, prefix: str, text: str) -> Reference:
    path, *renamed = text.rstrip(":").split(":")
    if len(renamed) > 1:
        raise invalid(
            setting, text, f"Unexpected field name: {text}\nhint: it is field, struct.field or field:new_name"
        )
    steps = path.rstrip(".").split(".")
    if len(steps) > 1:
        struct, field, name = steps[0], steps[1], f"{steps[0]}_{steps[1]}"
        return Reference(struct, field, prefix + (renamed[0] if renamed else name))
    field = steps[0]
    holder = None if field in OWN else "transaction" if field in OF_TRANSACTION else "source"
    return Reference(holder, field, prefix + (renamed[0] if renamed else field))


def find(reference: Reference, envelope: Schema) -> Found | None:
    """Where it is in envelopes of a schema; None when it is nowhere. Raises `DataError` when its struct is missing."""
    if reference.struct is not None:
        holder = envelope.by_name.get(reference.struct)
        if holder is None:
            raise DataError(f"there is no {reference.struct!r} in {envelope}, where {reference.field!r} is to be found")
        field = holder.schema.by_name.get(reference.field)
        if field is not None:
            return Found(holder.index, field.index, reference.new_name, _optional(field.schema))
    field = envelope.by_name.get(reference.field)
    return None if field is None else Found(None, field.index, reference.new_name, _optional(field.schema))


def _optional(source: Schema) -> Schema:
    if source.type is Type.STRUCT:
        raise DataError(f"{source} is a struct, which cannot be added; name a field of it, as struct.field")
    if source.value_schema is None:
        builder = SchemaBuilder(source.type)
    elif source.key_schema is None:
        builder = SchemaBuilder.array(source.value_schema)
    else:
        builder = SchemaBuilder.map(source.key_schema, source.value_schema)
    return copy_basics(source, builder).optional().build()
