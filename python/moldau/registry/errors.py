"""What the registry answers when it says no: HTTP status, Confluent's error code, a sentence.

The codes are part of the interface; clients compare them. Each stands here once, beside the function that raises it.
Source: Confluent Schema Registry 8.5, REST API reference.
"""

from __future__ import annotations

from typing import Any

from moldau.errors import MoldauError


class RegistryError(MoldauError):
    """A request that is refused."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        return {"error_code": self.code, "message": self.message}


class IncompatibleError(RegistryError):
    """A schema that does not go with what is there. The code is 409 or 40901, as the settings say."""

    def __init__(self, subject: str, messages: list[str]) -> None:
        reasons = ", ".join(messages)
        super().__init__(
            409,
            40901,
            f'Schema being registered is incompatible with an earlier schema for subject "{subject}", '
            f"details: [{reasons}]",
        )


class LeaderGoneError(RegistryError):
    """The registry that leads cannot be reached: it has seen nothing of the request."""

    def __init__(self, url: str) -> None:
        super().__init__(500, 50003, f"Error while forwarding the request to the leader: nobody answers at {url}")


def subject_not_found(subject: str | None) -> RegistryError:
    return RegistryError(404, 40401, f"Subject '{subject}' not found.")


def version_not_found(version: int | str) -> RegistryError:
    return RegistryError(404, 40402, f"Version {version} not found.")


def schema_not_found(which: int | str | None = None) -> RegistryError:
    return RegistryError(404, 40403, "Schema not found" if which is None else f"Schema {which} not found")


def subject_soft_deleted(subject: str) -> RegistryError:
    return RegistryError(404, 40404, f"Subject '{subject}' was soft deleted. Set permanent=true to delete permanently")


def subject_not_soft_deleted(subject: str) -> RegistryError:
    return RegistryError(404, 40405, f"Subject '{subject}' was not deleted first before being permanently deleted")


def version_soft_deleted(subject: str, version: int) -> RegistryError:
    return RegistryError(
        404,
        40406,
        f"Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently",
    )


def version_not_soft_deleted(subject: str, version: int) -> RegistryError:
    return RegistryError(
        404,
        40407,
        f"Subject '{subject}' Version {version} was not deleted first before being permanently deleted",
    )


def no_subject_compatibility(subject: str) -> RegistryError:
    return RegistryError(404, 40408, f"Subject '{subject}' does not have subject-level compatibility configured")


def no_subject_mode(subject: str) -> RegistryError:
    return RegistryError(404, 40409, f"Subject '{subject}' does not have subject-level mode configured")


def association_not_found(resource: str) -> RegistryError:
    return RegistryError(404, 40410, f"Association for '{resource}' not found.")


def invalid_schema(reason: str) -> RegistryError:
    return RegistryError(422, 42201, f"Invalid schema: {reason}")


def invalid_version(version: str) -> RegistryError:
    return RegistryError(
        422,
        42202,
        f"The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the "
        'string "latest"',
    )


def invalid_compatibility(level: Any) -> RegistryError:
    return RegistryError(
        422,
        42203,
        f"Invalid compatibility level {level!r}. Valid values are none, backward, forward, full, backward_transitive, "
        "forward_transitive, and full_transitive",
    )


def invalid_mode(mode: Any) -> RegistryError:
    return RegistryError(
        422,
        42204,
        f"Invalid mode {mode!r}. Valid values are READWRITE, READONLY, READONLY_OVERRIDE, IMPORT and FORWARD",
    )


def not_permitted(reason: str) -> RegistryError:
    return RegistryError(422, 42205, reason)


def reference_exists(subject: str, version: int) -> RegistryError:
    return RegistryError(422, 42206, f"One or more references exist to the schema {subject} version {version}.")


def id_does_not_match(given: int, known: int) -> RegistryError:
    return RegistryError(422, 42207, f"Schema already registered with id {known} instead of input id {given}")


def invalid_subject(subject: str) -> RegistryError:
    return RegistryError(422, 42208, f"The specified subject '{subject}' is not a valid subject")


def schema_too_large(size: int, limit: int | None) -> RegistryError:
    """`limit` None: the topic's, which only the cluster knows."""
    allowed = "the cluster allows for a record" if limit is None else f"the {limit} that are allowed"
    return RegistryError(422, 42209, f"The schema has {size} bytes, more than {allowed}")


def invalid_rule_set(reason: str) -> RegistryError:
    return RegistryError(422, 42210, f"Invalid rule set: {reason}")


def context_not_empty(context: str) -> RegistryError:
    return RegistryError(422, 42211, f"The specified context '{context}' is not empty")


def invalid_request(reason: str) -> RegistryError:
    """A body or a parameter that is not what it must be."""
    return RegistryError(422, 422, reason)


def malformed(reason: str) -> RegistryError:
    """A body that is not JSON."""
    return RegistryError(400, 400, reason)


def body_too_large(limit: int) -> RegistryError:
    return RegistryError(413, 413, f"The request has more than the {limit} bytes that are allowed")


def store_failed(reason: str) -> RegistryError:
    """The cluster refused, or could not be reached: nothing is known to be written."""
    return RegistryError(500, 50001, f"Error in the backend data store: {reason}")


def timed_out(reason: str) -> RegistryError:
    return RegistryError(500, 50002, f"The operation timed out: {reason}")


def forwarding_failed(reason: str) -> RegistryError:
    return RegistryError(500, 50003, f"Error while forwarding the request to the leader: {reason}")


def leader_unknown() -> RegistryError:
    return RegistryError(500, 50004, "Nobody leads the registry at the moment; try again")


def internal_error() -> RegistryError:
    return RegistryError(500, 500, "Internal server error; the registry's log has the traceback")
