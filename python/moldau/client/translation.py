"""What may stand in the dictionary that a client is made from, and how it reaches librdkafka.

People arrive with three vocabularies: librdkafka's names, the names of Kafka's Java clients (most guides are written
for those), and typing mistakes. `translate` turns the first two into what librdkafka takes, and answers the third
with the name that was meant. The rules:

- A name that librdkafka gives effect to in that client is passed on unchanged. It is never reinterpreted.
- A Java name is looked up in `java_settings.JAVA_SETTINGS`: translated with its unit, taken by Moldau itself, left
  without effect (said once in the log), or refused with the sentence what to do instead.
- Every mistake of one dictionary is reported at once. No value is repeated in a message: it may be a password.

This module holds the rules and nothing about single settings; those are rows in `java_settings`.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaException

from moldau.client.java_settings import rows_for
from moldau.client.native_settings import CALLBACKS, NATIVE_SETTINGS
from moldau.client.settings import (
    ClientSettingsError,
    Fate,
    Problem,
    Role,
    Settings,
    Translation,
    UnusableValueError,
    bootstrap_of_the_environment,
)

logger = logging.getLogger("moldau.client")

ADDRESSES: Final = frozenset({"bootstrap.servers", "metadata.broker.list", "test.mock.num.brokers"})
"""What tells librdkafka where the cluster is; the last makes one."""


def merged(config: Mapping[str, Any] | None, keywords: Mapping[str, Any]) -> Settings:
    """The dictionary and the keyword arguments as one; `bootstrap_servers=` means `bootstrap.servers`."""
    settings = dict(config or {})
    for keyword, value in keywords.items():
        settings[keyword if keyword in CALLBACKS else keyword.replace("_", ".")] = value
    return settings


def translate(role: Role, settings: Mapping[str, Any]) -> Translation:
    """Turn Java spellings into librdkafka's. Raises ClientSettingsError with every problem there is."""
    rows = rows_for(role)
    result = Translation({}, {}, [])
    origin: dict[str, str] = {}
    problems: list[Problem] = []

    def give(target: Settings, name: str, value: Any, source: str) -> None:
        if name in origin:
            problems.append(Problem(source, f"says the same as {origin[name]}, which is set too", "keep one of them"))
        origin[name] = source
        target[name] = value

    for name, value in settings.items():
        row = rows.get(name)
        if row is None:
            give(result.native, name, plain(value), name)
        elif row.fate is Fate.REFUSED:
            problems.append(Problem(name, "has no meaning in this client", row.note))
        elif row.fate is Fate.WITHOUT_EFFECT:
            result.without_effect.append(name)
        else:
            try:
                converted = row.convert(value, settings) if row.convert else {name: value}
            except UnusableValueError as error:
                problems.append(Problem(name, str(error), error.hint))
                continue
            for target, given in converted.items():
                give(result.ours if row.fate is Fate.OURS else result.native, target, given, name)
    for name in settings:
        for implied, value in rows[name].implies if name in rows else ():
            result.native.setdefault(implied, value)
    if problems:
        strange = (name for name in result.native if name not in NATIVE_SETTINGS and name not in CALLBACKS)
        problems += [Problem(name, "is not a setting that is known here", did_you_mean(role, name)) for name in strange]
        raise ClientSettingsError(role, problems)
    if result.without_effect:
        logger.warning("%s settings without effect here: %s", role, ", ".join(sorted(result.without_effect)))
    return result


def plain(value: Any) -> Any:
    """Java clients take lists where librdkafka takes text with commas; a broker stands for its address.

    Raises RuntimeError for a `moldau.Broker` that does not run: librdkafka would dial its name in vain, for ever.
    """
    value = getattr(value, "bootstrap_servers", value)
    return ",".join(str(item) for item in value) if isinstance(value, list | tuple) else value


def explained(role: Role, native: Mapping[str, Any], error: KafkaException) -> Exception:
    """Librdkafka's refusal of an unknown name, as an error that says which name was meant; any other as it is.

    Librdkafka judges, not our list of names: a newer one may know more.
    """
    match = re.search(r'No such configuration property: "([^"]*)"', str(error))
    if match is None:
        return error
    unknown = [name for name in native if name not in NATIVE_SETTINGS and name not in CALLBACKS]
    names = unknown if match[1] in unknown else [match[1]]
    return ClientSettingsError(
        role, [Problem(name, "there is no such setting", did_you_mean(role, name)) for name in names]
    )


def did_you_mean(role: Role, name: str) -> str:
    """The nearest names that this client reads, as a sentence; empty if nothing is near."""
    candidates = sorted({*NATIVE_SETTINGS, *CALLBACKS, *rows_for(role)})
    near = difflib.get_close_matches(name.lower().replace("_", "."), candidates, n=2, cutoff=0.78)
    return f"did you mean {' or '.join(near)}?" if near else "the guide on the client lists what there is"


def construct(role: Role, call: Callable[[Settings], None], native: Settings) -> None:
    """Call confluent-kafka's constructor; say more than it does when a name is unknown.

    Without an address librdkafka makes a client that waits for ever; here it takes the one of the environment.
    """
    if ADDRESSES.isdisjoint(native):
        native = {"bootstrap.servers": bootstrap_of_the_environment(), **native}
    try:
        call(native)
    except KafkaException as error:
        raise explained(role, native, error) from None
