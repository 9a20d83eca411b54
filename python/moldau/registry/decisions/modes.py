"""Modes: what may be written. READWRITE, READONLY, IMPORT (ids and versions come with the schema), FORWARD."""

from __future__ import annotations

from typing import Any, Final

from moldau.registry.decisions import Decision
from moldau.registry.errors import invalid_mode, no_subject_mode, not_permitted, reference_exists, subject_not_found
from moldau.registry.names import parse_subject
from moldau.registry.records import ClearSubjectKey, ModeKey, NoopKey, Record, SchemaKey
from moldau.registry.state import MAX_IDS, RegistryState

MODES: Final = ("READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD")
IMPORTING: Final = ("IMPORT", "FORWARD")
READ_ONLY: Final = ("READONLY", "READONLY_OVERRIDE")


def check_can_register(state: RegistryState, subject: str, schema_id: int | None) -> None:
    """Raises RegistryError (42205) if the mode forbids to register; with an id, only IMPORT and FORWARD allow it."""
    check_can_delete(state, subject)
    mode = state.mode_in_scope(subject)
    if schema_id is not None and mode not in IMPORTING:
        raise not_permitted(f"Subject {subject} is not in import mode")
    if schema_id is None and mode != "READWRITE":
        raise not_permitted(f"Subject {subject} is not in read-write mode")


def check_can_delete(state: RegistryState, subject: str) -> None:
    """Raises RegistryError (42205) if nothing may be changed."""
    if state.mode_in_scope(subject) in READ_ONLY:
        raise not_permitted(f"Subject {subject} is in read-only mode")


def remembered_ids(state: RegistryState) -> Record:
    """The record that keeps ids from being given again when the last schema that had them is gone."""
    return Record(NoopKey(), {MAX_IDS: dict(state.max_ids)})


def get_mode(state: RegistryState, subject: str | None, *, in_scope: bool) -> dict[str, Any]:
    """Raises RegistryError (40409) if it has none of its own."""
    mode = state.mode_in_scope(subject) if in_scope else state.mode(subject)
    if mode is None:
        raise no_subject_mode(subject or "")
    return {"mode": mode}


def set_mode(state: RegistryState, subject: str | None, given: Any, *, force: bool) -> Decision[dict[str, Any]]:
    """IMPORT wants an empty subject or context, unless forced: the ids that come must not meet others."""
    mode = given.upper() if isinstance(given, str) else given
    if mode not in MODES:
        raise invalid_mode(given)
    if mode == "FORWARD" and subject is not None:
        raise invalid_mode(given)
    records: list[Record] = []
    if mode == "IMPORT" and state.mode_in_scope(subject) != "IMPORT" and not force:
        records += _emptied(state, subject)
    records.append(Record(ModeKey(subject), {**({} if subject is None else {"subject": subject}), "mode": mode}))
    return Decision(tuple(records), {"mode": mode})


def _emptied(state: RegistryState, subject: str | None) -> list[Record]:
    prefix = subject or ""
    if state.has_subject(prefix):
        raise not_permitted("Cannot import since found existing subjects")
    whole_context = parse_subject(prefix).name == ""
    names = state.subjects(prefix, deleted=True) if whole_context else [prefix]
    gone = [value for name in names for value in state.versions(name, deleted=True)]
    for value in gone:
        if state.referrers(SchemaKey(value.subject, value.version), deleted=True):
            raise reference_exists(value.subject, value.version)
    if not gone:
        return []
    cleared = Record(ClearSubjectKey(subject), {} if subject is None else {"subject": subject})
    tombstones = [Record(SchemaKey(value.subject, value.version), None) for value in gone]
    return [remembered_ids(state), *tombstones, cleared]


def delete_mode(state: RegistryState, subject: str | None, *, recursive: bool) -> Decision[dict[str, Any]]:
    """Raises RegistryError (40401) if it has no mode of its own; `recursive` takes all subjects of a context along."""
    mode = state.mode(subject)
    if mode is None and not recursive:
        raise subject_not_found(subject)
    keys: list[str | None] = [subject] if state.has_mode(subject) else []
    if recursive:
        context = parse_subject(subject or "")
        if context.name == "":
            keys += [each for each in state.subjects_with_settings(context.context) if each != subject]
    return Decision(tuple(Record(ModeKey(key), None) for key in keys), {"mode": mode})
