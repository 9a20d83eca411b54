"""What a cluster and the parts beside it keep for themselves: lists leave it out unless they are asked.

By name, because the protocol says it of no group and of Kafka's own topics alone: `__consumer_offsets` and the like,
what a schema registry calls its topic and the group in which it elects, ours and Confluent's, and what the workers of
Connect call theirs in Kafka's own configuration files, unless they were told other names.
"""

from __future__ import annotations

from typing import Final

REGISTRY_TOPIC: Final = "_schemas"
REGISTRY_GROUP: Final = "schema-registry"
CONNECT_TOPICS: Final = ("connect-configs", "connect-offsets", "connect-status")
CONNECT_GROUP: Final = "connect-cluster"


def is_internal_topic(name: str) -> bool:
    """Whether a topic is nobody's data."""
    return name.startswith("__") or name == REGISTRY_TOPIC or name in CONNECT_TOPICS


def is_internal_group(name: str) -> bool:
    """Whether a group is nobody's application."""
    return name in (REGISTRY_GROUP, CONNECT_GROUP)
