"""The few broker settings that Kafka does not have. Every one begins with `moldau.`."""

from __future__ import annotations

from typing import Final

from moldau.config.key import AtLeast, ConfigKey, Matching, row, table
from moldau.config.words import BOOLEAN, INT, STRING

PORT: Final = "[0-9]{1,4}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"

KEYS: Final[dict[str, ConfigKey]] = table(
    row(
        BOOLEAN,
        "moldau.replication.factor.clamp",
        default=False,
        doc="Whether a replication factor above the number of nodes is lowered to it instead of refused; "
        "moldau up turns it on.",
    ),
    row(
        BOOLEAN,
        "moldau.fsync.enable",
        default=True,
        doc="Whether anything is ever forced to disk; off only for a broker whose directory is thrown away.",
    ),
    row(
        STRING,
        "moldau.http.listener",
        None,
        "Where /metrics, /livez and /readyz are served, as host:port; nowhere when it is not set. Port 0 takes a free "
        "one. moldau up sets it to port 9644 of its own address.",
        Matching(rf"(\[[0-9a-fA-F:.]+\]|[^\s:\[\]]*):({PORT})", "host:port"),
    ),
    row(
        INT,
        "moldau.metrics.partitions.max",
        5_000,
        "How many partitions, and how many committed offsets, have samples of their own on /metrics; the totals of the "
        "node count all of them.",
        AtLeast(0),
    ),
)
