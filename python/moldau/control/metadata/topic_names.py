"""What a topic may be called.

A name is a folder, a part of metric names and of error messages, so it is kept to ASCII letters, digits, dot, dash and
underscore. Metric names turn dots into underscores: two topics that differ in nothing else would share their metrics,
and so the second one is refused.
"""

from __future__ import annotations

import re
from typing import Final

from moldau.errors import ApiError, ErrorCode

CLUSTER_METADATA: Final = "__cluster_metadata"
CONSUMER_OFFSETS: Final = "__consumer_offsets"
TRANSACTION_STATE: Final = "__transaction_state"
SHARE_GROUP_STATE: Final = "__share_group_state"
INTERNAL_TOPICS: Final = frozenset({CONSUMER_OFFSETS, TRANSACTION_STATE, SHARE_GROUP_STATE})

NAME_LENGTH_MAX: Final = 249
_LEGAL: Final = re.compile(r"[a-zA-Z0-9._-]+")


def check_name(name: str) -> None:
    """Refuse a name that no topic can have.

    Raises:
        ApiError: INVALID_TOPIC_EXCEPTION.
    """
    problem = None
    if not name:
        problem = "a topic name may not be empty"
    elif name in {".", ".."}:
        problem = f"a topic may not be called {name!r}"
    elif len(name) > NAME_LENGTH_MAX:
        problem = f"a topic name may have {NAME_LENGTH_MAX} characters, this one has {len(name)}"
    elif not _LEGAL.fullmatch(name):
        problem = f"topic name {name!r} has characters other than ASCII letters, digits, '.', '_' and '-'"
    if problem is not None:
        raise ApiError(ErrorCode.INVALID_TOPIC_EXCEPTION, problem)


def metric_name(name: str) -> str:
    """The name under which a topic's metrics stand; topics with the same one collide."""
    return name.replace(".", "_")


def shares_metric_names(name: str) -> bool:
    """Whether another topic could have the same `metric_name`."""
    return "." in name or "_" in name
