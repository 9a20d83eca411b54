"""The schema registry that the row in Avro needs: Moldau's, in the process that drives the clients.

Each client asks it once for a schema and keeps that, so whose registry it is does not show in any number.
"""

from __future__ import annotations

import json
from types import TracebackType
from typing import Self

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient

from bench.versus.streams.load import ORDER_SCHEMA
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

SUBJECT = "orders-value"


class OrdersRegistry:
    """A registry with the schema of an order; `url` and `schema_id` are known within the `with`."""

    url: str
    schema_id: int

    def __init__(self, bootstrap_servers: str) -> None:
        self._thread = RegistryThread(RegistrySettings(bootstrap_servers, port=0, replication_factor=1))

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.url = self._thread.url
            client = SchemaRegistryClient({"url": self.url})
            self.schema_id = client.register_schema(SUBJECT, Schema(json.dumps(ORDER_SCHEMA), "AVRO"))
        except BaseException:
            self._thread.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.close()
