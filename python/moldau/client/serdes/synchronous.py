"""`AvroSerializer` and `AvroDeserializer`: confluent-kafka's, several times as fast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.serde import BaseDeserializer, BaseSerializer
from confluent_kafka.serialization import SerializationContext

from moldau.client.serdes import reading, writing
from moldau.client.serdes.plans import Wish, run
from moldau.client.serdes.reading import FromDict, Reading
from moldau.client.serdes.writing import ToDict, Writing


class AvroSerializer(Writing, BaseSerializer):
    """Writes values as Avro, with the id of their schema in front, as confluent-kafka's `AvroSerializer` does.

    A record may be a dict, any other mapping, a dataclass or a msgspec Struct; an enum a string or a member of an Enum.

    Args:
        schema_registry_client: confluent-kafka's client of the registry.
        schema_str: the schema as text, or as a `Schema` with references; None with `use.latest.version` and the like.
        to_dict: makes a dict of each value, for what is none of the above.
        conf: confluent-kafka's settings of an AvroSerializer.
        rule_conf: for rules of a schema, which confluent-kafka's serializer carries out.
        rule_registry: as above.

    Raises:
        ValueError: a setting is unknown or has a value that it cannot have.
    """

    def __init__(
        self,
        schema_registry_client: SchemaRegistryClient,
        schema_str: str | Schema | None = None,
        to_dict: ToDict | None = None,
        conf: Mapping[str, Any] | None = None,
        rule_conf: dict[str, Any] | None = None,
        rule_registry: Any = None,
    ) -> None:
        super().__init__()
        given = (schema_registry_client, schema_str, to_dict, conf, rule_conf, rule_registry)
        self._configure(given, schema_str, to_dict, conf)
        if self._always_theirs:
            self._their_serializer()

    def __call__(self, obj: Any, ctx: SerializationContext | None = None) -> bytes | None:
        """The bytes of a value, for the topic and the field that `ctx` names; None for None.

        Raises:
            AvroError: the value is none of the schema's (a ValueError).
            SchemaRegistryError: the registry refused the schema.
        """
        if obj is None:
            return None
        plan = self._plans.get(writing.place_of(ctx)) or run(self._planned(ctx))
        if plan.theirs:
            written: bytes = self._their_serializer()(obj, ctx)
            return written
        return self._written(plan, obj, ctx)

    def _their_serializer(self) -> Any:
        if self._theirs is None:
            from confluent_kafka.schema_registry.avro import AvroSerializer as Theirs

            self._theirs = Theirs(*self._given)
        return self._theirs


class AvroDeserializer(Reading, BaseDeserializer):  # type: ignore[misc]  # the base says more of its attributes
    """Reads what an AvroSerializer wrote, as confluent-kafka's `AvroDeserializer` does.

    Args:
        schema_registry_client: confluent-kafka's client of the registry.
        schema_str: the schema as which to see the values; the one that wrote them without it.
        from_dict: makes something else of each dict.
        return_record_name: give a record that is a union's branch as a pair of its name and itself.
        conf: confluent-kafka's settings of an AvroDeserializer.
        rule_conf: for rules of a schema, which confluent-kafka's deserializer carries out.
        rule_registry: as above.
        into: a dataclass or a msgspec Struct to make of each record, and of records inside of it by its annotations.

    Raises:
        ValueError: a setting is unknown or has a value that it cannot have.
    """

    def __init__(
        self,
        schema_registry_client: SchemaRegistryClient,
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

    def __call__(self, value: bytes | None, ctx: SerializationContext | None = None) -> Any:
        """The value; None for None.

        Raises:
            SerializationError: nothing says which schema wrote it.
            AvroError: the bytes are no value of that schema, or the reader's cannot see it (a ValueError).
            SchemaRegistryError: the registry does not know the schema.
        """
        if value is None:
            return None
        stated, data, start = self._unframed(value, ctx)
        plan = None if self._asks_every_time else self._plans.get(reading.place_of(stated, ctx))
        if plan is None:
            plan = run(self._planned(stated, ctx))
        if plan.theirs:
            return self._their_deserializer()(value, ctx)
        return self._read(plan, data, start, ctx)

    def _their_deserializer(self) -> Any:
        if self._theirs is None:
            from confluent_kafka.schema_registry.avro import AvroDeserializer as Theirs

            self._theirs = Theirs(*self._given)
        return self._theirs
