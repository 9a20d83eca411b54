"""A dashboard for Grafana, made from the names that a node reports, so that it cannot ask for one that there is not.

Rates are over Grafana's own `$__rate_interval`; the data source, the job, the topics and the groups are chosen in the
page. Source: Grafana's dashboard JSON model, schema version 39 (Grafana 10 and newer).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from moldau.observe import families
from moldau.observe.families import COUNTED, PROCESS, RENDERED

COLUMNS: Final = 24
"""Grafana's grid."""
PANEL_WIDTH: Final = 8
PANEL_HEIGHT: Final = 8
JOB: Final = 'job="$job"'
TOPICS: Final = f'{JOB},topic=~"$topic"'
GROUPS: Final = f'{JOB},consumergroup=~"$group",topic=~"$topic"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One graph: what it asks, how each line is called, and the unit by Grafana's name."""

    title: str
    queries: tuple[tuple[str, str], ...]
    unit: str = "short"


def _rate(name: str, labels: str, by: str) -> str:
    return f"sum by ({by}) (rate({name}{{{labels}}}[$__rate_interval]))"


def _sum(name: str, labels: str, by: str) -> str:
    return f"sum by ({by}) ({name}{{{labels}}})"


def _quantile(quantile: str) -> str:
    buckets = _rate(f"{families.REQUEST_TIMES.name}_bucket", JOB, "le, request")
    return f"histogram_quantile({quantile}, {buckets})"


PANELS: Final = (
    Panel(
        "Consumer lag, records",
        ((_sum(RENDERED["group_lag"].name, GROUPS, "consumergroup, topic"), "{{consumergroup}} {{topic}}"),),
    ),
    Panel(
        "Committed per second",
        (
            (
                f"sum by (consumergroup, topic) (deriv({RENDERED['group_offset'].name}{{{GROUPS}}}[$__rate_interval]))",
                "{{consumergroup}} {{topic}}",
            ),
        ),
    ),
    Panel(
        "Members of groups", ((f'{families.GROUP_MEMBERS.name}{{{JOB},consumergroup=~"$group"}}', "{{consumergroup}}"),)
    ),
    Panel("Records in per second", ((_rate(RENDERED["topic_messages_in"].name, TOPICS, "topic"), "{{topic}}"),)),
    Panel("Bytes in per second", ((_rate(RENDERED["topic_bytes_in"].name, TOPICS, "topic"), "{{topic}}"),), "Bps"),
    Panel("Bytes out per second", ((_rate(RENDERED["topic_bytes_out"].name, TOPICS, "topic"), "{{topic}}"),), "Bps"),
    Panel("Requests per second", ((_rate(families.REQUESTS.name, JOB, "request"), "{{request}}"),), "reqps"),
    Panel("99 % of requests are answered within", ((_quantile("0.99"), "{{request}}"),), "ms"),
    Panel("Half of the requests are answered within", ((_quantile("0.5"), "{{request}}"),), "ms"),
    Panel("Size of topics", ((_sum(RENDERED["bytes"].name, TOPICS, "topic"), "{{topic}}"),), "bytes"),
    Panel(
        "Partitions in trouble",
        (
            (_sum(RENDERED["partitions_offline"].name, JOB, "instance"), "offline on {{instance}}"),
            (_sum(RENDERED["partitions_under_replicated"].name, JOB, "instance"), "under-replicated on {{instance}}"),
            (_sum(RENDERED["partitions_under_min_isr"].name, JOB, "instance"), "under min.insync on {{instance}}"),
            (_sum(RENDERED["partitions_without_leader"].name, JOB, "instance"), "without a leader"),
            (_sum(COUNTED["directories_offline"].name, JOB, "instance"), "directories failed on {{instance}}"),
        ),
    ),
    Panel(
        "Refused partitions per second",
        (
            (_rate(COUNTED["failed_produce_partitions"].name, JOB, "instance"), "produce on {{instance}}"),
            (_rate(COUNTED["failed_fetch_partitions"].name, JOB, "instance"), "fetch on {{instance}}"),
        ),
    ),
    Panel("Connections", ((_sum(COUNTED["connections_open"].name, JOB, "instance"), "{{instance}}"),)),
    Panel("Memory of the process", ((f"{PROCESS['resident_bytes'].name}{{{JOB}}}", "{{instance}}"),), "bytes"),
    Panel("Processors in use", ((_rate(PROCESS["cpu_seconds"].name, JOB, "instance"), "{{instance}}"),)),
)


def dashboard() -> dict[str, Any]:
    """The dashboard, to be imported or provisioned."""
    return {
        "uid": "moldau",
        "title": "Moldau",
        "tags": ["kafka", "moldau"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": _variables()},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _variables() -> list[dict[str, Any]]:
    choices = (
        ("job", f"label_values({families.BROKER_STATE.name}, job)", False),
        ("topic", f"label_values({RENDERED['topic_partitions'].name}{{{JOB}}}, topic)", True),
        ("group", f"label_values({families.GROUP_MEMBERS.name}{{{JOB}}}, consumergroup)", True),
    )
    source = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return [source, *(_variable(name, query, several=several) for name, query, several in choices)]


def _variable(name: str, query: str, *, several: bool) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "multi": several,
        "includeAll": several,
        "allValue": ".+" if several else None,
        "current": {"text": "All", "value": "$__all"} if several else {},
    }


SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS // PANEL_WIDTH)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": column * PANEL_WIDTH, "y": row * PANEL_HEIGHT, "w": PANEL_WIDTH, "h": PANEL_HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for index, (query, legend) in enumerate(panel.queries)
        ],
    }
