"""What Debezium's transforms share: how an envelope is known, settings with a choice, fields of structs by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from moldau.connect.config_def import ConfigDef, invalid
from moldau.connect.data import Field, Schema, Struct, Type
from moldau.connect.errors import DataError
from moldau.connect.plugin import Transformation
from moldau.connect.records import ConnectRecord

# Debezium's, whose behaviour it is.
VERSION: Final = "3.6.1.Final"
ENVELOPE: Final = ".Envelope"


class DebeziumTransformation(Transformation[ConnectRecord]):
    """A transform with its settings in `CONFIG`; `take` gets them parsed."""

    CONFIG: ClassVar[ConfigDef] = ConfigDef()

    def version(self) -> str:
        return VERSION

    def config(self) -> ConfigDef:
        return self.CONFIG

    def configure(self, configs: Mapping[str, Any]) -> None:
        self.take(self.CONFIG.parse(configs))

    def take(self, settings: Mapping[str, Any]) -> None:
        """Take the settings, by name."""


class OneOf:
    """One of these words, in upper or lower case; `word` is how it is written here."""

    def __init__(self, *choices: str) -> None:
        self.choices = choices

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is not None and str(value).strip().lower() not in self.choices:
            raise invalid(name, value, f"The '{name}' value is invalid: Value must be one of {', '.join(self.choices)}")

    def __str__(self) -> str:
        return ", ".join(self.choices)


def word(value: str) -> str:
    """A choice as it is compared."""
    return value.strip().lower()


def is_envelope(schema: Schema | None) -> bool:
    """Whether values of this schema are changes of a row, as Debezium's connectors write them."""
    return schema is not None and schema.name is not None and schema.name.endswith(ENVELOPE)


def part(schema: Schema, name: str, what: str) -> Field:
    """A field of a struct's schema. Raises `DataError` when there is none; `what` is what the field is for."""
    field = schema.by_name.get(name)
    if field is None:
        known = ", ".join(schema.by_name) or "none"
        raise DataError(f"there is no {what} {name!r} in {schema.name or 'the event'}, which has: {known}")
    return field


def typed(struct: Struct, name: str, kind: Type, what: str) -> Any:
    """The value of a field that has to be of a type, as it is, without its default. Raises `DataError`."""
    field = part(struct.schema, name, what)
    if field.schema.type is not kind:
        raise DataError(f"the {what} {name!r} is of type {field.schema.type.name}, and has to be {kind.name}")
    return struct.values[field.index]


def row_of(value: Any, purpose: str) -> Struct:
    """A value that has to be a struct. Raises `DataError`."""
    if not isinstance(value, Struct):
        raise DataError(
            f"only a struct can be used for [{purpose}], not {'null' if value is None else type(value).__name__}"
        )
    return value
