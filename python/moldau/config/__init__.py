"""Every configuration key, once: type, default, range, sentence, who may change it, and whether it counts here.

    key = config.find(Scope.TOPIC, "retention.ms")      # ConfigKey or None
    value = config.parse(key, "604800000")              # ConfigError: "Invalid value x for configuration y: ..."
    config.nearest("retention.mss", Scope.TOPIC)        # "retention.ms"
    config.topic_defaults(broker_values)                # what a topic without settings of its own has

Broker values travel as a mapping from name to parsed value that holds only what somebody set; defaults are added by
`broker_value` and `topic_defaults`. Nothing in this package reads a clock or a socket, and only `properties` and
`settings` read a file or the environment: `moldau.control` imports the tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from moldau.config import (
    broker_cluster,
    broker_groups,
    broker_log,
    broker_moldau,
    broker_network,
    broker_operations,
    broker_security,
    broker_tiered,
    broker_transactions,
)
from moldau.config.group import CLIENT_METRICS_KEYS, GROUP_KEYS
from moldau.config.key import ConfigError, ConfigKey, ConfigType, Dynamic, Scope, Support, Synonym, Value, parse, render
from moldau.config.topic import TOPIC_KEYS

__all__ = [
    "BROKER_KEYS",
    "CLIENT_METRICS_KEYS",
    "GROUP_KEYS",
    "KEYS",
    "TOPIC_KEYS",
    "ConfigError",
    "ConfigKey",
    "ConfigType",
    "Dynamic",
    "Scope",
    "Support",
    "Synonym",
    "Value",
    "broker_synonyms",
    "broker_value",
    "conflicts",
    "find",
    "nearest",
    "parse",
    "render",
    "topic_defaults",
]

BROKER_KEYS: Final[dict[str, ConfigKey]] = {
    **broker_network.KEYS,
    **broker_log.KEYS,
    **broker_cluster.KEYS,
    **broker_groups.KEYS,
    **broker_transactions.KEYS,
    **broker_operations.KEYS,
    **broker_security.KEYS,
    **broker_tiered.KEYS,
    **broker_moldau.KEYS,
}

KEYS: Final[Mapping[Scope, Mapping[str, ConfigKey]]] = {
    Scope.BROKER: BROKER_KEYS,
    Scope.TOPIC: TOPIC_KEYS,
    Scope.GROUP: GROUP_KEYS,
    Scope.CLIENT_METRICS: CLIENT_METRICS_KEYS,
}

_LISTENER_OVERRIDE: Final = re.compile(r"listener\.name\.[^.]+\.(.+)")
_TIME_FAMILIES: Final = (
    ("log.retention.ms", "log.retention.minutes", "log.retention.hours"),
    ("log.roll.ms", "log.roll.hours"),
    ("log.roll.jitter.ms", "log.roll.jitter.hours"),
)


def find(scope: Scope, name: str) -> ConfigKey | None:
    """The key of this name. `listener.name.<listener>.<key>` finds the broker key that it overrides for a listener."""
    key = KEYS[scope].get(name)
    if key is not None or scope is not Scope.BROKER:
        return key
    override = _LISTENER_OVERRIDE.fullmatch(name)
    if override is None:
        return None
    # With SASL a mechanism stands between: listener.name.internal.plain.sasl.jaas.config.
    return BROKER_KEYS.get(override[1]) or BROKER_KEYS.get(override[1].partition(".")[2])


def nearest(name: str, scope: Scope = Scope.BROKER) -> str | None:
    """The key that was probably meant by `name`, or `None` when nothing is close."""
    from difflib import get_close_matches

    close = get_close_matches(name.lower(), KEYS[scope], n=1, cutoff=0.75)
    return close[0] if close else None


def broker_value(values: Mapping[str, Value], name: str) -> Value:
    """What a broker key has: what was set, or its default. `KeyError` for a key that does not exist."""
    return values[name] if name in values else BROKER_KEYS[name].default


def broker_synonyms(name: str) -> tuple[str, ...]:
    """The broker keys that say the same thing, the strongest first, `name` among them (DescribeConfigs lists them)."""
    if name == "log.flush.interval.ms":
        return (name, "log.flush.scheduler.interval.ms")
    return next((family for family in _TIME_FAMILIES if name in family), (name,))


def topic_defaults(values: Mapping[str, Value]) -> dict[str, Value]:
    """What each topic key is for a topic that says nothing, given the broker values that somebody set.

    Hours and minutes are turned into milliseconds; a negative time means without limit, whatever its unit.
    """
    return {key.name: _topic_default(key, values) for key in TOPIC_KEYS.values()}


def _topic_default(key: ConfigKey, values: Mapping[str, Value]) -> Value:
    for synonym in key.synonyms:
        value = broker_value(values, synonym.name)
        if value is None:
            continue
        if synonym.factor == 1:
            return value
        assert isinstance(value, int)
        return value * synonym.factor if value >= 0 else -1
    return key.default


def conflicts(values: Mapping[str, Value]) -> list[str]:
    """What two topic settings say against each other; `values` are effective, defaults included."""
    found = []
    shortest, longest = values["min.compaction.lag.ms"], values["max.compaction.lag.ms"]
    assert isinstance(shortest, int)
    assert isinstance(longest, int)
    if shortest > longest:
        found.append(
            f"conflict topic config setting min.compaction.lag.ms ({shortest}) > max.compaction.lag.ms ({longest})"
        )
    if values["remote.storage.enable"]:
        found.append(
            "Tiered Storage functionality is disabled in the broker. "
            "Topic cannot be configured with remote log storage."
        )
    return found


def parse_all(scope: Scope, texts: Mapping[str, str]) -> tuple[dict[str, Value], list[str]]:
    """Parse every entry; the second part lists what is wrong with those that cannot be, all at once."""
    values: dict[str, Value] = {}
    problems: list[str] = []
    for name, text in texts.items():
        key = find(scope, name)
        if key is None:
            problems.append(unknown(name, scope))
            continue
        try:
            values[name] = parse(key, text)
        except ConfigError as error:
            problems.append(str(error))
    return values, problems


def unknown(name: str, scope: Scope) -> str:
    """The sentence for a key that does not exist."""
    close = nearest(name, scope)
    return f"Unknown {scope.value} config name: {name}" + (f" (did you mean {close}?)" if close else "")


def documented(keys: Iterable[ConfigKey]) -> list[ConfigKey]:
    """Those that Kafka shows in its documentation."""
    return [key for key in keys if not key.internal]
