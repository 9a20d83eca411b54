"""`AsyncAvroSerializer` and `AsyncAvroDeserializer`: the same for asyncio; only the registry is waited for.

Made with or without `await`, as confluent-kafka's are made with it.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from confluent_kafka.schema_registry import AsyncSchemaRegistryClient, Schema
from confluent_kafka.schema_registry._async.serde import AsyncBaseDeserializer, AsyncBaseSerializer
from confluent_kafka.serialization import SerializationContext

from moldau.client.serdes import reading, writing
from moldau.client.serdes.plans import Wish, run_async
from moldau.client.serdes.reading import FromDict, Reading
from moldau.client.serdes.writing import ToDict, Writing


class AsyncAvroSerializer(Writing, AsyncBaseSerializer):
    """`AvroSerializer` whose calls are awaited."""

    def __init__(
        self,
        schema_registry_client: AsyncSchemaRegistryClient,
        schema_str: str | Schema | None = None,
        to_dict: ToDict | None = None,
        conf: Mapping[str, Any] | None = None,
        rule_conf: dict[str, Any] | None = None,
        rule_registry: Any = None,
    ) -> None:
        super().__init__()
        given = (schema_registry_client, schema_str, to_dict, conf, rule_conf, rule_registry)
        self._configure(given, schema_str, to_dict, conf)

    def __await__(self) -> Generator[Any, None, AsyncAvroSerializer]:
        yield from ()
        return self

    async def __call__(  # type: ignore[override]  # their base class is that of the calls that block
        self, obj: Any, ctx: SerializationContext | None = None
    ) -> bytes | None:
        """The bytes of a value; None for None. Raises what `AvroSerializer` raises."""
        if obj is None:
            return None
        plan = self._plans.get(writing.place_of(ctx))
        if plan is None:
            plan = await run_async(self._planned(ctx))
        if plan.theirs:
            if self._theirs is None:
                from confluent_kafka.schema_registry._async.avro import AsyncAvroSerializer as Theirs

                self._theirs = await Theirs(*self._given)
            written: bytes = await self._theirs(obj, ctx)
            return written
        return self._written(plan, obj, ctx)


class AsyncAvroDeserializer(Reading, AsyncBaseDeserializer):  # type: ignore[misc]  # the base says more of its attributes
    """`AvroDeserializer` whose calls are awaited."""

    def __init__(
        self,
        schema_registry_client: AsyncSchemaRegistryClient,
        schema_str: str | Schema | None = None,
        from_dict: FromDict | None = None,
        return_record_name: bool = False,
        conf: Mapping[str, Any] | None = None,
        rule_conf: dict[str, Any] | None = None,
        rule_registry: Any = None,
        *,
        into: type | None = None,
    ) -> None:
        super().__init__()
        given = (schema_registry_client, schema_str, from_dict, return_record_name, conf, rule_conf, rule_registry)
        self._configure(given, schema_str, from_dict, conf, Wish(into, return_record_name))

    def __await__(self) -> Generator[Any, None, AsyncAvroDeserializer]:
        yield from ()
        return self

    async def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> Any:
        """The value; None for None. Raises what `AvroDeserializer` raises."""
        if value is None:
            return None
        stated, data, start = self._unframed(value, ctx)
        plan = None if self._asks_every_time else self._plans.get(reading.place_of(stated, ctx))
        if plan is None:
            plan = await run_async(self._planned(stated, ctx))
        if plan.theirs:
            if self._theirs is None:
                from confluent_kafka.schema_registry._async.avro import AsyncAvroDeserializer as Theirs

                self._theirs = await Theirs(*self._given)
            return await self._theirs(value, ctx)
        return self._read(plan, data, start, ctx)
