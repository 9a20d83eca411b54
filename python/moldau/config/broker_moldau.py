"""The few broker settings that Kafka does not have. Every one begins with `moldau.`."""

from __future__ import annotations

from typing import Final

from moldau.config.key import ConfigKey, row, table
from moldau.config.words import BOOLEAN

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
)
