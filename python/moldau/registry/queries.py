"""What is answered from the state alone, in the shapes of the REST interface."""

from __future__ import annotations

from typing import Any

from moldau.registry.errors import invalid_schema, schema_not_found, subject_not_found, version_not_found
from moldau.registry.languages import SchemaError
from moldau.registry.names import DEFAULT_CONTEXT, Subject, context_of, parse_subject, within
from moldau.registry.parsing import Parser
from moldau.registry.records import SchemaValue
from moldau.registry.schema import guid_of
from moldau.registry.state import RegistryState


def find_version(state: RegistryState, subject: str, version: int | None, *, deleted: bool = False) -> SchemaValue:
    """One version, the latest if None. Raises RegistryError (40401, 40402)."""
    value = state.latest(subject) if version is None else state.version(subject, version)
    if value is None or (value.deleted and not deleted):
        if not state.has_subject(subject, deleted=deleted):
            raise subject_not_found(subject)
        raise version_not_found("latest" if version is None else version)
    return value


def find_by_id(state: RegistryState, schema_id: int, subject: str = "") -> SchemaValue:
    """The schema with an id: of the subject if it has it, else in its context.

    A subject without a context is looked for in every context: a client knows the topic, not the context. Softly
    deleted schemas are found too, their data is still there. Raises RegistryError (40403).
    """
    wanted = parse_subject(subject)
    own = _versions_of(state, wanted, schema_id)
    if own:
        return own[0]
    if wanted.name and wanted.context == DEFAULT_CONTEXT:
        for context in sorted(state.contexts):
            found = _versions_of(state, Subject(context, wanted.name), schema_id)
            if found:
                return found[0]
    elif wanted.name:
        raise schema_not_found(schema_id)
    anywhere = state.by_id(wanted.context, schema_id)
    if not anywhere:
        raise schema_not_found(schema_id)
    return anywhere[0]


def _versions_of(state: RegistryState, subject: Subject, schema_id: int) -> list[SchemaValue]:
    values = state.by_id(subject.context, schema_id)
    return [value for value in values if not subject.name or value.subject == subject.written]


def versions_with_id(
    state: RegistryState, schema_id: int, subject: str = "", *, deleted: bool = False
) -> list[SchemaValue]:
    """Every version that has the id, in the context in which it is found. Raises RegistryError (40403)."""
    found = find_by_id(state, schema_id, subject)
    return [value for value in state.by_id(context_of(found.subject), schema_id) if deleted or not value.deleted]


def ids_of_guid(state: RegistryState, guid: str) -> list[tuple[str, int]]:
    """The contexts in which a schema is, and its id there."""
    try:
        md5 = bytes.fromhex(guid.replace("-", ""))
    except ValueError:
        return []
    contexts = [DEFAULT_CONTEXT, *sorted(state.contexts)]
    found = [(context, state.id_of(context, md5)) for context in contexts]
    return [(context, schema_id) for context, schema_id in found if schema_id is not None]


def latest_with_metadata(
    state: RegistryState, subject: str, properties: dict[str, str], *, deleted: bool
) -> SchemaValue:
    """The newest version whose metadata has these properties. Raises RegistryError (40401, 40403)."""
    for value in reversed(state.versions(subject, deleted=deleted)):
        theirs = (value.schema.metadata or {}).get("properties") or {}
        if properties.items() <= theirs.items():
            return value
    if not state.has_subject(subject, deleted=deleted):
        raise subject_not_found(subject)
    raise schema_not_found()


def schema_json(
    value: SchemaValue, parser: Parser, format_name: str = "", *, qualified: bool = False
) -> dict[str, Any]:
    """A schema without its place: what stands under an id. Raises RegistryError if it cannot be written so."""
    schema = value.schema
    text = schema.text
    if format_name:
        try:
            text = parser.parse_value(value).formatted(format_name)
        except SchemaError as error:
            raise invalid_schema(str(error)) from error
    references = [reference.to_json() for reference in schema.references]
    if qualified:
        for reference in references:
            reference["subject"] = within(value.subject, reference["subject"])
    body: dict[str, Any] = {"guid": guid_of(value.md5), "schemaType": schema.language, "schema": text}
    body |= {"references": references} if references else {}
    body |= {"metadata": schema.metadata} if schema.metadata is not None else {}
    body |= {"ruleSet": schema.rule_set} if schema.rule_set is not None else {}
    body |= {"ts": value.timestamp_ms} if value.timestamp_ms else {}
    return body | ({"deleted": True} if value.deleted else {})


def version_json(
    value: SchemaValue, parser: Parser, format_name: str = "", *, qualified: bool = False
) -> dict[str, Any]:
    """A version of a subject."""
    place = {"subject": value.subject, "version": value.version, "id": value.id}
    return {**place, **schema_json(value, parser, format_name, qualified=qualified)}
