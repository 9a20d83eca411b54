"""One scrape: every number of a node under its name, in Prometheus' text format.

What belongs to the event loop's thread (the cluster image, the groups) is collected on it; the rest is read on another
thread, and what grows with partitions and committed offsets is rendered by Rust without the GIL.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Final

from moldau._core import Core, version
from moldau.observe import families, process
from moldau.observe.exposition import Exposition
from moldau.observe.metrics import REQUESTS
from moldau.server.core_types import MetricFamily
from moldau.server.monitoring.group_standings import standings
from moldau.server.monitoring.health import Phase
from moldau.server.shell import Shell

logger: Final = logging.getLogger("moldau.server.monitoring")

RENDERED: Final = [
    MetricFamily(measure, family.name, family.kind.value, family.doc) for measure, family in families.RENDERED.items()
]

GroupOffsets = list[tuple[str, list[tuple[str, int, int]]]]


class Scraper:
    """Writes the text. It remembers only what it has warned of."""

    def __init__(self, core: Core, api_names: Mapping[int, str], limit: int) -> None:
        """`limit` is `moldau.metrics.partitions.max`."""
        self._core = core
        self._api_names = api_names
        self._limit = limit
        self._left_out = 0

    def of_node(self, phase: Phase, shell: Shell | None) -> tuple[Exposition, GroupOffsets]:
        """What the event loop's thread knows: the families that do not grow, and what groups have committed."""
        text = Exposition()
        text.values(families.BUILD_INFO, [({"version": version}, 1)])
        text.value(families.BROKER_STATE, phase)
        if shell is None:
            return text, []
        _write_cluster(text, shell)
        return text, _write_groups(text, shell)

    def rest(self, text: Exposition, groups: GroupOffsets) -> bytes:
        """The whole text; for a thread that may wait for a disk."""
        self._write_counters(text)
        numbers = process.read()
        for name, family in families.PROCESS.items():
            if name in numbers:
                text.value(family, numbers[name])
        rendered, left_out = self._core.render_metrics(RENDERED, groups, self._limit)
        text.value(families.LEFT_OUT, left_out)
        if left_out and not self._left_out:
            logger.warning(
                "%d partitions and committed offsets have no samples on /metrics: there are more than "
                "moldau.metrics.partitions.max=%d",
                left_out,
                self._limit,
            )
        self._left_out = left_out
        return text.text() + rendered

    def _write_counters(self, text: Exposition) -> None:
        counters = self._core.counters()
        counters["directories_offline"] = sum(not directory.online for directory in self._core.directories())
        for name, family in families.COUNTED.items():
            text.value(family, counters.get(name, 0))
        asked = {int(name.rpartition("_")[2]): count for name, count in counters.items() if REQUESTS.fullmatch(name)}
        text.values(families.REQUESTS, [({"request": self._api(key)}, count) for key, count in sorted(asked.items())])
        text.histogram(
            families.REQUEST_TIMES,
            [bound_us / 1000 for bound_us in self._core.REQUEST_TIME_BOUNDS_US],
            [
                ({"request": self._api(key)}, buckets, sum_us / 1000)
                for key, buckets, sum_us in self._core.request_times()
            ],
        )

    def _api(self, key: int) -> str:
        """Clients may ask for anything: keys that nobody serves share one label, or each would be a series."""
        return self._api_names.get(key, "unknown")


def _write_cluster(text: Exposition, shell: Shell) -> None:
    image = shell.metadata.machine.image
    active = sum(broker.active for broker in image.brokers.values())
    text.value(families.BROKERS, len(image.brokers))
    text.values(
        families.BROKER_INFO,
        [
            ({"id": str(broker.id), "address": f"{broker.endpoints[0].host}:{broker.endpoints[0].port}"}, 1)
            for broker in image.brokers.values()
            if broker.endpoints
        ],
    )
    # One node is the quorum: it is the controller as long as it runs.
    text.value(families.ACTIVE_CONTROLLER, 1)
    text.value(families.ACTIVE_BROKERS, active)
    text.value(families.FENCED_BROKERS, len(image.brokers) - active)
    text.value(families.TOPICS, len(image.topics))
    text.value(families.PARTITIONS, image.partition_count)


def _write_groups(text: Exposition, shell: Shell) -> GroupOffsets:
    groups = standings(shell.groups)
    text.values(families.GROUP_MEMBERS, [({"consumergroup": group.group_id}, group.members) for group in groups])
    text.value(families.GROUPS, len(groups))
    text.value(families.COMMITTED_OFFSETS, sum(len(group.offsets) for group in groups))
    return [(group.group_id, group.offsets) for group in groups]
