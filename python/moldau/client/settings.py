"""What a row of the table of settings says, and how a setting that cannot be used is reported.

The rows are in `java_settings`, the rules that read them in `translation`.
"""

from __future__ import annotations

import dataclasses
import enum
import os
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from moldau.errors import MoldauError

Settings = dict[str, Any]

BOOTSTRAP_VARIABLE: Final = "MOLDAU_BOOTSTRAP_SERVERS"
DEFAULT_BOOTSTRAP: Final = "localhost:9092"


def bootstrap_of_the_environment() -> str:
    """Where a cluster is when nobody says: `MOLDAU_BOOTSTRAP_SERVERS`, as for the command line, else localhost:9092."""
    return os.environ.get(BOOTSTRAP_VARIABLE) or DEFAULT_BOOTSTRAP


class Role(enum.StrEnum):
    """Which client a setting is read by."""

    PRODUCER = "producer"
    CONSUMER = "consumer"
    ADMIN = "admin"


class Fate(enum.Enum):
    """What happens to a Java setting that librdkafka does not know by that name or in that form."""

    TRANSLATED = "translated"
    OURS = "taken by Moldau"
    WITHOUT_EFFECT = "without effect"
    REFUSED = "refused"


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One setting that cannot be used: what is wrong with it, and the next step."""

    setting: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.setting}: {self.what}" + (f"\n  hint: {self.hint}" if self.hint else "")


class ClientSettingsError(MoldauError, KafkaException, ValueError):
    """The settings of a client cannot be used; `problems` has every one of them.

    It is a `KafkaException` whose error code is `_INVALID_ARG`, because that is what confluent-kafka raises here.
    """

    def __init__(self, role: Role, problems: list[Problem]) -> None:
        lines = "\n".join(f"- {problem}" for problem in problems)
        self.role = role
        self.problems = problems
        self.text = f"{len(problems)} {role} setting{'s' if len(problems) > 1 else ''} cannot be used:\n{lines}"
        super().__init__(KafkaError(KafkaError._INVALID_ARG, self.text))  # noqa: SLF001

    def __str__(self) -> str:
        return self.text


class UnusableValueError(ValueError):
    """A converter's way to say what is wrong with a value, and the next step."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


Converter = Callable[[Any, Mapping[str, Any]], Settings]
"""(value, all settings) -> what librdkafka or Moldau is given for it. Raises UnusableValueError."""


@dataclasses.dataclass(frozen=True, slots=True)
class JavaSetting:
    """One row: a name of Kafka's Java clients, who reads it, what becomes of it, and why.

    `becomes` and `note` are what the documentation prints; `convert` is what the code does. `implies` is added where
    the user did not set it.
    """

    name: str
    roles: frozenset[Role]
    fate: Fate
    becomes: str = ""
    note: str = ""
    convert: Converter | None = None
    implies: tuple[tuple[str, Any], ...] = ()


@dataclasses.dataclass(slots=True)
class Translation:
    """`native` goes to librdkafka, `ours` is read by Moldau's own classes."""

    native: Settings
    ours: Settings
    without_effect: list[str]
