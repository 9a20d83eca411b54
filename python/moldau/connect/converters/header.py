"""`SimpleHeaderConverter`: headers as text, whose type is guessed when they are read. Connect uses it by default."""

from __future__ import annotations

import logging
from typing import Any, Final

from moldau.connect.data import NULL, Schema, SchemaAndValue
from moldau.connect.data.values import parse_string, to_text
from moldau.connect.plugin import HeaderConverter

logger: Final = logging.getLogger(__name__)


class SimpleHeaderConverter(HeaderConverter):
    """See `moldau.connect.data.values` for the rules. Bytes that are no text stay bytes."""

    def from_connect_header(self, topic: str, key: str, schema: Schema | None, value: Any) -> bytes | None:
        text = to_text(schema, value)
        return None if text is None else text.encode()

    def to_connect_header(self, topic: str, key: str, data: bytes | None) -> SchemaAndValue:
        if data is None:
            return NULL
        try:
            return parse_string(data.decode())
        except UnicodeDecodeError:
            logger.warning("the header %r of topic %s is no text; its bytes are kept", key, topic)
            return SchemaAndValue(Schema.BYTES_SCHEMA, data)
