"""Cases that were recorded from Java, run in our classes and compared."""

import re
from typing import Any

from tests.golden.connect.as_json import comparable, record_of, typed, written

from moldau.connect.data.values import parse_string
from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugin import Predicate
from moldau.connect.plugins import Kind, Plugins

PLUGINS = Plugins()


def by_name(cases: list[dict[str, Any]]) -> dict[str, Any]:
    """The arguments of `parametrize`."""
    return {"argvalues": cases, "ids": [re.sub(r"[^\w$.,:=-]+", "_", case["name"]) for case in cases]}


def outcome_of(case: dict[str, Any]) -> dict[str, Any]:
    """What comes of a case here."""
    if "text" in case:
        return {"parsed": typed(*parse_string(case["text"]))}
    plugin = PLUGINS.find(case["class"], Kind.TRANSFORMATION, Kind.PREDICATE)()
    try:
        plugin.configure(case["config"])
    except ConfigError:
        return {"failed": "configure"}
    try:
        record = record_of(case["record"])
        before = written(record)
        made = plugin.test(record) if isinstance(plugin, Predicate) else plugin.apply(record)
    except ConnectError:
        return {"failed": "apply"}
    assert written(record) == before, "a record that goes in is not changed"
    if isinstance(plugin, Predicate):
        return {"is": made}
    return {"dropped": True} if made is None else {"record": written(made)}


def agree(ours: dict[str, Any], recorded: dict[str, Any]) -> bool:
    """Whether both are the same; what Java says about a failure is its own."""
    expected = {name: value for name, value in recorded.items() if name != "error"}
    return bool(comparable(ours) == comparable(expected))
