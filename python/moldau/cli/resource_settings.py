"""The settings of a broker, a topic or a group as the cluster has them: read with their origin, changed one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from moldau.cli.channel import require_no_error
from moldau.cli.connection import Connection
from moldau.cli.output import say
from moldau.client.protocol.questions import DESCRIBE_CONFIGS, INCREMENTAL_ALTER_CONFIGS

if TYPE_CHECKING:
    from concurrent.futures import Future

    from confluent_kafka.admin import AdminClient, ConfigEntry, ConfigResource

Resource = Literal["topic", "broker", "group"]
SETTING_COLUMNS: Final = ("setting", "value", "source")
BROKER_TYPE: Final = 4
SET: Final = 0
DELETE: Final = 1
"""Numbers of the protocol."""


def settings_of(admin: AdminClient, connection: Connection, resource: Resource, name: str) -> list[dict[str, Any]]:
    """Every setting of one resource: value, where it came from, whether that is a default."""
    asked = _asked(resource, name)
    entries: Mapping[str, ConfigEntry] = connection.answer(admin.describe_configs([asked])[asked])
    return [
        {
            "setting": setting,
            "value": None if entry.is_sensitive else entry.value,
            "source": _source(entry),
            "default": _source(entry) in _INHERITED[resource],
        }
        for setting, entry in sorted(entries.items())
    ]


_FROM_BROKERS: Final = frozenset({"broker, changed", "cluster, changed", "broker", "default", "unknown"})
_INHERITED: Final[Mapping[Resource, frozenset[str]]] = {
    "topic": _FROM_BROKERS,
    "group": _FROM_BROKERS,
    "broker": frozenset({"default", "unknown"}),
}
"""The sources that are not the resource's own."""


def change(
    admin: AdminClient, resource: Resource, name: str, wanted: Mapping[str, str], unwanted: Iterable[str]
) -> Future[Any]:
    """Set and unset settings of one resource; what is not named stays as it is."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry

    warn_of_unknown(resource, wanted)
    changes = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in wanted.items()]
    changes += [ConfigEntry(key, "", incremental_operation=AlterConfigOpType.DELETE) for key in unwanted]
    asked = _asked(resource, name, changes)
    future: Future[Any] = admin.incremental_alter_configs([asked])[asked]
    return future


def cluster_settings(connection: Connection) -> list[dict[str, Any]]:
    """The settings that hold for every broker. librdkafka does not let their empty name pass, so we ask ourselves."""
    resource = {"resource_type": BROKER_TYPE, "resource_name": "", "configuration_keys": None}
    with connection.channel() as channel:
        (result,) = channel.ask(DESCRIBE_CONFIGS, lambda _: {"resources": [resource]}).results
    require_no_error(result)
    return [
        {
            "setting": str(one.name),
            "value": None if one.is_sensitive else one.value,
            "source": "cluster, changed",
            "default": False,
        }
        for one in sorted(result.configs, key=lambda one: str(one.name))
    ]


def change_cluster_settings(connection: Connection, wanted: Mapping[str, str], unwanted: Iterable[str]) -> None:
    """Set and unset what holds for every broker.

    Raises:
        CommandError: the cluster refused.
    """
    warn_of_unknown("broker", wanted)
    changes = [(name, SET, value) for name, value in wanted.items()] + [(name, DELETE, None) for name in unwanted]

    configs = [{"name": name, "config_operation": operation, "value": value} for name, operation, value in changes]
    resource = {"resource_type": BROKER_TYPE, "resource_name": "", "configs": configs}
    with connection.channel() as channel:
        (result,) = channel.ask(INCREMENTAL_ALTER_CONFIGS, lambda _: {"resources": [resource]}).responses
    require_no_error(result)


def warn_of_unknown(resource: Resource, names: Iterable[str]) -> None:
    """Say which setting was probably meant. It is sent all the same: a newer broker may know more than we do."""
    from moldau.config import Scope, find, nearest

    scope = Scope(resource)
    for name in names:
        if find(scope, name) is None:
            close = nearest(name, scope)
            say(
                f"note: {name} is no {scope.value} setting of Kafka 4.3" + (f", did you mean {close}?" if close else "")
            )


def _asked(resource: Resource, name: str, changes: list[ConfigEntry] | None = None) -> ConfigResource:
    from confluent_kafka.admin import ConfigResource, ResourceType

    kinds = {"topic": ResourceType.TOPIC, "group": ResourceType.GROUP, "broker": ResourceType.BROKER}
    return ConfigResource(kinds[resource], name, incremental_configs=changes)


def _source(entry: ConfigEntry) -> str:
    from confluent_kafka.admin import ConfigSource

    names = {
        ConfigSource.DYNAMIC_TOPIC_CONFIG.value: "topic",
        ConfigSource.DYNAMIC_BROKER_CONFIG.value: "broker, changed",
        ConfigSource.DYNAMIC_DEFAULT_BROKER_CONFIG.value: "cluster, changed",
        ConfigSource.STATIC_BROKER_CONFIG.value: "broker",
        ConfigSource.DEFAULT_CONFIG.value: "default",
        ConfigSource.GROUP_CONFIG.value: "group",
    }
    # The library's stub says ConfigSource, its C code gives the number.
    return names.get(ConfigSource(entry.source).value, "unknown")
