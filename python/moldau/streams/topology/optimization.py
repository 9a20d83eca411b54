"""The words of `topology.optimization`, and what they stand for."""

from __future__ import annotations

from typing import Any, Final

SETTING: Final = "topology.optimization"
NONE: Final = "none"
ALL: Final = "all"
REUSE_SOURCE_TOPICS: Final = "reuse.ktable.source.topics"
MERGE_REPARTITION_TOPICS: Final = "merge.repartition.topics"
SINGLE_STORE_SELF_JOIN: Final = "single.store.self.join"
_RULES: Final = frozenset({REUSE_SOURCE_TOPICS, MERGE_REPARTITION_TOPICS, SINGLE_STORE_SELF_JOIN})


def rules_of(value: Any) -> frozenset[str]:
    """The rules that a setting names: `none`, `all`, or some of them with commas between.

    Raises:
        ValueError: it names something else, or `none` or `all` together with others.
    """
    names = {name.strip() for name in str(value).split(",")}
    if names == {NONE}:
        return frozenset()
    if names == {ALL}:
        return _RULES
    if not names <= _RULES:
        words = ", ".join((NONE, ALL, *sorted(_RULES)))
        raise ValueError(f"must be one of {words}, or several of the last three with commas between, not {value!r}")
    return frozenset(names)
