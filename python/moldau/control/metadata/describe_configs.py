"""Telling clients about configs: every key of a resource with its value, where it comes from, and its synonyms.

A password is never told, whoever asks. For all brokers together (a broker resource without a name) only what was set
for them is told: there are no file and no default that they share.

Source: KIP-133, KIP-226 (synonyms), KIP-569 (types and documentation), KIP-1142 (list resources), Kafka's
`ConfigHelper`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Final

from moldau.control.metadata.configs import check_broker_name
from moldau.control.metadata.effective import EffectiveConfig, Source, find_key, keys_of
from moldau.control.metadata.image import (
    BROKER_LOGGER_RESOURCE,
    BROKER_RESOURCE,
    CLIENT_METRICS_RESOURCE,
    GROUP_RESOURCE,
    TOPIC_RESOURCE,
    ConfigResource,
)
from moldau.control.metadata.situation import Situation, check_request_size
from moldau.control.metadata.topic_names import check_name
from moldau.errors import ApiError, ErrorCode

LISTABLE_TYPES: Final = frozenset(
    {TOPIC_RESOURCE, BROKER_RESOURCE, BROKER_LOGGER_RESOURCE, CLIENT_METRICS_RESOURCE, GROUP_RESOURCE}
)


@dataclass(frozen=True, slots=True)
class DescribedConfigs:
    """One resource, or why it cannot be described."""

    resource: ConfigResource
    configs: tuple[EffectiveConfig, ...] = ()
    code: ErrorCode = ErrorCode.NONE
    message: str | None = None


def describe_configs(
    situation: Situation, resources: Collection[tuple[ConfigResource, Collection[str] | None]]
) -> list[DescribedConfigs]:
    """Describe each resource, with only the keys that were asked for, or with all when none were named.

    Raises:
        ApiError: POLICY_VIOLATION, too many resources in one request.
    """
    check_request_size(len(resources), "resources")
    described = []
    for resource, names in resources:
        try:
            found = _configs_of(situation, resource)
        except ApiError as error:
            described.append(DescribedConfigs(resource, code=error.code, message=error.message))
            continue
        # A key that Kafka hides from its documentation is told only when somebody has set it.
        visible = [config for config in found if not config.key.internal or config.source is not Source.DEFAULT]
        kept = [_shown(config) for config in visible if not names or config.key.name in names]
        described.append(DescribedConfigs(resource, tuple(kept)))
    return described


def _configs_of(situation: Situation, resource: ConfigResource) -> list[EffectiveConfig]:
    configs = situation.configs
    own = situation.image.configs_of(*resource)
    match resource.type:
        case 2:
            check_name(resource.name)
            situation.topic(resource.name)
            return [configs.topic_config(key, own) for key in keys_of(TOPIC_RESOURCE).values()]
        case 4 if not resource.name:
            known = {name: key for name in own if (key := find_key(BROKER_RESOURCE, name)) is not None}
            return [_for_all_brokers(configs.broker_config(key), own[name]) for name, key in known.items()]
        case 4:
            check_broker_name(situation, resource.name)
            return [configs.broker_config(key) for key in keys_of(BROKER_RESOURCE).values()]
        case 16 | 32 if not resource.name:
            raise ApiError(ErrorCode.INVALID_REQUEST, "a group or a client metrics subscription needs a name")
        case 16 | 32:
            return [configs.own_config(resource.type, key, own) for key in keys_of(resource.type).values()]
        case 8:
            raise ApiError(ErrorCode.INVALID_REQUEST, "log levels are not told over the protocol")
        case _:
            raise ApiError(ErrorCode.INVALID_REQUEST, f"resource type {resource.type} is unknown")


def _for_all_brokers(config: EffectiveConfig, text: str) -> EffectiveConfig:
    synonyms = tuple(synonym for synonym in config.synonyms if synonym.source is Source.ALL_BROKERS)
    return replace(config, text=text, source=Source.ALL_BROKERS, synonyms=synonyms)


def _shown(config: EffectiveConfig) -> EffectiveConfig:
    if not config.key.sensitive:
        return config
    return replace(config, text=None, synonyms=tuple(replace(synonym, text=None) for synonym in config.synonyms))


def config_resources(situation: Situation, types: Collection[int]) -> tuple[ConfigResource, ...]:
    """The resources of these types: topics and brokers all, the others when they have configs."""
    found = {resource for resource in situation.image.configs if resource.type in types and resource.name}
    if TOPIC_RESOURCE in types:
        found |= {ConfigResource(TOPIC_RESOURCE, name) for name in situation.image.topics}
    for broker_type in (BROKER_RESOURCE, BROKER_LOGGER_RESOURCE):
        if broker_type in types:
            found |= {ConfigResource(broker_type, str(broker_id)) for broker_id in situation.image.brokers}
    return tuple(sorted(found))
