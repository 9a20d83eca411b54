"""`moldau config`: the settings of brokers, topics and groups with the origin of each value, and what a key means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection, pairs
from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output
from moldau.cli.resource_settings import (
    SETTING_COLUMNS,
    Resource,
    change,
    change_cluster_settings,
    cluster_settings,
    settings_of,
)
from moldau.cli.several import report
from moldau.config import KEYS, ConfigKey, Dynamic, Scope, Support, find, render

CLUSTER_DEFAULT: Final = "default"
"""The name under which brokers have the settings that hold for all of them; Kafka's protocol says an empty one."""
What = Annotated[Resource, Parameter(help="What it is.")]
Name = Annotated[str, Parameter(help="Its name; of a broker its id, or default for what holds for all brokers.")]


def show_config(
    resource: What,
    name: Name,
    /,
    *,
    every_setting: Annotated[bool, Parameter(name=["--all", "-a"], negative=())] = False,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Show the settings of a topic, a broker or a group, each with where its value comes from.

    Parameters
    ----------
    every_setting
        Also the settings that nobody set.
    """
    if _is_for_all_brokers(resource, name):
        settings = cluster_settings(connection)
    else:
        settings = settings_of(connection.admin(), connection, resource, name)
    shown = [one for one in settings if every_setting or not one["default"]]
    output.records(shown, SETTING_COLUMNS)


def set_config(
    resource: What,
    name: Name,
    /,
    *settings: str,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Change settings of a topic, a broker or a group; what is not named stays as it is.

    Parameters
    ----------
    settings
        What to set, as key=value.
    """
    if not settings:
        raise UsageError("nothing to set", "moldau config set topic orders retention.ms=3600000")
    _change(resource, name, pairs(list(settings)), (), connection, output)


def unset_config(
    resource: What,
    name: Name,
    /,
    *settings: str,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Give settings of a topic, a broker or a group their default again.

    Parameters
    ----------
    settings
        The keys.
    """
    if not settings:
        raise UsageError("nothing to unset", "moldau config unset topic orders retention.ms")
    _change(resource, name, {}, settings, connection, output)


def _is_for_all_brokers(resource: Resource, name: str) -> bool:
    return resource == "broker" and name == CLUSTER_DEFAULT


def _change(
    resource: Resource,
    name: str,
    wanted: Mapping[str, str],
    unwanted: Sequence[str],
    connection: Connection,
    output: Output,
) -> None:
    if _is_for_all_brokers(resource, name):
        change_cluster_settings(connection, wanted, unwanted)
        output.records([{"name": name, "result": "changed"}], ("name", "result"))
        return
    future = change(connection.admin(), resource, name, wanted, unwanted)
    report("name", {name: future}, "changed", connection, output)


def explain_config(key: str, /, *, output: Output = Output()) -> None:
    """Say what a setting is: type, default, who may change it, and what it does here.

    Parameters
    ----------
    key
        Its name, as retention.ms.
    """
    found = [(scope, row) for scope in KEYS for row in (find(scope, key),) if row is not None]
    if not found:
        from difflib import get_close_matches

        close = get_close_matches(key.lower(), {name for keys in KEYS.values() for name in keys}, n=1)
        raise RefusedError(f"{key} is no setting of Kafka 4.3", f"did you mean {close[0]}?" if close else None)
    records = [_explained(scope, row) for scope, row in found]
    if not output.for_eyes:
        output.records(records, ())
        return
    for number, record in enumerate(records):
        if number:
            print()
        columns = [name for name, value in record.items() if value not in (None, "", [])]
        output.record(record, columns)


def _explained(scope: Scope, key: ConfigKey) -> dict[str, Any]:
    default = render(key.default)
    return {
        "key": key.name,
        "scope": scope.value,
        "type": key.type.name.lower(),
        "default": None if key.required or key.sensitive else default,
        "valid": key.valid_values or None,
        "changes": _changes(scope, key),
        "default_from": [synonym.name for synonym in key.synonyms],
        "what": key.doc,
        "here": key.support.value,
        "instead": key.reason or None if key.support is not Support.HONOURED else None,
    }


def _changes(scope: Scope, key: ConfigKey) -> str:
    if scope is not Scope.BROKER:
        return "at any time"
    return {
        Dynamic.READ_ONLY: "at the start of the broker",
        Dynamic.PER_BROKER: "at any time, broker by broker",
        Dynamic.CLUSTER_WIDE: "at any time, for one broker or for all",
    }[key.dynamic]
