"""The serializer without its client: settings, the plan per topic, and when confluent-kafka's own has to do it.

A plan is made at the first value of a topic: the subject is named, the schema registered or looked up, and compiled.
From then on a value costs a dictionary look-up and the compiled program. With `use.latest.version` the registry's
client is asked for every value, as confluent-kafka's serializer does; it keeps the answer for as long as it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka.schema_registry import Schema, prefix_schema_id_serializer
from confluent_kafka.schema_registry.serde import SchemaId
from confluent_kafka.serialization import SerializationContext, SerializationError

from moldau.client.serdes.framing import prefix_of
from moldau.client.serdes.plans import Steps, encoding, name_of, schema_from, take
from moldau.client.serdes.subjects import SUBJECT_SETTINGS, NamesSubjects

SETTINGS: Final[Mapping[str, Any]] = {
    "auto.register.schemas": True,
    "normalize.schemas": False,
    "use.schema.id": None,
    **SUBJECT_SETTINGS,
    "schema.id.serializer": prefix_schema_id_serializer,
    "validate.strict": False,
    "validate.strict.allow.default": False,
    "validation.rules.execution": "DISABLED",
    "validation.rules.fail.fast": False,
    "validation.rules.executor": None,
}
ToDict = Callable[[Any, SerializationContext], Any]


@dataclass(frozen=True, slots=True)
class WritePlan:
    """How values of one schema are written."""

    encode: Callable[..., bytes]
    prefix: bytes
    """Empty where a serializer of the id puts it elsewhere."""
    schema_id: Any
    theirs: bool
    """The schema has rules, which confluent-kafka's serializer carries out."""


class Writing(NamesSubjects):
    """What both serializers are made of, beside the base class of confluent-kafka, which names the subject."""

    def _configure(
        self,
        given: tuple[Any, ...],
        schema: str | Schema | None,
        to_dict: ToDict | None,
        conf: Mapping[str, Any] | None,
    ) -> None:
        settings = take(conf, SETTINGS)
        self._configure_subjects(given, settings)
        self._schema = schema_from(schema)
        self._schema_name = name_of(str(self._schema.schema_str)) if self._schema is not None else None
        if to_dict is not None and not callable(to_dict):
            raise ValueError("to_dict must be callable with the signature to_dict(object, SerializationContext)->dict")
        self._to_dict = to_dict
        self._auto_register = settings["auto.register.schemas"]
        self._normalize_schemas = settings["normalize.schemas"]
        self._use_schema_id = settings["use.schema.id"]
        if self._use_schema_id is not None and not isinstance(self._use_schema_id, int):
            raise ValueError("use.schema.id must be an int value")
        if self._use_latest_version and self._auto_register:
            raise ValueError("cannot enable both use.latest.version and auto.register.schemas")
        self._schema_id_serializer = settings["schema.id.serializer"]
        if not callable(self._schema_id_serializer):
            raise ValueError("schema.id.serializer must be callable")  # noqa: TRY004 (as theirs does)
        # What is checked before a value is written, their serializer checks.
        checks = settings["validate.strict"] or settings["validate.strict.allow.default"]
        rules = getattr(settings["validation.rules.execution"], "value", settings["validation.rules.execution"])
        self._always_theirs = checks or rules != "DISABLED"
        self._plans: dict[Any, WritePlan] = {}
        self._compiled: dict[Any, Callable[..., bytes]] = {}

    def _planned(self, ctx: SerializationContext | None) -> Steps[WritePlan]:
        """The plan for values of a topic; kept, unless the latest version is to be asked for every time."""
        subject = yield from self._subject(ctx, self._schema_name)
        latest = None
        if subject and (self._asks_every_time or self._use_schema_id is not None):
            latest = yield lambda: self._get_reader_schema(subject)
        if latest is not None:
            registered, schema = latest, latest.schema
        else:
            schema = self._schema
            if schema is None:
                raise SerializationError("no schema was given, and none of the settings says which to use")
            registered = yield from self._registered(subject, schema)
        known = registered.schema_id, schema.schema_str
        encode = self._compiled.get(known)
        if encode is None:
            encode = self._compiled[known] = yield from encoding(self._registry, schema)
        prefixed = self._schema_id_serializer is prefix_schema_id_serializer
        plan = WritePlan(
            encode,
            prefix_of(registered.schema_id) if prefixed else b"",
            SchemaId("AVRO", registered.schema_id, registered.guid),
            theirs=self._always_theirs or schema.rule_set is not None,
        )
        if not self._asks_every_time:
            self._plans[place_of(ctx)] = plan
        return plan

    def _registered(self, subject: str | None, schema: Schema) -> Steps[Any]:
        if subject is None:
            raise SerializationError("the subject has no name, so the schema cannot be registered or looked up")
        ask = self._registry.register_schema_full_response if self._auto_register else self._registry.lookup_schema
        return (yield lambda: ask(subject, schema, normalize_schemas=self._normalize_schemas))

    def _written(self, plan: WritePlan, obj: Any, ctx: SerializationContext | None) -> bytes:
        if self._to_dict is not None:
            if ctx is None:
                raise TypeError("SerializationContext cannot be None")
            obj = self._to_dict(obj, ctx)
        content = plan.encode(obj, plan.prefix)
        if plan.prefix:
            return content
        framed: bytes = self._schema_id_serializer(content, ctx, plan.schema_id)
        return framed


def place_of(ctx: SerializationContext | None) -> Any:
    """Under which a plan is kept: the same topic and field are the same subject."""
    return None if ctx is None else (ctx.topic, ctx.field)
