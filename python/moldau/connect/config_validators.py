"""Rules for the values of settings, with Kafka's names and messages. `str` of a rule is what documentation shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from moldau.connect.config_def import Validator, invalid
from moldau.connect.data.java_text import java_text
from moldau.connect.errors import ConfigError


class Range:
    """A number between `low` and `high`, both included and each left out with None."""

    def __init__(self, low: float | None = None, high: float | None = None) -> None:
        self.low = low
        self.high = high

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None:
            raise invalid(name, None, "Value must be non-null")
        if self.low is not None and value < self.low:
            raise invalid(name, value, f"Value must be at least {java_text(self.low)}")
        if self.high is not None and value > self.high:
            raise invalid(name, value, f"Value must be no more than {java_text(self.high)}")

    def __str__(self) -> str:
        low = "" if self.low is None else f"{java_text(self.low)},"
        high = "" if self.high is None else f",{java_text(self.high)}"
        return f"[{low}...{high}]"


class ValidString:
    """One of these strings."""

    def __init__(self, *allowed: str | None) -> None:
        self.allowed = allowed

    def ensure_valid(self, name: str, value: Any) -> None:
        if value not in self.allowed:
            raise invalid(name, value, f"String must be one of: {', '.join(map(java_text, self.allowed))}")

    def __str__(self) -> str:
        return f"[{', '.join(map(java_text, self.allowed))}]"


class CaseInsensitiveValidString:
    """One of these strings, in upper or lower case."""

    def __init__(self, *allowed: str) -> None:
        self.allowed = tuple(each.upper() for each in allowed)

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None or value.upper() not in self.allowed:
            raise invalid(name, value, f"String must be one of (case insensitive): {', '.join(self.allowed)}")

    def __str__(self) -> str:
        return f"(case insensitive) [{', '.join(self.allowed)}]"


class ValidList:
    """A list of these strings (of any, when none is named); `validate` refuses one that is there twice."""

    drops_doubles = True

    def __init__(self, *allowed: str, empty_allowed: bool = True, null_allowed: bool = False) -> None:
        self.each = ValidString(*allowed)
        self.empty_allowed = empty_allowed
        self.null_allowed = null_allowed

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None:
            if not self.null_allowed:
                raise ConfigError(f"Configuration '{name}' values must not be null.", name=name)
            return
        if not value and not self.empty_allowed:
            known = str(self) or "any non-empty value"
            raise ConfigError(f"Configuration '{name}' must not be empty. Valid values include: {known}", name=name)
        if len(set(value)) != len(value):
            raise ConfigError(f"Configuration '{name}' values must not be duplicated.", name=name)
        for each in value:
            if not each:
                raise ConfigError(f"Configuration '{name}' values must not be empty.", name=name)
            if self.each.allowed:
                self.each.ensure_valid(name, each)

    def __str__(self) -> str:
        return str(self.each) if self.each.allowed else ""


class NonNull:
    """Any value but none."""

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None:
            raise invalid(name, None, "entry must be non null")

    def __str__(self) -> str:
        return "non-null string"


class NonEmptyString:
    """A string with something in it; none at all is for others to judge."""

    def ensure_valid(self, name: str, value: Any) -> None:
        if value == "":
            raise invalid(name, value, "String must be non-empty")

    def __str__(self) -> str:
        return "non-empty string"


class NonEmptyStringWithoutControlChars:
    """A string with something in it that can be seen, such as a name."""

    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None:
            return
        if value == "":
            raise invalid(name, value, "String may not be empty")
        found = [str(ord(each)) for each in value if ord(each) < 32 or 127 <= ord(each) < 160]
        if found:
            codes = ", ".join(found)
            raise invalid(
                name, value, f"String may not contain control sequences but had the following ASCII chars: {codes}"
            )

    def __str__(self) -> str:
        return "non-empty string without ISO control characters"


class NonEmptyList:
    """A list with something in it."""

    def ensure_valid(self, name: str, value: Any) -> None:
        if not value:
            raise invalid(name, value, "Empty list")

    def __str__(self) -> str:
        return "non-empty list"


class ListSize:
    """A list of at most `most` elements."""

    def __init__(self, most: int) -> None:
        self.most = most

    def ensure_valid(self, name: str, value: Any) -> None:
        if len(value) > self.most:
            raise invalid(name, value, f"exceeds maximum list size of [{self.most}].")

    def __str__(self) -> str:
        return f"List containing maximum of {self.most} elements"


class AllOf:
    """Every one of these rules."""

    def __init__(self, *validators: Validator) -> None:
        self.validators = validators

    def ensure_valid(self, name: str, value: Any) -> None:
        for validator in self.validators:
            validator.ensure_valid(name, value)

    def __str__(self) -> str:
        return ", ".join(map(str, self.validators))


class Rule:
    """A rule of one's own: `check(name, value)` raises `ConfigError`, `description` says what is allowed."""

    def __init__(self, check: Callable[[str, Any], None], description: str) -> None:
        self._check = check
        self._description = description

    def ensure_valid(self, name: str, value: Any) -> None:
        self._check(name, value)

    def __str__(self) -> str:
        return self._description
