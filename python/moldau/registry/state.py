"""What the records of `_schemas` add up to.

`apply` is the only way the state changes; reading the log anew gives the same state. Nothing in here is parsed: a
schema is its text until somebody compares it, so reading ten thousand of them takes no time. A record that contradicts
what is there (an id that belongs to another schema) raises BadRecordError and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from moldau.registry.names import (
    ANY_CONTEXT,
    DEFAULT_CONTEXT,
    GLOBAL_CONTEXT,
    Subject,
    context_of,
    parse_subject,
    within,
)
from moldau.registry.records import (
    BadRecordError,
    ClearSubjectKey,
    ConfigKey,
    ContextKey,
    DeleteSubjectKey,
    ModeKey,
    NoopKey,
    Record,
    SchemaKey,
    SchemaValue,
)

DEFAULT_MODE: Final = "READWRITE"
MAX_IDS: Final = "maxIds"
"""The attribute of a NOOP record that maps contexts to the highest id that was ever given in them."""

Settings = Mapping[str, Any]


class RegistryState:
    """Everything the registry knows."""

    def __init__(self, default_compatibility: str = "BACKWARD") -> None:
        self.default_compatibility = default_compatibility
        self.contexts: set[str] = set()
        self._subjects: dict[str, dict[int, SchemaValue]] = {}
        self._configs: dict[str | None, Settings] = {}
        self._modes: dict[str | None, str] = {}
        self._by_id: dict[str, dict[int, dict[SchemaKey, None]]] = {}
        self._by_md5: dict[str, dict[bytes, int]] = {}
        self._referrers: dict[SchemaKey, set[SchemaKey]] = {}
        self.max_ids: dict[str, int] = {}

    def apply(self, record: Record) -> None:
        """Take one record in. Raises BadRecordError if it cannot be, or contradicts what is there."""
        try:
            self._apply(record)
        except (KeyError, TypeError, ValueError) as error:
            raise BadRecordError(f"not a record of a registry: {error!r}") from error

    def _apply(self, record: Record) -> None:
        match record.key:
            case SchemaKey():
                self._apply_schema(record.key, record.value)
            case ConfigKey(subject):
                self._set(self._configs, subject, record.value)
            case ModeKey(subject):
                self._set(self._modes, subject, _mode_of(record.value))
            case DeleteSubjectKey(subject) if record.value is not None:
                self._soft_delete(subject or "", int(_mapping(record.value)["version"]))
            case ClearSubjectKey(subject) if record.value is not None:
                self._clear(subject)
            case ContextKey(context):
                (self.contexts.discard if record.value is None else self.contexts.add)(context)
            case NoopKey() if record.value is not None:
                for context, highest in (_mapping(record.value).get(MAX_IDS) or {}).items():
                    self._raise_max_id(context, int(highest))

    # Schemas.

    def version(self, subject: str, version: int) -> SchemaValue | None:
        """One version, deleted or not."""
        return self._subjects.get(subject, {}).get(version)

    def versions(self, subject: str, *, deleted: bool = False) -> list[SchemaValue]:
        """The versions of a subject, oldest first; with the softly deleted ones if `deleted`."""
        return [value for _, value in sorted(self._subjects.get(subject, {}).items()) if deleted or not value.deleted]

    def latest(self, subject: str) -> SchemaValue | None:
        """The newest version that is not deleted."""
        versions = self.versions(subject)
        return versions[-1] if versions else None

    def next_version(self, subject: str) -> int:
        """The number that the next version gets."""
        return max(self._subjects.get(subject, {}), default=0) + 1

    def subjects(self, prefix: str = ":*:", *, deleted: bool = False, deleted_only: bool = False) -> list[str]:
        """Subjects that start with a prefix, sorted; `:*:` before it looks into all contexts."""
        wanted = parse_subject(prefix)
        found = []
        for name, versions in self._subjects.items():
            subject = parse_subject(name)
            if wanted.context not in (ANY_CONTEXT, subject.context) or not subject.name.startswith(wanted.name):
                continue
            alive = any(not value.deleted for value in versions.values())
            some_deleted = any(value.deleted for value in versions.values())
            if (some_deleted and not alive) if deleted_only else (alive or deleted):
                found.append(name)
        return sorted(found)

    def has_subject(self, subject: str, *, deleted: bool = False) -> bool:
        """Whether the subject has a version; of a context (`:.ctx:`), whether any subject in it has."""
        if parse_subject(subject).name == "":
            return bool(self.subjects(subject, deleted=deleted))
        return any(deleted or not value.deleted for value in self._subjects.get(subject, {}).values())

    def by_id(self, context: str, schema_id: int) -> list[SchemaValue]:
        """Every version in the context that has the id."""
        keys = self._by_id.get(context, {}).get(schema_id, {})
        return [self._subjects[key.subject][key.version] for key in keys]

    def id_of(self, context: str, md5: bytes) -> int | None:
        """The id that a schema has in a context."""
        schema_id = self._by_md5.get(context, {}).get(md5)
        return schema_id if schema_id is not None and self._by_id.get(context, {}).get(schema_id) else None

    def next_id(self, context: str) -> int:
        """An id that was never given in the context."""
        return self.max_ids.get(context, 0) + 1

    def referrers(self, key: SchemaKey, *, deleted: bool = False) -> list[SchemaValue]:
        """The versions that refer to a version."""
        values = (self._subjects[each.subject][each.version] for each in self._referrers.get(key, ()))
        return sorted(
            (value for value in values if deleted or not value.deleted),
            key=lambda value: (value.subject, value.version),
        )

    # Settings.

    def config(self, subject: str | None) -> Settings | None:
        """The settings of a subject or context itself; of everything, the default ones if there are none."""
        found = self._configs.get(subject)
        if found is None:
            return self._default_config() if _is_top(subject) else None
        return self._with_level(found)

    def config_in_scope(self, subject: str | None) -> Settings:
        """The settings that hold for a subject: its own, filled up with those of everything."""
        if subject is not None and subject in self._configs:
            return {**(self.config(None) or {}), **self._with_own_only(self._configs[subject])}
        for key in _scopes(subject):
            if key in self._configs:
                return self._with_level(self._configs[key])
        return self._default_config()

    def mode(self, subject: str | None) -> str | None:
        """The mode of a subject or context itself."""
        return self._modes.get(subject, DEFAULT_MODE if _is_top(subject) else None)

    def mode_in_scope(self, subject: str | None) -> str:
        """The mode that holds for a subject."""
        scopes = (subject, *_scopes(subject))
        return next((self._modes[key] for key in scopes if key in self._modes), DEFAULT_MODE)

    def subjects_with_settings(self, context: str) -> Iterator[str]:
        """Subjects of a context that have a mode of their own."""
        return (key for key in self._modes if key is not None and context_of(key) == context)

    def aliases_of(self, subject: str) -> list[str]:
        """The subjects whose settings say that they are another name of this one."""
        return sorted(key for key, value in self._configs.items() if key and value.get("alias") == subject)

    def has_config(self, subject: str | None) -> bool:
        return subject in self._configs

    def has_mode(self, subject: str | None) -> bool:
        return subject in self._modes

    def _default_config(self) -> Settings:
        return {"compatibilityLevel": self.default_compatibility}

    def _with_level(self, settings: Settings) -> Settings:
        return {"compatibilityLevel": self.default_compatibility, **self._with_own_only(settings)}

    @staticmethod
    def _with_own_only(settings: Settings) -> Settings:
        return {key: value for key, value in settings.items() if key != "subject" and value is not None}

    # Applying.

    @staticmethod
    def _set(table: dict[str | None, Any], subject: str | None, value: Any) -> None:
        if value is None:
            table.pop(subject, None)
        else:
            table[subject] = value

    def _apply_schema(self, key: SchemaKey, value: Any) -> None:
        before = self.version(key.subject, key.version)
        if value is not None:
            assert isinstance(value, SchemaValue)
            self._refuse_a_contradiction(key, value)
        if before is not None:
            self._forget(key, before)
        if value is not None:
            self._remember(key, value)

    def _refuse_a_contradiction(self, key: SchemaKey, value: SchemaValue) -> None:
        context = context_of(key.subject)
        for other in self.by_id(context, value.id):
            same_place = (other.subject, other.version) == (key.subject, key.version)
            if not same_place and other.schema.text != value.schema.text:
                raise BadRecordError(
                    f"{key.subject} version {key.version} claims the id {value.id}, which is that of another schema, "
                    f"{other.subject} version {other.version}"
                )

    def _remember(self, key: SchemaKey, value: SchemaValue) -> None:
        context = context_of(key.subject)
        self._subjects.setdefault(key.subject, {})[key.version] = value
        self._by_id.setdefault(context, {}).setdefault(value.id, {})[key] = None
        self._by_md5.setdefault(context, {})[value.md5] = value.id
        self._raise_max_id(context, value.id)
        for target in referred_to(value):
            self._referrers.setdefault(target, set()).add(key)

    def _forget(self, key: SchemaKey, value: SchemaValue) -> None:
        context = context_of(key.subject)
        versions = self._subjects[key.subject]
        del versions[key.version]
        if not versions:
            del self._subjects[key.subject]
        users = self._by_id[context][value.id]
        users.pop(key, None)
        if not users:
            del self._by_id[context][value.id]
        for target in referred_to(value):
            self._referrers.get(target, set()).discard(key)

    def _soft_delete(self, subject: str, up_to: int) -> None:
        for version, value in self._subjects.get(subject, {}).items():
            if version <= up_to:
                self._subjects[subject][version] = replace(value, deleted=True)

    def _clear(self, subject: str | None) -> None:
        for name in [*self.subjects(subject or "", deleted=True)]:
            for value in self.versions(name, deleted=True):
                if value.deleted:
                    self._forget(SchemaKey(name, value.version), value)

    def _raise_max_id(self, context: str, schema_id: int) -> None:
        self.max_ids[context] = max(schema_id, self.max_ids.get(context, 0))


def referred_to(value: SchemaValue) -> Iterable[SchemaKey]:
    """The versions that a version refers to."""
    for reference in value.schema.references:
        yield SchemaKey(within(value.subject, reference.subject), reference.version)


def _scopes(subject: str | None) -> tuple[str | None, ...]:
    """Where settings are looked for that a subject has not, nearest first."""
    context = DEFAULT_CONTEXT if subject is None else context_of(subject)
    everything = Subject(GLOBAL_CONTEXT, "").written
    return (None if context == DEFAULT_CONTEXT else Subject(context, "").written, everything)


def _is_top(subject: str | None) -> bool:
    return subject is None or context_of(subject) == GLOBAL_CONTEXT


def _mode_of(value: Any) -> str | None:
    return None if value is None else str(_mapping(value)["mode"])


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadRecordError("a value that is no object")
    return value
