"""What one configuration key is: its type, its default, what it may be, who may change it, and whether it counts here.

The tables (`broker_*`, `topic`, `group`) declare every key of Apache Kafka 4.3 once with the constructors below.
Validation, DescribeConfigs, the reference pages and the command line read the same rows. This module may not read a
file, an environment variable or a clock: `moldau.control` imports it.

Types, names, defaults and ranges are Kafka's, and so is the wording of a refusal, because clients and their users
look for it ("Invalid value x for configuration y: Not a number of type INT").
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from typing import Final

from moldau.errors import MoldauError

Value = bool | int | float | str | tuple[str, ...] | None
"""What a key can hold: `None` only where Kafka's default is null."""


class ConfigType(enum.IntEnum):
    """The type of a key; the number is what DescribeConfigs sends."""

    BOOLEAN = 1
    STRING = 2
    INT = 3
    SHORT = 4
    LONG = 5
    DOUBLE = 6
    LIST = 7
    CLASS = 8
    PASSWORD = 9


class Scope(enum.Enum):
    """What a key belongs to."""

    BROKER = "broker"
    TOPIC = "topic"
    GROUP = "group"
    CLIENT_METRICS = "client-metrics"


class Dynamic(enum.Enum):
    """When a broker key may change: only in the file, for one running broker, or for the cluster at once.

    Keys of topics, groups and client metrics are always dynamic.
    """

    READ_ONLY = "read-only"
    PER_BROKER = "per-broker"
    CLUSTER_WIDE = "cluster-wide"


class Support(enum.Enum):
    """What setting the key does here."""

    HONOURED = "honoured"
    NO_EFFECT = "accepted without effect"
    NOT_APPLICABLE = "not applicable"


class ConfigError(MoldauError):
    """A value that a key cannot have. `str()` is Kafka's sentence."""

    def __init__(self, name: str, text: str | None, problem: str) -> None:
        super().__init__(f"Invalid value {text} for configuration {name}: {problem}")
        self.name = name
        self.text = text
        self.problem = problem


# What a value must be, beyond its type. A check returns the complaint, or None.


@dataclass(frozen=True, slots=True)
class AtLeast:
    """`[lowest,...]`"""

    lowest: float

    def __str__(self) -> str:
        return f"[{self.lowest},...]"

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        assert isinstance(value, int | float)
        return f"Value must be at least {self.lowest}" if value < self.lowest else None


@dataclass(frozen=True, slots=True)
class Between:
    """`[lowest,...,highest]`, both inclusive; `besides` names one value outside of the range that is allowed too."""

    lowest: float
    highest: float
    besides: float | None = None

    def __str__(self) -> str:
        return f"[{self.lowest},...,{self.highest}]" + (f" or {self.besides}" if self.besides is not None else "")

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        assert isinstance(value, int | float)
        if self.besides is not None:
            allowed = value == self.besides or self.lowest <= value <= self.highest
            return None if allowed else f"Value must be between {self.lowest} and {self.highest} or {self.besides}"
        if value < self.lowest:
            return f"Value must be at least {self.lowest}"
        return f"Value must be no more than {self.highest}" if value > self.highest else None


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of these words; with `any_case`, however it is capitalised."""

    words: tuple[str, ...]
    any_case: bool = False

    def __str__(self) -> str:
        return ("(case insensitive) " if self.any_case else "") + f"[{', '.join(self.words)}]"

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        assert isinstance(value, str)
        if self.any_case:
            known = {word.lower() for word in self.words}
            return (
                None if value.lower() in known else f"String must be one of (case insensitive): {', '.join(self.words)}"
            )
        return None if value in self.words else f"String must be one of: {', '.join(self.words)}"


@dataclass(frozen=True, slots=True)
class ListOf:
    """Each of the words at most once, from these when any are named; `may_be_empty` or not."""

    words: tuple[str, ...] = ()
    may_be_empty: bool = True

    def __str__(self) -> str:
        return f"[{', '.join(self.words)}]" if self.words else ("" if self.may_be_empty else "non-empty list")

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        assert isinstance(value, tuple)
        if not value and not self.may_be_empty:
            return "The list must not be empty" + (f". Valid values include: {self}" if self.words else "")
        if len(set(value)) != len(value):
            return "The values must not be duplicated"
        if any(not word for word in value):
            return "The values must not be empty"
        if self.words and any(word not in self.words for word in value):
            return f"String must be one of: {', '.join(self.words)}"
        return None


@dataclass(frozen=True, slots=True)
class NonEmpty:
    """A string with at least one character."""

    def __str__(self) -> str:
        return "non-empty string"

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        return None if value else "String must be non-empty"


@dataclass(frozen=True, slots=True)
class Matching:
    """A string, or every entry of a list, of one shape; `shape` says it in words."""

    pattern: str
    shape: str

    def __str__(self) -> str:
        return self.shape

    def complaint(self, value: Value) -> str | None:
        """Say what is wrong with `value`, or `None`."""
        entries = value if isinstance(value, tuple) else (str(value),)
        return None if all(re.fullmatch(self.pattern, entry) for entry in entries) else f"Expected {self.shape}"


Check = AtLeast | Between | OneOf | ListOf | NonEmpty | Matching


@dataclass(frozen=True, slots=True)
class Synonym:
    """A broker key that gives a topic key its default, and by what its value is multiplied (hours to milliseconds)."""

    name: str
    factor: int = 1


@dataclass(frozen=True, slots=True)
class ConfigKey:
    """One row of a table."""

    name: str
    type: ConfigType
    default: Value
    doc: str
    """One sentence, ours."""
    check: Check | None = None
    dynamic: Dynamic = Dynamic.READ_ONLY
    support: Support = Support.HONOURED
    reason: str = ""
    """Why setting the key has no effect, when it has none."""
    required: bool = False
    """Kafka has no default and does not start without it. `moldau up` fills it in."""
    internal: bool = False
    """Kafka hides it from its documentation."""
    scope: Scope = Scope.BROKER
    synonyms: tuple[Synonym, ...] = ()
    """Of a topic key: the broker keys that give its default, the strongest first."""

    @property
    def sensitive(self) -> bool:
        """Whether its value may never be shown."""
        return self.type is ConfigType.PASSWORD

    @property
    def valid_values(self) -> str:
        """Its range or its words, as Kafka's documentation writes them; empty when anything of the type is valid."""
        return str(self.check) if self.check is not None else ""


_WHOLE_NUMBER: Final = re.compile(r"[+-]?[0-9]+")
_REAL_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?[dDfF]?")
_BITS: Final = {ConfigType.SHORT: 16, ConfigType.INT: 32, ConfigType.LONG: 64}


def parse(key: ConfigKey, text: str) -> Value:
    """Turn `text`, as it stands in a file or a request, into the key's value.

    Raises:
        ConfigError: it is not of the key's type, or out of its range.
    """
    trimmed = text.strip()
    value = _parse_type(key, trimmed, text)
    complaint = key.check.complaint(value) if key.check is not None else None
    if complaint is not None:
        raise ConfigError(key.name, "[hidden]" if key.sensitive else trimmed, complaint)
    return value


def _parse_type(key: ConfigKey, trimmed: str, text: str) -> Value:
    if key.type is ConfigType.BOOLEAN:
        lowered = trimmed.lower()
        if lowered not in ("true", "false"):
            raise ConfigError(key.name, text, "Expected value to be either true or false")
        return lowered == "true"
    if key.type in _BITS:
        bound = 1 << (_BITS[key.type] - 1)
        # The length is checked first: turning a million digits into a number is slow on purpose in Python.
        if len(trimmed) > 40 or not _WHOLE_NUMBER.fullmatch(trimmed) or not -bound <= int(trimmed) < bound:
            raise ConfigError(key.name, text, f"Not a number of type {key.type.name}")
        return int(trimmed)
    if key.type is ConfigType.DOUBLE:
        if len(trimmed) > 400 or not _REAL_NUMBER.fullmatch(trimmed):
            raise ConfigError(key.name, text, "Not a number of type DOUBLE")
        return float(trimmed.rstrip("dDfF"))
    if key.type is ConfigType.LIST:
        return tuple(re.split(r"\s*,\s*", trimmed)) if trimmed else ()
    return trimmed


def render(value: Value) -> str | None:
    """Write a value as Kafka writes it into a file or an answer; `None` stays `None`."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ",".join(value)
    return render_real(value) if isinstance(value, float) else str(value)


def render_real(value: float) -> str:
    """Write a number as Java's `Double.toString` does, which is what DescribeConfigs shows."""
    if value != 0 and not 1e-3 <= abs(value) < 1e7:
        mantissa, _, exponent = f"{value!r}".partition("e") if "e" in repr(value) else _scientific(value)
        return f"{mantissa if '.' in mantissa else mantissa + '.0'}E{int(exponent)}"
    return repr(float(value))


def _scientific(value: float) -> tuple[str, str, str]:
    digits = repr(value).lstrip("-").replace(".", "").lstrip("0").rstrip("0")
    exponent = int(f"{value:e}".partition("e")[2])
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}.{digits[1:] or '0'}", "e", str(exponent)


def row(
    config_type: ConfigType,
    name: str,
    default: Value,
    doc: str,
    check: Check | None = None,
    *,
    dynamic: Dynamic = Dynamic.READ_ONLY,
    no_effect: str = "",
    not_applicable: str = "",
    required: bool = False,
    internal: bool = False,
    scope: Scope = Scope.BROKER,
    synonyms: tuple[Synonym, ...] = (),
) -> ConfigKey:
    """Make one row; `no_effect` or `not_applicable` is the reason why the key does not count here."""
    assert not (no_effect and not_applicable), name
    support = Support.NO_EFFECT if no_effect else Support.NOT_APPLICABLE if not_applicable else Support.HONOURED
    return ConfigKey(
        name=name,
        type=config_type,
        default=default,
        doc=doc,
        check=check,
        dynamic=dynamic,
        support=support,
        reason=no_effect or not_applicable,
        required=required,
        internal=internal,
        scope=scope,
        synonyms=synonyms,
    )


def table(*rows: ConfigKey) -> dict[str, ConfigKey]:
    """Rows by name, in the order in which they are written."""
    by_name = {key.name: key for key in rows}
    assert len(by_name) == len(rows), "a key is declared twice"
    return by_name
