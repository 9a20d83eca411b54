"""The deserializer without its client: settings, the plan per schema, and when confluent-kafka's own has to do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, dual_schema_id_deserializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import SerializationContext

from moldau.client.serdes.framing import unframed
from moldau.client.serdes.plans import Steps, Wish, decoding, name_of, schema_from, take
from moldau.client.serdes.subjects import SUBJECT_SETTINGS, NamesSubjects

SETTINGS: Final[Mapping[str, Any]] = {
    **SUBJECT_SETTINGS,
    "schema.id.deserializer": dual_schema_id_deserializer,
}
FromDict = Callable[[Any, SerializationContext], Any]


@dataclass(frozen=True, slots=True)
class ReadPlan:
    """How values of one schema are read."""

    decode: Callable[..., Any]
    theirs: bool
    """A schema has rules, which confluent-kafka's deserializer carries out."""


class Reading(NamesSubjects):
    """What both deserializers are made of, beside the base class of confluent-kafka, which names the subject."""

    _get_migrations: Any

    def _configure(
        self,
        given: tuple[Any, ...],
        schema: str | Schema | None,
        from_dict: FromDict | None,
        conf: Mapping[str, Any] | None,
        wish: Wish,
    ) -> None:
        settings = take(conf, SETTINGS)
        self._configure_subjects(given, settings)
        self._schema = schema_from(schema)
        self._use_schema_id = None
        self._schema_id_deserializer = settings["schema.id.deserializer"]
        if not callable(self._schema_id_deserializer):
            raise ValueError("schema.id.deserializer must be callable")  # noqa: TRY004 (as theirs does)
        if from_dict is not None and not callable(from_dict):
            raise ValueError("from_dict must be callable with the signature from_dict(SerializationContext, dict)")
        if not isinstance(wish.return_record_name, bool):
            raise ValueError("return_record_name must be a boolean value")  # noqa: TRY004 (as theirs does)
        self._from_dict = from_dict
        self._wish = wish
        self._plans: dict[Any, ReadPlan] = {}

    def _unframed(self, data: bytes, ctx: SerializationContext | None) -> tuple[int | str, bytes, int]:
        """Which schema wrote it, and where its payload is: in which bytes, and from which of them on."""
        if self._schema_id_deserializer is dual_schema_id_deserializer:
            stated, start = unframed(data, ctx)
            return stated, data, start
        schema_id = SchemaId("AVRO")
        payload = self._schema_id_deserializer(data, ctx, schema_id)
        rest = payload if isinstance(payload, bytes) else payload.read()
        return schema_id.id if schema_id.id is not None else str(schema_id.guid), rest, 0

    def _planned(self, stated: int | str, ctx: SerializationContext | None) -> Steps[ReadPlan]:
        """The plan for values that the schema of this id, or of this GUID, wrote."""
        subject = None if ctx is None else (yield from self._subject(ctx, None))
        if isinstance(stated, int):
            writer = yield lambda: self._registry.get_schema(stated, subject)
        else:
            writer = yield lambda: self._registry.get_schema_by_guid(stated)
        if subject is None and ctx is not None:
            subject = yield from self._subject(ctx, name_of(str(writer.schema_str)))
        latest = None
        if subject is not None and self._asks_every_time:
            latest = yield lambda: self._get_reader_schema(subject)
        place = place_of(stated, ctx) if latest is None else (stated, subject, latest.schema_id)
        plan = self._plans.get(place)
        if plan is None:
            theirs = writer.rule_set is not None
            if latest is not None:
                migrations = yield lambda: self._get_migrations(subject, writer, latest, None)
                theirs = theirs or bool(migrations) or latest.schema.rule_set is not None
            reader = latest.schema if latest is not None else self._schema
            decode = yield from decoding(self._registry, writer, reader, self._wish)
            plan = self._plans[place] = ReadPlan(decode, theirs)
        return plan

    def _read(self, plan: ReadPlan, data: bytes, start: int, ctx: SerializationContext | None) -> Any:
        value = plan.decode(data, start)
        if self._from_dict is None:
            return value
        if ctx is None:
            raise TypeError("SerializationContext cannot be None")
        return self._from_dict(value, ctx)


def place_of(stated: int | str, ctx: SerializationContext | None) -> Any:
    """Under which a plan is kept: an id has its meaning in the context of its subject."""
    return (stated, None, None) if ctx is None else (stated, ctx.topic, ctx.field)
