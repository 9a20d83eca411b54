"""Metrics, quotas and plug-ins.

Facts are Apache Kafka 4.3's; the sentences and the reasons are ours. How to read a row: `key.row`.
"""

from __future__ import annotations

from typing import Final

from moldau.config.key import AtLeast, ConfigKey, ListOf, row, table
from moldau.config.words import CLASS, CLUSTER_WIDE, INT, JAVA, LIST, LONG, METRICS, MOVES, ONE_NODE, STRING

KEYS: Final[dict[str, ConfigKey]] = table(
    row(INT, "metrics.num.samples", 2, "Windows over which a rate is measured.", AtLeast(1), no_effect=METRICS),
    row(LONG, "metrics.sample.window.ms", 30_000, "Length of such a window.", AtLeast(1), no_effect=METRICS),
    row(
        LIST,
        "metric.reporters",
        ("org.apache.kafka.common.metrics.JmxReporter",),
        "Java classes that report metrics.",
        ListOf(),
        dynamic=CLUSTER_WIDE,
        no_effect=METRICS,
    ),
    row(STRING, "metrics.recording.level", "INFO", "How much is measured.", no_effect=METRICS),
    row(
        LIST, "kafka.metrics.reporters", (), "Java classes that report the older metrics.", ListOf(), no_effect=METRICS
    ),
    row(INT, "kafka.metrics.polling.interval.secs", 10, "How often they report.", AtLeast(1), no_effect=METRICS),
    row(INT, "quota.window.num", 11, "Windows over which client quotas are measured.", AtLeast(1)),
    row(INT, "quota.window.size.seconds", 1, "Length of such a window.", AtLeast(1)),
    row(
        INT,
        "replication.quota.window.num",
        11,
        "Windows over which replication is measured.",
        AtLeast(1),
        no_effect=ONE_NODE,
    ),
    row(INT, "replication.quota.window.size.seconds", 1, "Length of such a window.", AtLeast(1), no_effect=ONE_NODE),
    row(
        INT,
        "alter.log.dirs.replication.quota.window.num",
        11,
        "Windows over which moves between directories are measured.",
        AtLeast(1),
        no_effect=MOVES,
    ),
    row(
        INT,
        "alter.log.dirs.replication.quota.window.size.seconds",
        1,
        "Length of such a window.",
        AtLeast(1),
        no_effect=MOVES,
    ),
    row(
        INT,
        "controller.quota.window.num",
        11,
        "Windows over which changes of topics are measured.",
        AtLeast(1),
    ),
    row(INT, "controller.quota.window.size.seconds", 1, "Length of such a window.", AtLeast(1)),
    row(
        CLASS, "client.quota.callback.class", None, "A Java class that decides which quota counts.", not_applicable=JAVA
    ),
    row(
        LIST,
        "config.providers",
        (),
        "Names of providers that put values in place of ${provider:path:key}.",
        ListOf(),
        dynamic=CLUSTER_WIDE,
        not_applicable=JAVA,
    ),
)
