"""How a setting names a field: plain, or with `field.syntax.version=V2` by its path (KIP-821).

In a path, a dot leads into a field. Backticks around a step keep its dots: `a.`b.c`.d`. A backslash before a backtick
that would end the step keeps it as well.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import CaseInsensitiveValidString
from moldau.connect.data import Field, Schema, Struct
from moldau.connect.errors import ConfigError
from moldau.connect.transforms.base import require_map, require_struct

FIELD_SYNTAX_VERSION: Final = "field.syntax.version"


def with_field_syntax(definition: ConfigDef) -> ConfigDef:
    return definition.define(
        FIELD_SYNTAX_VERSION,
        Type.STRING,
        "V1",
        CaseInsensitiveValidString("V1", "V2"),
        Importance.HIGH,
        "V1: the name of a field. V2: a path, in which a dot leads into a field and backticks keep dots of a name.",
    )


def steps_of(path: str, version: str) -> tuple[str, ...]:
    """The names on the way. Raises `ConfigError` when a backtick is not closed."""
    if version.upper() == "V1":
        return (path,)
    steps: list[str] = []
    at = 0
    while at < len(path):
        step, at = _quoted(path, at) if path[at] == "`" else _plain(path, at)
        steps.append(step)
    if path.endswith("."):
        steps.append("")
    return tuple(steps)


def _plain(path: str, at: int) -> tuple[str, int]:
    end = path.find(".", at)
    return (path[at:], len(path)) if end < 0 else (path[at:end], end + 1)


def _quoted(path: str, opened: int) -> tuple[str, int]:
    step, at = "", opened + 1
    while True:
        end = path.find("`", at)
        last = end == len(path) - 1
        escaped = end > 0 and path[end - 1] == "\\"
        if end < 0 or (last and escaped):
            raise ConfigError(
                f"Incomplete backtick pair in path: [{path}], "
                f"consider adding a backslash before backtick at position {opened} to escape it"
            )
        if not last and path[end + 1] != ".":
            step += path[at : end + 1]
        elif escaped:
            step += path[at : end - 1] + "`"
        else:
            return step + path[at:end], end + (1 if last else 2)
        at = end + 1


class FieldPath:
    """A way to a field, in schemas, structs and maps."""

    def __init__(self, path: str, version: str) -> None:
        self.path = path
        steps = steps_of(path, version)
        self._before, self._last = steps[:-1], steps[-1] if steps else ""

    def field_of(self, schema: Schema) -> Field | None:
        """The field that the path leads to, or None."""
        for step in self._before:
            field = schema.field(step)
            if field is None:
                return None
            schema = field.schema
        return schema.field(self._last)

    def value_of(self, struct: Struct, *, replace_null: bool) -> Any:
        """What is there, or None."""
        for step in self._before:
            value = struct.get(step) if step in struct else None
            if value is None:
                return None
            struct = require_struct(value, "nested field access")
        if self._last not in struct:
            return None
        return struct.get(self._last) if replace_null else struct.get_without_default(self._last)

    def value_in(self, value: dict[str, Any]) -> Any:
        """The same in a map."""
        for step in self._before:
            found = value.get(step)
            if found is None:
                return None
            value = require_map(found, "nested field access")
        return value.get(self._last)
