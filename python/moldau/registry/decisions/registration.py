"""Registering a schema, looking one up, and asking whether one could be registered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from moldau.registry.compat.levels import Conflict, Level, Version, conflicts
from moldau.registry.data_contract import merge_metadata, merge_rule_sets, with_version
from moldau.registry.decisions import Decision
from moldau.registry.decisions.modes import IMPORTING, check_can_register
from moldau.registry.errors import IncompatibleError, id_does_not_match, invalid_schema, not_permitted
from moldau.registry.languages import ParsedSchema, Policy, SchemaError
from moldau.registry.names import DEFAULT_CONTEXT, context_of
from moldau.registry.parsing import Parser, language_of
from moldau.registry.records import TENANT, ContextKey, Record, SchemaKey, SchemaValue
from moldau.registry.schema import CONFLUENT_VERSION, Schema, properties_of
from moldau.registry.state import RegistryState

LATEST: Final = -1
DIGEST_BYTES: Final = 16
MEANINGS_MAX: Final = 100_000


@dataclass(frozen=True, slots=True)
class Registration:
    """A schema that somebody brings. `version` 0: the next one; `id` None: one is given."""

    subject: str
    schema: Schema
    version: int = 0
    id: int | None = None
    normalize: bool = False
    force: bool = False


class Registrar:
    """Decides about schemas of one registry."""

    def __init__(self, state: RegistryState, parser: Parser) -> None:
        self._state = state
        self._parser = parser
        self._meanings: dict[tuple[str, bytes], bytes] = {}
        """What texts without references say, by language and text, all as digests: a version is parsed once, not at
        every registration in its subject."""

    def register(self, request: Registration) -> Decision[SchemaValue]:
        """The version that the schema has, or will have."""
        subject, state = request.subject, self._state
        check_can_register(state, subject, request.id)
        importing = state.mode_in_scope(subject) in IMPORTING
        if not importing:
            request = replace(request, schema=self._filled_up(request))
        parsed, schema = self._canonical(request, strict=request.id is None, normalize=not importing)
        if request.version == 0:
            found = self._find(request, parsed, schema, deleted=False)
            if found is not None and request.id in (None, found.id):
                return Decision((), found)
        if not importing and not request.force:
            messages = self.messages(subject, schema, parsed, state.versions(subject))
            if messages:
                raise IncompatibleError(subject, messages)
        return self._new_version(request, schema, importing=importing)

    def find_registered(self, request: Registration) -> SchemaValue | None:
        """The version that has the schema, if it takes no decision to know; cheaper than `register`."""
        if request.version != 0 or request.id is not None or not request.schema.text.strip():
            return None
        config = self._state.config_in_scope(request.subject)
        if any(key in config for key in ("defaultMetadata", "overrideMetadata", "defaultRuleSet", "overrideRuleSet")):
            return None
        return self.look_up(request, deleted=False)

    def look_up(self, request: Registration, *, deleted: bool) -> SchemaValue | None:
        """The version of the subject that has the schema."""
        if not request.schema.text.strip():
            return None
        parsed, schema = self._canonical(request, strict=False, normalize=True)
        found = self._find(request, parsed, schema, deleted=deleted)
        if found is None and self._state.latest(request.subject) is not None:
            # As if it were registered: with what the version before it says about itself.
            filled = replace(schema, **self._contract(request, version=None))
            if filled != schema:
                found = self._find(request, parsed, filled, deleted=deleted)
        return found

    def messages(
        self, subject: str, schema: Schema, parsed: ParsedSchema, versions: Sequence[SchemaValue]
    ) -> list[str]:
        """Why the schema does not go with these versions, under the subject's config; empty if it does."""
        config = self._state.config_in_scope(subject)
        level = Level(config["compatibilityLevel"])
        if level is Level.NONE:
            return []
        found = self._conflicts(level, config, schema, parsed, versions)
        return [message for conflict in found for message in self._told(conflict, level)]

    def check(self, request: Registration, versions: Sequence[SchemaValue]) -> list[str]:
        """As `messages`, for a schema that somebody only asks about. Raises RegistryError if it is none."""
        if not request.schema.text.strip():
            raise invalid_schema("it is empty")
        parsed, schema = self._canonical(request, strict=True, normalize=True)
        return self.messages(request.subject, schema, parsed, versions)

    def _conflicts(
        self,
        level: Level,
        config: Mapping[str, Any],
        schema: Schema,
        parsed: ParsedSchema,
        versions: Sequence[SchemaValue],
    ) -> list[Conflict]:
        group = config.get("compatibilityGroup")
        if group is not None:
            mine = properties_of(schema.metadata).get(group)
            versions = [each for each in versions if properties_of(each.schema.metadata).get(group) == mine]
        compared = versions if level.transitive else versions[-1:]
        earlier = [
            Version(value.version, language_of(value.schema), self._parser.parse_value(value)) for value in compared
        ]
        policy = Policy(config.get("compatibilityPolicy", Policy.STRICT.value))
        try:
            return conflicts(level, language_of(schema), parsed, earlier, policy)
        except SchemaError as error:
            raise invalid_schema(str(error)) from error

    @staticmethod
    def _told(conflict: Conflict, level: Level) -> list[str]:
        version = conflict.version
        sides = f"the new schema cannot read data of version {version.number}"
        if not conflict.new_reads:
            sides = f"readers with version {version.number} cannot read data of the new schema"
        told = [
            f"{{errorType:'{reason.rule}', description:'{sides}: {reason.message} (path '{reason.path}')', "
            f"additionalInfo:'{reason.facts}'}}"
            for reason in conflict.reasons
        ]
        return [
            *told,
            f"{{oldSchemaVersion: {version.number}}}",
            f"{{oldSchema: '{version.schema.canonical()}'}}",
            f"{{compatibility: '{level.value}'}}",
        ]

    # What is stored.

    def _canonical(self, request: Registration, *, strict: bool, normalize: bool) -> tuple[ParsedSchema, Schema]:
        """The schema as it will be stored. Raises RegistryError (42201)."""
        subject, schema = request.subject, request.schema
        config = self._state.config_in_scope(subject)
        strict = strict and config.get("validateNewSchemas", True)
        references = self._parser.pinned(subject, schema.references)
        parsed = self._parser.parse(subject, replace(schema, references=references), strict=strict)
        if normalize and (request.normalize or config.get("normalize", False)):
            parsed = parsed.normalized()
            references = tuple(sorted(set(references), key=lambda each: (each.subject, each.version, each.name)))
        return parsed, replace(schema, text=parsed.canonical(), references=references)

    def _filled_up(self, request: Registration) -> Schema:
        """With what the config and the version before it add: metadata, rules, or the whole text."""
        schema, subject = request.schema, request.subject
        if not schema.text.strip():
            latest = self._state.latest(subject)
            if latest is None:
                raise invalid_schema("it is empty")
            before = latest.schema
            schema = replace(schema, text=before.text, language=before.language, references=before.references)
        return replace(schema, **self._contract(request, version=self._state.next_version(subject)))

    def _contract(self, request: Registration, version: int | None) -> dict[str, Any]:
        config = self._state.config_in_scope(request.subject)
        latest = self._state.latest(request.subject)
        metadata, rule_set = request.schema.metadata, request.schema.rule_set
        if latest is not None:
            metadata = latest.schema.metadata if metadata is None else metadata
            rule_set = latest.schema.rule_set if rule_set is None else rule_set
        metadata = merge_metadata(
            merge_metadata(config.get("defaultMetadata"), metadata), config.get("overrideMetadata")
        )
        rule_set = merge_rule_sets(
            merge_rule_sets(config.get("defaultRuleSet"), rule_set), config.get("overrideRuleSet")
        )
        if version is not None and (request.version != 0 or CONFLUENT_VERSION in properties_of(metadata)):
            metadata = with_version(metadata, version)
        return {"metadata": metadata, "rule_set": rule_set}

    def _find(
        self, request: Registration, parsed: ParsedSchema, schema: Schema, *, deleted: bool
    ) -> SchemaValue | None:
        md5 = schema.md5()
        versions = self._state.versions(request.subject, deleted=deleted)
        for value in reversed(versions):
            if value.md5 == md5:
                return value
        meaning = _digest(parsed.meaning()) if versions else b""
        for value in reversed(versions):
            if self._is_same(request.subject, meaning, schema, value):
                return value
        return None

    def _is_same(self, subject: str, meaning: bytes, schema: Schema, value: SchemaValue) -> bool:
        """A schema is the same if it says the same, with the references written out or not."""
        theirs = value.schema
        if schema.language != theirs.language or schema.rule_set != theirs.rule_set:
            return False
        if meaning != self._meaning_of(value) or _without_version(schema) != _without_version(theirs):
            return False
        return not schema.references or schema.references == self._parser.pinned(subject, theirs.references)

    def _meaning_of(self, value: SchemaValue) -> bytes:
        if value.schema.references:
            return _digest(self._parser.parse_value(value).meaning())
        key = value.schema.language, _digest(value.schema.text)
        found = self._meanings.get(key)
        if found is None:
            if len(self._meanings) >= MEANINGS_MAX:
                self._meanings.clear()
            found = self._meanings[key] = _digest(self._parser.parse_value(value).meaning())
        return found

    def _new_version(self, request: Registration, schema: Schema, *, importing: bool) -> Decision[SchemaValue]:
        state, subject = self._state, request.subject
        version = state.next_version(subject)
        if request.version > 0 and request.version != version:
            if not importing:
                raise invalid_schema(f"its version is {request.version}, and the next one of {subject} is {version}")
            version = request.version
        md5 = schema.md5()
        context = context_of(subject)
        known = state.id_of(context, md5)
        schema_id = request.id if request.id is not None else known if known is not None else state.next_id(context)
        if request.id is not None:
            self._check_imported_id(context, schema, request.id, known)
        value = SchemaValue(subject, version, schema_id, schema, md5)
        records = [*self._context_record(context), *self._superseded(value), Record(SchemaKey(subject, version), value)]
        return Decision(tuple(records), value)

    def _check_imported_id(self, context: str, schema: Schema, schema_id: int, known: int | None) -> None:
        if any(value.schema != schema for value in self._state.by_id(context, schema_id)):
            raise not_permitted(f"Overwrite new schema with id {schema_id} in context {context} is not permitted.")
        if known is not None and known != schema_id:
            raise id_does_not_match(schema_id, known)

    def _context_record(self, context: str) -> list[Record]:
        if context == DEFAULT_CONTEXT or context in self._state.contexts:
            return []
        return [Record(ContextKey(context), {"tenant": TENANT, "context": context})]

    def _superseded(self, value: SchemaValue) -> list[Record]:
        """Softly deleted versions of the same schema give way to the new one, unless something refers to them."""
        keys = [
            SchemaKey(each.subject, each.version)
            for each in self._state.versions(value.subject, deleted=True)
            if each.deleted and each.id == value.id and each.version < value.version
        ]
        return [Record(key, None) for key in keys if not self._state.referrers(key, deleted=True)]


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=DIGEST_BYTES).digest()


def _without_version(schema: Schema) -> dict[str, Any]:
    metadata = dict(schema.metadata or {})
    properties = {key: each for key, each in properties_of(schema.metadata).items() if key != CONFLUENT_VERSION}
    return {key: each for key, each in {**metadata, "properties": properties}.items() if each}
