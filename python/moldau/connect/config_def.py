"""Settings of a plugin: declared once, and read, checked, shown and documented from there.

What `validate` says is what `PUT /connector-plugins/{plugin}/config/validate` shows; since people and programs read
those messages, their wording is that of Kafka's `ConfigDef`, whose rules of parsing are followed as well.
"""

from __future__ import annotations

import difflib
import enum
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, Self

from moldau.connect.data.java_text import java_text
from moldau.connect.errors import ConfigError


class Type(enum.Enum):
    """What a setting's text is read as."""

    BOOLEAN = "boolean"
    STRING = "string"
    INT = "int"
    SHORT = "short"
    LONG = "long"
    DOUBLE = "double"
    LIST = "list"
    CLASS = "class"
    PASSWORD = "password"  # noqa: S105 - the name of a type


class Importance(enum.Enum):
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


class Width(enum.Enum):
    """How wide a form shows the setting."""

    NONE = "none"
    SHORT = "short"
    MEDIUM = "medium"
    LONG = "long"


class _NoDefault(enum.Enum):
    NO_DEFAULT = "no default"


NO_DEFAULT: Final = _NoDefault.NO_DEFAULT
"""The setting must be given."""


class Password:
    """A secret: its text shows stars, `value` is what it is."""

    __slots__ = ("value",)

    def __init__(self, value: str) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return self.value == other.value if isinstance(other, Password) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return "[hidden]"


class Validator(Protocol):
    """A rule for the value of a setting; its text (`str`) says what is allowed."""

    def ensure_valid(self, name: str, value: Any) -> None:
        """Raise `ConfigError` (`invalid(name, value, why)`) for a value that is not allowed."""


class Recommender(Protocol):
    """Says which values make sense, given those of the other settings."""

    def valid_values(self, name: str, parsed: Mapping[str, Any]) -> list[Any]: ...

    def visible(self, name: str, parsed: Mapping[str, Any]) -> bool: ...


def invalid(name: str, value: Any, why: str | None = None) -> ConfigError:
    """The error for a value that cannot be used, in Kafka's words."""
    message = f"Invalid value {java_text(value)} for configuration {name}"
    return ConfigError(message if why is None else f"{message}: {why}", name=name, value=value)


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One setting. `order` is its place in its `group` on a form; `dependents` are shown according to its value."""

    name: str
    type: Type
    default: Any
    validator: Validator | None
    importance: Importance
    doc: str
    group: str | None = None
    order: int = -1
    width: Width = Width.NONE
    display_name: str = ""
    dependents: tuple[str, ...] = ()
    recommender: Recommender | None = None
    internal: bool = False

    @property
    def required(self) -> bool:
        return self.default is NO_DEFAULT

    def info(self) -> dict[str, Any]:
        """The `definition` that the REST interface shows."""
        return {
            "name": self.name,
            "type": self.type.name,
            "required": self.required,
            "default_value": None if self.required else to_text(self.default, self.type),
            "importance": self.importance.name,
            "documentation": self.doc,
            "group": self.group,
            "order_in_group": self.order,
            "width": self.width.name,
            "display_name": self.display_name,
            "dependents": list(self.dependents),
        }


@dataclass(slots=True)
class ConfigValue:
    """What a setting's text was read as, and what is wrong with it."""

    name: str
    value: Any = None
    recommended_values: list[Any] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    visible: bool = True

    def info(self, kind: Type | None) -> dict[str, Any]:
        """The `value` that the REST interface shows; `kind` is None for a setting that nobody declared."""
        each = Type.STRING if kind is Type.LIST else kind
        return {
            "name": self.name,
            "value": to_text(self.value, kind),
            "recommended_values": [to_text(value, each) for value in self.recommended_values],
            "errors": list(self.errors),
            "visible": self.visible,
        }


class ConfigDef:
    """The settings of something, in the order in which they were declared. `define` returns the definition itself."""

    def __init__(self, base: ConfigDef | None = None) -> None:
        self.keys: dict[str, ConfigKey] = dict(base.keys) if base else {}
        self.groups: list[str] = list(base.groups) if base else []

    @property
    def names(self) -> list[str]:
        return list(self.keys)

    def define(
        self,
        name: str,
        type: Type,  # noqa: A002 - Kafka's own word
        default: Any = NO_DEFAULT,
        validator: Validator | None = None,
        importance: Importance = Importance.MEDIUM,
        doc: str = "",
        *,
        group: str | None = None,
        order: int = -1,
        width: Width = Width.NONE,
        display_name: str | None = None,
        dependents: Sequence[str] = (),
        recommender: Recommender | None = None,
        internal: bool = False,
    ) -> Self:
        """Declare a setting; without `default` it must be given. Raises `ConfigError` when the default is invalid."""
        if default is not NO_DEFAULT:
            default = parse_type(name, default, type)
            if validator is not None:
                validator.ensure_valid(name, default)
        return self.add(
            ConfigKey(
                name,
                type,
                default,
                validator,
                importance,
                doc,
                group,
                order,
                width,
                display_name or name,
                tuple(dependents),
                recommender,
                internal,
            )
        )

    def add(self, key: ConfigKey) -> Self:
        """Declare a setting that is described already."""
        if key.name in self.keys:
            raise ConfigError(f"Configuration {key.name} is defined twice.", name=key.name)
        if key.group is not None and key.group not in self.groups:
            self.groups.append(key.group)
        self.keys[key.name] = key
        return self

    def embed(self, prefix: str, group_prefix: str, order: int, child: ConfigDef) -> Self:
        """Declare the settings of `child` under `prefix`, in the groups of its own; `order` is that of the first."""
        for at, key in enumerate(child.sorted_keys(), order):
            self.add(
                replace(
                    key,
                    name=prefix + key.name,
                    group=group_prefix + (f": {key.group}" if key.group else ""),
                    order=at,
                    validator=key.validator and _Prefixed(prefix, key.validator),
                    dependents=tuple(prefix + dependent for dependent in key.dependents),
                    recommender=key.recommender and _PrefixedRecommender(prefix, key.recommender),
                )
            )
        return self

    def sorted_keys(self) -> list[ConfigKey]:
        """The settings as documentation lists them: by group, place, required first, importance, name."""
        order = {name: at for at, name in enumerate(self.groups)}
        importance = list(Importance)
        return sorted(
            self.keys.values(),
            key=lambda key: (
                -1 if key.group is None else order[key.group],
                key.order,
                not key.required,
                importance.index(key.importance),
                key.name,
            ),
        )

    def parse(self, props: Mapping[str, Any]) -> dict[str, Any]:
        """The values of all settings, defaults included. Raises `ConfigError` for the first that cannot be used."""
        values: dict[str, Any] = {}
        for name, key in self.keys.items():
            if name in props:
                value = parse_type(name, props[name], key.type)
            elif key.default is NO_DEFAULT:
                raise _missing(name)
            else:
                value = key.default
            if key.validator is not None:
                if isinstance(value, list) and getattr(key.validator, "drops_doubles", False):
                    value = list(dict.fromkeys(value))
                key.validator.ensure_valid(name, value)
            values[name] = value
        return values

    def validate(self, props: Mapping[str, Any]) -> list[ConfigValue]:
        """What each setting was read as, with everything that is wrong about it."""
        return list(self.validate_all(props).values())

    def validate_all(self, props: Mapping[str, Any]) -> dict[str, ConfigValue]:
        """As `validate`, by name. A setting whose parent is invalid is checked all the same."""
        values = {name: ConfigValue(name) for name in self.keys}
        parsed: dict[str, Any] = {}
        for name, key in self.keys.items():
            parsed[name] = self._parse_for_validate(key, props, values[name])
            for dependent in key.dependents:
                if dependent not in self.keys:
                    said = f"{dependent} is referred in the dependents, but not defined."
                    values[dependent] = ConfigValue(dependent, errors=[said], visible=False)
        for name, key in self.keys.items():
            if key.recommender is not None:
                _recommend(key.recommender, name, parsed, values[name])
        return values

    @staticmethod
    def _parse_for_validate(key: ConfigKey, props: Mapping[str, Any], found: ConfigValue) -> Any:
        value = None
        if key.name in props:
            try:
                value = parse_type(key.name, props[key.name], key.type)
            except ConfigError as error:
                found.errors.append(str(error))
        elif key.default is NO_DEFAULT:
            found.errors.append(str(_missing(key.name)))
        else:
            value = key.default
        if key.validator is not None:
            try:
                key.validator.ensure_valid(key.name, value)
            except ConfigError as error:
                found.errors.append(str(error))
        found.value = value
        return value

    def unknown(self, props: Iterable[str]) -> dict[str, str | None]:
        """The names in `props` that are no settings of this, each with the nearest that is, or None."""
        return {name: nearest(name, self.keys) for name in props if name not in self.keys}


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that was most likely meant, or None."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def config_infos(
    name: str, keys: Mapping[str, ConfigKey], values: Iterable[ConfigValue], groups: Sequence[str]
) -> dict[str, Any]:
    """The answer of `PUT /connector-plugins/{plugin}/config/validate`; `name` is the class of the connector."""
    by_name = {value.name: value for value in values}
    configs: list[dict[str, Any]] = [
        {"definition": None, "value": value.info(None)} for value in by_name.values() if value.name not in keys
    ]
    for key in keys.values():
        value = by_name.get(key.name)
        configs.append({"definition": key.info(), "value": None if value is None else value.info(key.type)})
    errors = sum(len(value.errors) for value in by_name.values())
    return {"name": name, "error_count": errors, "groups": list(groups), "configs": configs}


def _missing(name: str) -> ConfigError:
    return ConfigError(f'Missing required configuration "{name}" which has no default value.', name=name)


def _recommend(recommender: Recommender, name: str, parsed: Mapping[str, Any], found: ConfigValue) -> None:
    try:
        found.recommended_values = recommender.valid_values(name, parsed)
        found.visible = recommender.visible(name, parsed)
    except ConfigError as error:
        found.errors.append(str(error))


# What Java's `trim` removes: everything up to the space.
BLANKS: Final = "".join(map(chr, range(33)))
WHOLE: Final = re.compile(r"[+-]?[0-9]+")
FLOATING: Final = re.compile(r"([+-]?)(NaN|Infinity|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?")
BITS: Final = {Type.INT: 32, Type.SHORT: 16, Type.LONG: 64}
WHOLE_NAMES: Final = {Type.INT: "a 32-bit integer", Type.SHORT: "a 16-bit integer (short)"}


def parse_type(name: str, value: Any, kind: Type) -> Any:
    """Read a setting's text, or take a value that is of the type already. Raises `ConfigError`."""
    if value is None:
        return None
    if isinstance(value, str):
        return _PARSERS[kind](name, value, value.strip(BLANKS))
    expected, accepted = _TYPED[kind]
    if isinstance(value, accepted) and (kind is Type.BOOLEAN or not isinstance(value, bool)):
        return float(value) if kind is Type.DOUBLE else value
    was = "" if expected.endswith((".", "false", "name")) else f", but it was a {type(value).__name__}"
    raise invalid(name, value, f"Expected {expected}{was}")


def _parse_boolean(name: str, value: str, trimmed: str) -> bool:
    if trimmed.lower() not in {"true", "false"}:
        raise invalid(name, value, "Expected value to be either true or false")
    return trimmed.lower() == "true"


def _parse_whole(kind: Type) -> Callable[[str, str, str], int]:
    limit = 1 << (BITS[kind] - 1)

    def parse(name: str, value: str, trimmed: str) -> int:
        number = int(trimmed) if WHOLE.fullmatch(trimmed) else None
        if number is None or not -limit <= number < limit:
            raise invalid(name, value, f"Not a number of type {kind.name}")
        return number

    return parse


def _parse_double(name: str, value: str, trimmed: str) -> float:
    match = FLOATING.fullmatch(trimmed)
    if match is None:
        raise invalid(name, value, "Not a number of type DOUBLE")
    return float(match[1] + match[2])


def _parse_list(name: str, value: str, trimmed: str) -> list[str]:
    return re.split(r"[ \t\n\x0b\f\r]*,[ \t\n\x0b\f\r]*", trimmed) if trimmed else []


_PARSERS: Final[Mapping[Type, Callable[[str, str, str], Any]]] = {
    Type.BOOLEAN: _parse_boolean,
    Type.STRING: lambda _name, _value, trimmed: trimmed,
    Type.INT: _parse_whole(Type.INT),
    Type.SHORT: _parse_whole(Type.SHORT),
    Type.LONG: _parse_whole(Type.LONG),
    Type.DOUBLE: _parse_double,
    Type.LIST: _parse_list,
    Type.CLASS: lambda _name, _value, trimmed: trimmed,
    Type.PASSWORD: lambda _name, _value, trimmed: Password(trimmed),
}
_TYPED: Final[Mapping[Type, tuple[str, tuple[type[Any], ...]]]] = {
    Type.BOOLEAN: ("value to be either true or false", (bool,)),
    Type.STRING: ("value to be a string", (str,)),
    Type.INT: ("value to be a 32-bit integer", (int,)),
    Type.SHORT: ("value to be a 16-bit integer (short)", (int,)),
    Type.LONG: ("value to be a 64-bit integer (long)", (int,)),
    Type.DOUBLE: ("value to be a double", (int, float)),
    Type.LIST: ("a comma separated list.", (list,)),
    Type.CLASS: ("a Class instance or class name.", (type,)),
    Type.PASSWORD: ("value to be a string", (Password,)),
}


def to_text(value: Any, kind: Type | None) -> str | None:
    """A value as the REST interface shows it; secrets stay hidden."""
    if value is None:
        return None
    if kind is Type.LIST:
        return ",".join(map(java_text, value))
    if isinstance(value, type):
        return f"{value.__module__}:{value.__qualname__}"
    return java_text(value)


class _Prefixed:
    """A rule whose messages leave the prefix out, as Kafka's do."""

    def __init__(self, prefix: str, validator: Validator) -> None:
        self._prefix = prefix
        self._validator = validator

    def ensure_valid(self, name: str, value: Any) -> None:
        self._validator.ensure_valid(name.removeprefix(self._prefix), value)

    def __str__(self) -> str:
        return str(self._validator)


class _PrefixedRecommender:
    """A recommender that sees the settings under its prefix only, without it."""

    def __init__(self, prefix: str, recommender: Recommender) -> None:
        self._prefix = prefix
        self._recommender = recommender

    def valid_values(self, name: str, parsed: Mapping[str, Any]) -> list[Any]:
        return self._recommender.valid_values(name.removeprefix(self._prefix), self._seen(parsed))

    def visible(self, name: str, parsed: Mapping[str, Any]) -> bool:
        return self._recommender.visible(name.removeprefix(self._prefix), self._seen(parsed))

    def _seen(self, parsed: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name.removeprefix(self._prefix): value for name, value in parsed.items() if name.startswith(self._prefix)
        }
