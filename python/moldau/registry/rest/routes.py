"""Every endpoint, once: the dispatcher and the reference page read it here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from moldau.registry.rest import schemas, server, settings, subjects
from moldau.registry.rest.call import Call

Handler = Callable[[Call], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """`{name}` in the path is one segment, decoded. `query` are the parameters that have an effect."""

    method: str
    path: str
    handle: Handler
    query: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """What it is for."""
        return (self.handle.__doc__ or "").strip()


PAGE: Final = ("offset", "limit")

ROUTES: Final = (
    Route("GET", "/", server.root),
    Route("POST", "/", server.root),
    Route(
        "GET",
        "/schemas",
        schemas.list_schemas,
        ("subjectPrefix", "aliases", "deleted", "latestOnly", "ruleType", *PAGE),
    ),
    Route("GET", "/schemas/types", schemas.list_types),
    Route("GET", "/schemas/ids/{id}", schemas.get_schema, ("subject", "format", "referenceFormat", "fetchMaxId")),
    Route("GET", "/schemas/ids/{id}/schema", schemas.get_schema_text, ("subject", "format")),
    Route("GET", "/schemas/ids/{id}/subjects", schemas.list_subjects_of_id, ("subject", "deleted", *PAGE)),
    Route("GET", "/schemas/ids/{id}/versions", schemas.list_versions_of_id, ("subject", "deleted", *PAGE)),
    Route("GET", "/schemas/guids/{guid}", schemas.get_by_guid, ("format",)),
    Route("GET", "/schemas/guids/{guid}/ids", schemas.list_ids_of_guid),
    Route("GET", "/subjects", subjects.list_subjects, ("subjectPrefix", "deleted", "deletedOnly", *PAGE)),
    Route("POST", "/subjects/{subject}", subjects.look_up, ("normalize", "format", "deleted")),
    Route("DELETE", "/subjects/{subject}", subjects.delete_subject, ("permanent",)),
    Route(
        "GET",
        "/subjects/{subject}/versions",
        subjects.list_versions,
        ("deleted", "deletedOnly", "deletedAsNegative", *PAGE),
    ),
    Route("POST", "/subjects/{subject}/versions", subjects.register, ("normalize", "format", "force")),
    Route(
        "GET",
        "/subjects/{subject}/versions/{version}",
        subjects.get_version,
        ("format", "referenceFormat", "deleted"),
    ),
    Route("DELETE", "/subjects/{subject}/versions/{version}", subjects.delete_version, ("permanent",)),
    Route("GET", "/subjects/{subject}/versions/{version}/schema", subjects.get_version_schema, ("format", "deleted")),
    Route("GET", "/subjects/{subject}/versions/{version}/referencedby", subjects.referenced_by, ("deleted", *PAGE)),
    Route(
        "GET",
        "/subjects/{subject}/metadata",
        subjects.get_latest_with_metadata,
        ("key", "value", "format", "deleted"),
    ),
    Route(
        "POST",
        "/compatibility/subjects/{subject}/versions/{version}",
        subjects.check_against_version,
        ("normalize", "verbose"),
    ),
    Route("POST", "/compatibility/subjects/{subject}/versions", subjects.check_against_all, ("normalize", "verbose")),
    Route("GET", "/config", settings.get_config, ("defaultToGlobal",)),
    Route("PUT", "/config", settings.set_config),
    Route("DELETE", "/config", settings.delete_config),
    Route("GET", "/config/{subject}", settings.get_config, ("defaultToGlobal",)),
    Route("PUT", "/config/{subject}", settings.set_config),
    Route("DELETE", "/config/{subject}", settings.delete_config),
    Route("GET", "/mode", settings.get_mode, ("defaultToGlobal",)),
    Route("PUT", "/mode", settings.set_mode, ("force",)),
    Route("DELETE", "/mode", settings.delete_mode, ("recursive",)),
    Route("GET", "/mode/{subject}", settings.get_mode, ("defaultToGlobal",)),
    Route("PUT", "/mode/{subject}", settings.set_mode, ("force",)),
    Route("DELETE", "/mode/{subject}", settings.delete_mode, ("recursive",)),
    Route("GET", "/contexts", settings.list_contexts, ("contextPrefix", *PAGE)),
    Route("DELETE", "/contexts/{context}", settings.delete_context),
    Route("GET", "/v1/metadata/id", server.get_id),
    Route("GET", "/v1/metadata/version", server.get_version),
    Route("GET", "/v1/metadata/deployment", server.get_deployment),
    Route("GET", "/associations/subjects/{subject}", server.no_association),
    Route("GET", "/associations/resources/{resource}", server.no_association),
    Route("GET", "/associations/resources/{namespace}/{resource}", server.no_association),
    Route("PUT", "/associations/resources/{resource}", server.no_association),
    Route("DELETE", "/associations/resources/{resource}", server.no_association),
    Route("POST", "/associations", server.no_association),
    Route("PUT", "/associations", server.no_association),
    *(Route("POST", f"/associations:{verb}", server.no_association) for verb in ("batch", "batchGet", "batchMutate")),
)
