"""The value of a config, and where it comes from.

A key is looked for in layers. For a broker key: what was set for this broker, what was set for all brokers, the
node's own file, the default. A topic key is looked for in the topic first, then under the names of its broker synonyms
in those four layers, then it has its default; a synonym may count in another unit (`log.retention.hours` for
`retention.ms`). Groups and client-metrics subscriptions have a layer of their own above the default.

Nothing here changes anything; `configs` decides, `describe_configs` tells clients.

Source: KIP-226 (dynamic broker configs), KIP-412, KIP-714; Kafka's `KafkaConfigSchema`, `ConfigHelper`.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import dropwhile
from typing import Final, cast

from moldau.config import (
    BROKER_KEYS,
    KEYS,
    TOPIC_KEYS,
    ConfigError,
    ConfigKey,
    Dynamic,
    Scope,
    Value,
    broker_synonyms,
    find,
    parse,
    render,
)
from moldau.control.metadata.image import (
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    MetadataImage,
)


class Source(enum.IntEnum):
    """Where a value was set; the number is the one that DescribeConfigs sends."""

    TOPIC = 1
    BROKER = 2
    ALL_BROKERS = 3
    FILE = 4
    DEFAULT = 5
    LOGGER = 6
    CLIENT_METRICS = 7
    GROUP = 8


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """What a node knows before it has read a record."""

    node_id: int
    cluster_id: str
    file_configs: Mapping[str, str]
    """What was set in the node's properties, its environment and its flags, as text."""
    clamp_replication_factor: bool = False
    """Take the number of brokers where a topic asks for more copies than there are brokers."""


@dataclass(frozen=True, slots=True)
class SetValue:
    """One place where a key was set, under the name it was set by. The text is as it was given."""

    name: str
    text: str | None
    source: Source


@dataclass(frozen=True, slots=True)
class EffectiveConfig:
    """A key's value as it counts, and every place it was set, the strongest first."""

    key: ConfigKey
    text: str | None
    source: Source
    synonyms: tuple[SetValue, ...]
    read_only: bool = False


_OWN_LAYER: Final = {
    TOPIC_RESOURCE: Source.TOPIC,
    GROUP_RESOURCE: Source.GROUP,
    CLIENT_METRICS_RESOURCE: Source.CLIENT_METRICS,
}
SCOPES: Final = {
    TOPIC_RESOURCE: Scope.TOPIC,
    BROKER_RESOURCE: Scope.BROKER,
    GROUP_RESOURCE: Scope.GROUP,
    CLIENT_METRICS_RESOURCE: Scope.CLIENT_METRICS,
}


def find_key(resource_type: int, name: str) -> ConfigKey | None:
    """The key of this name that a resource of this type can have."""
    return find(SCOPES[resource_type], name)


def keys_of(resource_type: int) -> Mapping[str, ConfigKey]:
    """Every key that a resource of this type can have."""
    return KEYS[SCOPES[resource_type]]


class Configs:
    """Looks values up in an image. It holds no state of its own, so it is never out of date."""

    def __init__(self, image: MetadataImage, settings: NodeSettings) -> None:
        self.image = image
        self.settings = settings
        # The old name of node.id; tools that are older than KRaft look for it.
        self._file_configs = {"broker.id": str(settings.node_id), **settings.file_configs}

    def broker(self, name: str) -> Value:
        """The value of a broker key on this node."""
        key = BROKER_KEYS[name]
        return self._value(key, self.broker_text(name))

    def broker_int(self, name: str) -> int:
        return cast("int", self.broker(name))

    def broker_bool(self, name: str) -> bool:
        return cast("bool", self.broker(name))

    def broker_text(self, name: str) -> str | None:
        """The text of a broker key on this node, its default included."""
        return next((found.text for found in self._broker_layers((name,))), None)

    def topic(self, topic: str, name: str) -> Value:
        """The value of a topic key for `topic`."""
        effective = self.topic_config(TOPIC_KEYS[name], self.image.configs_of(TOPIC_RESOURCE, topic))
        return self._value(effective.key, effective.text)

    def topic_values(self, topic: str) -> dict[str, Value]:
        """Every topic key's value for `topic`: what the topic's logs are opened with."""
        own = self.image.configs_of(TOPIC_RESOURCE, topic)
        return self.values_with(own)

    def values_with(self, own: Mapping[str, str]) -> dict[str, Value]:
        """Every topic key's value for a topic that has set `own`."""
        effective = (self.topic_config(key, own) for key in TOPIC_KEYS.values())
        return {each.key.name: self._value(each.key, each.text) for each in effective}

    def topic_config(self, key: ConfigKey, own: Mapping[str, str]) -> EffectiveConfig:
        """A topic key for a topic that has set `own`."""
        layers = list(self._broker_layers(tuple(synonym.name for synonym in key.synonyms)))
        factors = {synonym.name: synonym.factor for synonym in key.synonyms}
        if key.name in own:
            text: str | None = own[key.name]
        elif layers:
            text = self._converted(key, layers[0], factors[layers[0].name])
        else:
            text = render(key.default)
        # Kafka lists a synonym only from the one that bears the key's own name on; the others are its elders.
        layers = list(dropwhile(lambda found: found.name != key.synonyms[0].name, layers))
        if key.name in own:
            layers.insert(0, SetValue(key.name, own[key.name], Source.TOPIC))
        return EffectiveConfig(key, text, layers[0].source if layers else Source.DEFAULT, tuple(layers))

    def broker_config(self, key: ConfigKey) -> EffectiveConfig:
        """A broker key on this node."""
        layers = tuple(dropwhile(lambda found: found.name != key.name, self._broker_layers(broker_synonyms(key.name))))
        return EffectiveConfig(
            key,
            layers[0].text if layers else None,
            layers[0].source if layers else Source.DEFAULT,
            layers,
            read_only=key.dynamic is Dynamic.READ_ONLY,
        )

    def own_config(self, resource_type: int, key: ConfigKey, own: Mapping[str, str]) -> EffectiveConfig:
        """A key of a group or of a client-metrics subscription that has set `own`."""
        layers: list[SetValue] = []
        default = render(key.default)
        synonym = f"group.{key.name}"
        if resource_type == GROUP_RESOURCE:
            if synonym in BROKER_KEYS:
                layers = list(self._broker_layers((synonym,)))
            elif default is not None:
                layers = [SetValue(key.name, default, Source.DEFAULT)]
        text = own.get(key.name, layers[0].text if layers else default)
        if key.name in own:
            layers.insert(0, SetValue(key.name, own[key.name], _OWN_LAYER[resource_type]))
        return EffectiveConfig(key, text, layers[0].source if layers else Source.DEFAULT, tuple(layers))

    def _broker_layers(self, names: tuple[str, ...]) -> Iterator[SetValue]:
        """Where any of `names` was set, layer by layer, and by name in the order given within a layer."""
        layers = (
            (self.image.configs_of(BROKER_RESOURCE, str(self.settings.node_id)), Source.BROKER),
            (self.image.configs_of(BROKER_RESOURCE, ""), Source.ALL_BROKERS),
            (self._file_configs, Source.FILE),
        )
        for values, source in layers:
            for name in names:
                if name in values:
                    yield SetValue(name, values[name], source)
        for name in names:
            default = render(BROKER_KEYS[name].default) if name in BROKER_KEYS else None
            if default is not None:
                yield SetValue(name, default, Source.DEFAULT)

    @staticmethod
    def _value(key: ConfigKey, text: str | None) -> Value:
        if text is None:
            return None
        try:
            return parse(key, text)
        except ConfigError:
            # What stands in the log was valid when it was written; a newer, stricter table must not stop the node.
            return key.default

    def _converted(self, key: ConfigKey, found: SetValue, factor: int) -> str | None:
        if factor == 1 or found.text is None:
            return found.text
        value = self._value(BROKER_KEYS[found.name], found.text)
        assert isinstance(value, int), f"{found.name} converts by {factor}, so it is a number"
        return str(value if value < 0 else value * factor)
