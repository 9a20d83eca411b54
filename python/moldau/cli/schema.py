"""`moldau schema`: what a registry knows, and what a change of a schema would break, and for whom."""

from __future__ import annotations

import difflib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.registry import Level
from moldau.cli.registry_client import BY_SUFFIX, AnswerError, Kind, RegistryConnection
from moldau.cli.several import Yes, confirm

if TYPE_CHECKING:
    from moldau.registry.compat.levels import Conflict, Version
    from moldau.registry.languages import Language, ParsedSchema

OfFile = Annotated[
    Kind | None,
    Parameter(name="--type", help="The language, if it is not known by the file's name (.avsc, .json, .proto)."),
]
REFERENCE_HELP: Final = "NAME=SUBJECT:VERSION of a schema that this one refers to; may be given many times."
Reference = Annotated[list[str] | None, Parameter(name="--reference", negative=(), help=REFERENCE_HELP)]
Subject = Annotated[str, Parameter(name=["--subject", "-s"])]
Flag = Annotated[bool, Parameter(negative=())]


def list_schemas(
    prefix: str = "",
    /,
    *,
    deleted: Flag = False,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """List the subjects, each with its newest version.

    Parameters
    ----------
    prefix
        Only subjects that start with this.
    deleted
        Those that were deleted softly, too.
    """
    query = {"subjectPrefix": prefix or ":*:", "latestOnly": "true", "deleted": str(deleted).lower()}
    records = [
        {
            "subject": version["subject"],
            "version": version["version"],
            "id": version["id"],
            "type": version.get("schemaType", "AVRO"),
        }
        for version in registry.ask("GET", "schemas", query=query)
    ]
    output.records(records, ("subject", "version", "id", "type"))


def get_schema(
    subject: str | None = None,
    /,
    *,
    version: str = "latest",
    id: Annotated[int | None, Parameter(name="--id")] = None,  # noqa: A002 (it is the option's name)
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Show a schema: of a subject, or with an id.

    Parameters
    ----------
    version
        Its number; the newest one without it.
    id
        The id that stands before a record.
    """
    if (subject is None) == (id is None):
        raise UsageError("name a subject, or give an --id")
    found = registry.ask("GET", "schemas", "ids", str(id)) if subject is None else registry.version(subject, version)
    if output.for_eyes:
        print(_for_eyes(found["schema"]))
        return
    record = {
        "subject": found.get("subject"),
        "version": found.get("version"),
        "id": found.get("id", id),
        "type": found.get("schemaType", "AVRO"),
        "references": found.get("references", []),
        "schema": found["schema"],
    }
    output.record(record, tuple(record))


def register_schema(
    file: Path,
    /,
    *,
    subject: Subject,
    kind: OfFile = None,
    reference: Reference = None,
    normalize: Flag = False,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Register a schema; says why when it does not go with what is there.

    Parameters
    ----------
    file
        The schema; - reads it from stdin.
    subject
        For the values of a topic that is TOPIC-value, for the keys TOPIC-key.
    normalize
        Store it with everything in a fixed order.
    """
    body = _body(file, kind, reference)
    query = {"normalize": "true"} if normalize else {}
    try:
        answer = registry.ask("POST", "subjects", subject, "versions", query=query, body=body)
    except AnswerError as error:
        if error.code in (409, 40901):
            raise RefusedError(
                f"the schema does not go with the versions of {subject}",
                f"`moldau schema check {file} --subject {subject}` says what would break, and for whom",
            ) from error
        raise
    record = {"subject": subject, "version": answer.get("version"), "id": answer["id"]}
    output.record(record, tuple(record))


def check_schema(
    file: Path,
    /,
    *,
    subject: Subject,
    level: Level | None = None,
    kind: OfFile = None,
    reference: Reference = None,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Say what a schema would break if it were registered, and for whom; exit code 1 if it would. Changes nothing.

    Parameters
    ----------
    file
        The schema; - reads it from stdin.
    level
        Compare as this level does, not as the one that is set for the subject.
    """
    from moldau.registry.compat.levels import Level as Levels
    from moldau.registry.compat.levels import conflicts
    from moldau.registry.languages import Policy, SchemaError

    body = _body(file, kind, reference)
    language, schema = _parsed(registry, body)
    wanted = Levels(level or registry.level(subject))
    numbers = registry.versions(subject)
    compared = [] if wanted is Levels.NONE else numbers if wanted.transitive else numbers[-1:]
    versions = [_version(registry, subject, number) for number in compared]
    try:
        found = conflicts(wanted, language, schema, versions, Policy.STRICT)
    except SchemaError as error:
        raise RefusedError(str(error)) from error
    records = [record for conflict in found for record in _reasons(conflict)]
    if output.for_eyes:
        _explain(found)
    else:
        columns = ("version", "breaks", "rule", "path", "message")
        output.records(records, columns)
    among = f"version {numbers[-1]}" if len(compared) == 1 else f"{len(compared)} versions"
    if found:
        raise RefusedError(f"{wanted.value} forbids this change of {subject}")
    say(f"{wanted.value} allows it: compared with {among if compared else 'nothing'} of {subject}")


def _reasons(conflict: Conflict) -> list[dict[str, Any]]:
    return [
        {
            "version": conflict.version.number,
            "breaks": "new readers" if conflict.new_reads else "old readers",
            "rule": reason.rule,
            "path": reason.path,
            "message": reason.message,
        }
        for reason in conflict.reasons
    ]


def _explain(found: Sequence[Conflict]) -> None:
    for conflict in found:
        number = conflict.version.number
        if conflict.new_reads:
            print(f"consumers with this schema could not read what was written with version {number}:")
        else:
            print(f"consumers that still have version {number} could not read what is written with this schema:")
        for reason in conflict.reasons:
            print(f"  {reason.path:24}  {reason.message}  [{reason.rule}]")


def diff_schemas(
    subject: str,
    old: int,
    new: int,
    /,
    *,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Show what changed between two versions, and who can read whom."""
    from moldau.registry.languages import Policy

    sides = [registry.version(subject, number) for number in (old, new)]
    before, after = (_version_of(registry, side) for side in sides)
    backward = forward = False
    if before.language is after.language:
        backward = not after.language.check(after.schema, before.schema, Policy.STRICT)
        forward = not after.language.check(before.schema, after.schema, Policy.STRICT)
    texts = [_for_eyes(side["schema"]).splitlines() for side in sides]
    lines = list(difflib.unified_diff(texts[0], texts[1], f"{subject} {old}", f"{subject} {new}", lineterm=""))
    if output.for_eyes:
        print("\n".join(lines))
        print(f"version {new} {'can' if backward else 'cannot'} read what was written with {old}")
        print(f"version {old} {'can' if forward else 'cannot'} read what is written with {new}")
        return
    record = {"subject": subject, "old": old, "new": new, "backward": backward, "forward": forward, "diff": lines}
    output.record(record, tuple(record))


def delete_schema(
    subject: str,
    /,
    *,
    version: str | None = None,
    permanent: Flag = False,
    yes: Yes = False,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Delete a subject, or one version: softly, so that its data can still be read, or for good.

    Parameters
    ----------
    version
        Only this one.
    permanent
        For good; only what was deleted softly before can be.
    """
    what = subject if version is None else f"version {version} of {subject}"
    confirm(f"delete {what}{' for good' if permanent else ''}", yes=yes)
    path = ("subjects", subject, *(() if version is None else ("versions", version)))
    answer = registry.ask("DELETE", *path, query={"permanent": "true"} if permanent else None)
    record = {"subject": subject, "versions": answer if isinstance(answer, list) else [answer], "permanent": permanent}
    output.record(record, tuple(record))


def compatibility(
    subject: str | None = None,
    /,
    *,
    set: Annotated[Level | None, Parameter(name="--set")] = None,  # noqa: A002 (it is the option's name)
    unset: Flag = False,
    registry: RegistryConnection = RegistryConnection(),
    output: Output = Output(),
) -> None:
    """Show or set the compatibility level of a subject, or of everything.

    Parameters
    ----------
    set
        The level from now on.
    unset
        Take the level back, so that the one of everything holds.
    """
    path = ("config",) if subject is None else ("config", subject)
    if set is not None:
        registry.ask("PUT", *path, body={"compatibility": set})
    elif unset:
        registry.ask("DELETE", *path)
    config = registry.ask("GET", *path, query={"defaultToGlobal": "true"})
    record = {"subject": subject, "level": config["compatibilityLevel"]}
    output.record(record, tuple(record))


# What the verbs share.


def _body(file: Path, kind: Kind | None, references: list[str] | None) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read {file}: {error}") from error
    return {
        "schema": text,
        "schemaType": kind or BY_SUFFIX.get(file.suffix, "AVRO"),
        "references": [_reference(each) for each in references or ()],
    }


def _reference(text: str) -> dict[str, Any]:
    name, _, target = text.partition("=")
    subject, _, version = target.rpartition(":")
    if not name or not subject or not (version == "latest" or version.isdecimal()):
        raise UsageError(f"{text!r} is no reference", "write NAME=SUBJECT:VERSION")
    return {"name": name, "subject": subject, "version": -1 if version == "latest" else int(version)}


def _parsed(registry: RegistryConnection, body: dict[str, Any]) -> tuple[Language, ParsedSchema]:
    from moldau.registry.languages import LANGUAGES, ResolvedReference, SchemaError

    language = LANGUAGES[body.get("schemaType", "AVRO")]
    references = [ResolvedReference(*each) for each in registry.resolved(body.get("references", ()))]
    try:
        return language, language.parse(body["schema"], references, strict=True)
    except SchemaError as error:
        raise RefusedError(f"the schema is none: {error}") from error


def _version(registry: RegistryConnection, subject: str, number: int) -> Version:
    return _version_of(registry, registry.version(subject, number))


def _version_of(registry: RegistryConnection, found: dict[str, Any]) -> Version:
    from moldau.registry.compat.levels import Version
    from moldau.registry.languages import LANGUAGES, ResolvedReference, SchemaError

    language = LANGUAGES[found.get("schemaType", "AVRO")]
    references = [ResolvedReference(*each) for each in registry.resolved(found.get("references", ()))]
    try:
        return Version(found["version"], language, language.parse(found["schema"], references, strict=False))
    except SchemaError as error:
        raise RefusedError(f"version {found['version']} of {found['subject']} cannot be read: {error}") from error


def _for_eyes(text: str) -> str:
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
