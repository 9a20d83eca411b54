"""A converter that does for headers what it does for keys and values."""

from __future__ import annotations

from typing import Any

from moldau.connect.data import Schema, SchemaAndValue
from moldau.connect.plugin import Converter, HeaderConverter


class ConverterOfBoth(Converter, HeaderConverter):
    """Extend this as `Converter`."""

    def from_connect_header(self, topic: str, key: str, schema: Schema | None, value: Any) -> bytes | None:
        return self.from_connect_data(topic, schema, value)

    def to_connect_header(self, topic: str, key: str, data: bytes | None) -> SchemaAndValue:
        return self.to_connect_data(topic, data)
