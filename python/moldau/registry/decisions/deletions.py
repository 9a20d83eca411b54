"""Deleting: first softly (a schema is still found by its id, so its data can be read), then permanently."""

from __future__ import annotations

from dataclasses import replace

from moldau.registry.decisions import Decision
from moldau.registry.decisions.modes import check_can_delete, remembered_ids
from moldau.registry.errors import (
    context_not_empty,
    reference_exists,
    subject_not_found,
    subject_not_soft_deleted,
    subject_soft_deleted,
    version_not_found,
    version_not_soft_deleted,
    version_soft_deleted,
)
from moldau.registry.names import Subject
from moldau.registry.records import ConfigKey, ContextKey, DeleteSubjectKey, ModeKey, Record, SchemaKey
from moldau.registry.state import RegistryState


def delete_subject(state: RegistryState, subject: str, *, permanent: bool) -> Decision[list[int]]:
    """Answers with the versions that were deleted."""
    if not state.has_subject(subject, deleted=True):
        raise subject_not_found(subject)
    if not permanent and not state.has_subject(subject):
        raise subject_soft_deleted(subject)
    check_can_delete(state, subject)
    values = state.versions(subject, deleted=permanent)
    for value in values:
        if permanent and not value.deleted:
            raise subject_not_soft_deleted(subject)
        # A subject may refer to itself: what refers goes with it.
        users = state.referrers(SchemaKey(subject, value.version), deleted=permanent)
        if any(user.subject != subject for user in users):
            raise reference_exists(subject, value.version)
    numbers = [value.version for value in values]
    if not permanent:
        deleted = Record(DeleteSubjectKey(subject), {"subject": subject, "version": numbers[-1]})
        return Decision((deleted,), numbers)
    tombstones = [Record(SchemaKey(subject, number), None) for number in reversed(numbers)]
    return Decision((remembered_ids(state), *tombstones, *_settings_gone(state, subject)), numbers)


def delete_version(state: RegistryState, subject: str, version: int | None, *, permanent: bool) -> Decision[int]:
    """`version` None is the latest one. Answers with its number."""
    value = state.latest(subject) if version is None else state.version(subject, version)
    if value is None:
        if not state.has_subject(subject, deleted=True):
            raise subject_not_found(subject)
        raise version_not_found("latest" if version is None else version)
    if value.deleted and not permanent:
        raise version_soft_deleted(subject, value.version)
    check_can_delete(state, subject)
    key = SchemaKey(subject, value.version)
    if state.referrers(key, deleted=permanent):
        raise reference_exists(subject, value.version)
    if not permanent:
        return Decision((Record(key, replace(value, deleted=True)),), value.version)
    if not value.deleted:
        raise version_not_soft_deleted(subject, value.version)
    last = len(state.versions(subject, deleted=True)) == 1
    settings = _settings_gone(state, subject) if last else ()
    return Decision((remembered_ids(state), Record(key, None), *settings), value.version)


def delete_context(state: RegistryState, context: str) -> Decision[None]:
    """Raises RegistryError (42211) unless the context has no schemas, deleted ones included."""
    prefix = Subject(context, "").written
    if state.subjects(prefix, deleted=True):
        raise context_not_empty(prefix)
    return Decision((Record(ContextKey(context), None),), None)


def _settings_gone(state: RegistryState, subject: str) -> tuple[Record, ...]:
    config = (Record(ConfigKey(subject), None),) if state.has_config(subject) else ()
    mode = (Record(ModeKey(subject), None),) if state.has_mode(subject) else ()
    return (*config, *mode)
