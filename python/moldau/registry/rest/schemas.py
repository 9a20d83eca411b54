"""/schemas: by id, by GUID, all of them."""

from __future__ import annotations

from typing import Any

from moldau.registry.data_contract import rule_types
from moldau.registry.errors import invalid_request, schema_not_found
from moldau.registry.languages import LANGUAGES
from moldau.registry.names import context_of
from moldau.registry.queries import find_by_id, ids_of_guid, schema_json, version_json, versions_with_id
from moldau.registry.records import SchemaValue
from moldau.registry.rest.call import VERSION_MAX, Call
from moldau.registry.rest.subjects import RawText


async def list_schemas(call: Call) -> Any:
    """All versions of all subjects."""
    state, deleted = call.registry.state, call.flag("deleted")
    rule_type = call.text("ruleType")
    found: list[dict[str, Any]] = []
    for subject in state.subjects(call.text("subjectPrefix", ":*:"), deleted=deleted):
        values = state.versions(subject, deleted=deleted)
        for value in values[-1:] if call.flag("latestOnly") else values:
            if rule_type and rule_type not in rule_types(value.schema.rule_set):
                continue
            aliases = state.aliases_of(subject) if call.flag("aliases") else []
            more = {"aliases": aliases} if aliases else {}
            found.append({**version_json(value, call.registry.parser), **more})
    return call.page(found)


async def list_types(call: Call) -> Any:
    """The languages of schemas."""
    return list(LANGUAGES)


def _id(call: Call) -> int:
    given = call.path["id"]
    if not given.isascii() or not given.isdecimal() or int(given[:12]) > VERSION_MAX:
        raise invalid_request(f"an id is a number, not {given!r}")
    return int(given)


def _by_id(call: Call) -> SchemaValue:
    return find_by_id(call.registry.state, _id(call), call.text("subject"))


async def get_schema(call: Call) -> Any:
    """The schema with an id."""
    value = _by_id(call)
    qualified = call.text("referenceFormat") == "qualified"
    body = schema_json(value, call.registry.parser, call.text("format"), qualified=qualified)
    if call.flag("fetchMaxId"):
        body["maxId"] = call.registry.state.max_ids[context_of(value.subject)]
    place = {"subject": value.subject, "version": value.version} if call.text("subject") else {}
    return {**place, **body}


async def get_schema_text(call: Call) -> Any:
    """The schema with an id, alone, as it was written."""
    return RawText(schema_json(_by_id(call), call.registry.parser, call.text("format"))["schema"])


async def list_subjects_of_id(call: Call) -> Any:
    """The subjects that have the schema with an id."""
    return call.page(sorted({value.subject for value in _users(call)}))


async def list_versions_of_id(call: Call) -> Any:
    """The versions that are the schema with an id."""
    return call.page([{"subject": value.subject, "version": value.version} for value in _users(call)])


def _users(call: Call) -> list[SchemaValue]:
    return versions_with_id(call.registry.state, _id(call), call.text("subject"), deleted=call.flag("deleted"))


async def get_by_guid(call: Call) -> Any:
    """The schema with a GUID, which is the same in every registry."""
    state, guid = call.registry.state, call.path["guid"]
    ids = ids_of_guid(state, guid)
    if not ids:
        raise schema_not_found(guid)
    context, schema_id = ids[0]
    return schema_json(state.by_id(context, schema_id)[0], call.registry.parser, call.text("format"))


async def list_ids_of_guid(call: Call) -> Any:
    """The ids of a schema, by context."""
    return [{"context": context, "id": each} for context, each in ids_of_guid(call.registry.state, call.path["guid"])]
