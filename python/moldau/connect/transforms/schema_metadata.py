"""SetSchemaMetadata: the schema under another name or version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.data import Schema, Struct
from moldau.connect.data.schema_copies import changed
from moldau.connect.errors import ConfigError, DataError
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import REPLACE_NULL, OfKey, OfValue, OneSide, Plans, values_of, with_replace_null


class SetSchemaMetadata(OneSide):
    """See the module."""

    PURPOSE = "updating schema metadata"
    PASSES_NULL = False
    CONFIG = with_replace_null(
        ConfigDef()
        .define("schema.name", Type.STRING, None, importance=Importance.HIGH, doc="The new name.")
        .define("schema.version", Type.INT, None, importance=Importance.HIGH, doc="The new version.")
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._name: str | None = settings["schema.name"]
        self._version: int | None = settings["schema.version"]
        if self._name is None and self._version is None:
            raise ConfigError("Neither schema name nor version configured")
        self._replace_null: bool = settings[REPLACE_NULL]
        self._plans = Plans(self._plan)

    def _plan(self, schema: Schema) -> Schema:
        return changed(
            schema,
            name=schema.name if self._name is None else self._name,
            version=schema.version if self._version is None else self._version,
        )

    def with_schema(self, schema: Schema, value: Any, record: ConnectRecord) -> tuple[Schema | None, Any]:
        made = self._plans.of(schema)
        if isinstance(value, Struct):
            return made, Struct.of(made, values_of(value, replace_null=self._replace_null))
        return made, value

    def without_schema(self, value: Any, record: ConnectRecord) -> Any:
        if value is None:
            return None
        raise DataError(f"a schema is needed for [{self.PURPOSE}], the record has none")


class SetSchemaMetadataKey(OfKey, SetSchemaMetadata):
    """`SetSchemaMetadata$Key`."""


class SetSchemaMetadataValue(OfValue, SetSchemaMetadata):
    """`SetSchemaMetadata$Value`."""
