"""/subjects and /compatibility: registering, looking up, comparing, deleting."""

from __future__ import annotations

from typing import Any

from moldau.registry.decisions import deletions
from moldau.registry.decisions.registration import Registration
from moldau.registry.errors import RegistryError, schema_not_found, subject_not_found
from moldau.registry.parsing import language_of
from moldau.registry.queries import find_version, latest_with_metadata, schema_json, version_json
from moldau.registry.records import SchemaKey, SchemaValue
from moldau.registry.rest.call import Call


async def list_subjects(call: Call) -> Any:
    """The names of all subjects."""
    found = call.registry.state.subjects(
        call.text("subjectPrefix", ":*:"), deleted=call.flag("deleted"), deleted_only=call.flag("deletedOnly")
    )
    return call.page(found)


async def look_up(call: Call) -> Any:
    """Whether a schema is registered under a subject, and as what version."""
    request, deleted = call.registration(), call.flag("deleted")
    state = call.registry.state
    if not state.has_subject(request.subject, deleted=deleted):
        raise subject_not_found(request.subject)
    found = call.registry.registrar.look_up(request, deleted=deleted)
    if found is None:
        raise schema_not_found()
    return version_json(found, call.registry.parser, _answered_format(call, request))


def _answered_format(call: Call, request: Registration) -> str:
    """The format that was asked for, or that in which the schema came."""
    return call.text("format") or language_of(request.schema).format_of(request.schema.text)


async def delete_subject(call: Call) -> Any:
    """Delete all versions, softly or permanently."""
    subject, permanent = call.subject(), call.flag("permanent")
    return await call.write(lambda: deletions.delete_subject(call.registry.state, subject, permanent=permanent))


async def list_versions(call: Call) -> Any:
    """The numbers of a subject's versions."""
    state, subject = call.registry.state, call.subject()
    only, negative = call.flag("deletedOnly"), call.flag("deletedAsNegative")
    deleted = call.flag("deleted") or only or negative
    if not state.has_subject(subject, deleted=call.flag("deleted") or only):
        raise subject_not_found(subject)
    values = [value for value in state.versions(subject, deleted=deleted) if value.deleted or not only]
    return call.page([-value.version if negative and value.deleted else value.version for value in values])


async def register(call: Call) -> Any:
    """Register a schema."""
    request, registrar = call.registration(), call.registry.registrar
    value = registrar.find_registered(request)
    if value is None:
        value = await call.write(lambda: registrar.register(request))
    body = schema_json(value, call.registry.parser, _answered_format(call, request))
    return {"id": value.id, "version": value.version, **body}


def _version(call: Call) -> SchemaValue:
    return find_version(call.registry.state, call.subject(), call.version(), deleted=call.flag("deleted"))


async def get_version(call: Call) -> Any:
    """One version of a subject."""
    qualified = call.text("referenceFormat") == "qualified"
    return version_json(_version(call), call.registry.parser, call.text("format"), qualified=qualified)


async def get_version_schema(call: Call) -> Any:
    """The schema alone, as it was written."""
    return RawText(schema_json(_version(call), call.registry.parser, call.text("format"))["schema"])


class RawText(str):
    """A text that is answered as it is, and not as a JSON string."""

    __slots__ = ()


async def referenced_by(call: Call) -> Any:
    """The ids of the schemas that refer to a version."""
    state = call.registry.state
    value = find_version(state, call.subject(), call.version(), deleted=True)
    users = state.referrers(SchemaKey(value.subject, value.version), deleted=call.flag("deleted"))
    return call.page(sorted({user.id for user in users}))


async def delete_version(call: Call) -> Any:
    """Delete one version, softly or permanently."""
    state, subject, version, permanent = call.registry.state, call.subject(), call.version(), call.flag("permanent")
    return await call.write(lambda: deletions.delete_version(state, subject, version, permanent=permanent))


async def get_latest_with_metadata(call: Call) -> Any:
    """The newest version whose metadata has the properties asked for."""
    wanted = dict(zip(call.texts("key"), call.texts("value"), strict=False))
    value = latest_with_metadata(call.registry.state, call.subject(), wanted, deleted=call.flag("deleted"))
    return version_json(value, call.registry.parser, call.text("format"))


async def check_against_version(call: Call) -> Any:
    """Whether a schema goes with one version."""
    version, state = call.version(), call.registry.state
    if version is None:
        latest = state.latest(call.subject())
        return _verdict(call, [] if latest is None else [latest])
    return _verdict(call, [find_version(state, call.subject(), version)])


async def check_against_all(call: Call) -> Any:
    """Whether a schema could be registered, by the subject's compatibility level."""
    return _verdict(call, call.registry.state.versions(call.subject()))


def _verdict(call: Call, versions: list[SchemaValue]) -> dict[str, Any]:
    verbose = call.flag("verbose")
    try:
        messages = call.registry.registrar.check(call.registration(), versions)
    except RegistryError as error:
        if not verbose or error.code != 42201:
            raise
        messages = [error.message]
    return {"is_compatible": not messages, **({"messages": messages} if verbose else {})}
