"""A value of one schema as one of another, as in `SchemaProjector`: numbers widen, fields are left out or defaulted.

Names and parameters must be the same. A sink uses this to write records of several versions into one file.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.connect.data.java_text import to_float32
from moldau.connect.data.schema import Schema, Type
from moldau.connect.data.struct import Struct
from moldau.connect.errors import SchemaProjectorError

PROMOTION: Final = (Type.INT8, Type.INT16, Type.INT32, Type.INT64, Type.FLOAT32, Type.FLOAT64)
RANK: Final = {kind: rank for rank, kind in enumerate(PROMOTION)}


def project(source: Schema, value: Any, target: Schema) -> Any:
    """`value` of the schema `source` as one of `target`.

    Raises `SchemaProjectorError` when the schemas do not allow it; the message names the field.
    """
    _check(source, target)
    if value is None:
        if not (source.optional and not target.optional):
            return None
        if target.default_value is None:
            raise _no_default()
        return target.default_value
    if source.optional and not target.optional and target.default_value is None:
        raise _no_default()
    if target.type is Type.STRUCT:
        return _struct(source, value, target)
    if target.type is Type.ARRAY:
        element, wanted = _known(source.value_schema), _known(target.value_schema)
        return [project(element, each, wanted) for each in value]
    if target.type is Type.MAP:
        keys, wanted_keys = _known(source.key_schema), _known(target.key_schema)
        values, wanted = _known(source.value_schema), _known(target.value_schema)
        return {project(keys, key, wanted_keys): project(values, each, wanted) for key, each in value.items()}
    if target.type in {Type.FLOAT32, Type.FLOAT64} and isinstance(value, int):
        return to_float32(value) if target.type is Type.FLOAT32 else float(value)
    return value


def _struct(source: Schema, value: Struct, target: Schema) -> Struct:
    result = Struct(target)
    for wanted in target.fields:
        field = source.by_name.get(wanted.name)
        if field is None:
            if wanted.schema.optional:
                continue
            if wanted.schema.default_value is None:
                raise SchemaProjectorError(f"the required field {wanted.name!r} is missing in {source}")
            result.values[wanted.index] = wanted.schema.default_value
            continue
        try:
            result.values[wanted.index] = project(field.schema, value.get(field.name), wanted.schema)
        except SchemaProjectorError as error:
            raise SchemaProjectorError(f"field {field.name!r}: {error}") from error
    return result


def _check(source: Schema, target: Schema) -> None:
    if source is target:
        return
    if source.type is not target.type and RANK.get(source.type, 9) > RANK.get(target.type, -1):
        raise SchemaProjectorError(f"{source.type.name} cannot become {target.type.name}")
    if source.name != target.name:
        raise SchemaProjectorError(f"the schema {source.name} cannot become {target.name}: the names differ")
    if source.parameters != target.parameters:
        raise SchemaProjectorError(f"the parameters of the schemas differ: {source.parameters} and {target.parameters}")


def _known(schema: Schema | None) -> Schema:
    if schema is None:
        raise SchemaProjectorError("a list or a map has no schema for what it holds")
    return schema


def _no_default() -> SchemaProjectorError:
    return SchemaProjectorError("an optional value cannot become a required one that has no default")
