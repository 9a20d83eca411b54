"""The stores of windows, sessions and joins: how long they keep what they are given."""

from __future__ import annotations

from typing import Any

from moldau.streams.dsl.options import Materialized
from moldau.streams.topology.nodes import StoreSpec


def window_store(
    stored: Materialized[Any, Any], name: str, size_ms: int, needed_ms: int, *, emits_on_close: bool
) -> StoreSpec:
    """The store of windows; it keeps them at least as long as they take records (`needed_ms`)."""
    return StoreSpec(
        name,
        "window",
        stored.key,
        stored.value,
        logged=stored.logged,
        in_memory=stored.in_memory,
        cached=stored.cached and not emits_on_close,
        retention_ms=_retention(stored, name, needed_ms),
        window_size_ms=size_ms,
        emits_on_close=emits_on_close,
        log_config=stored.log_config,
    )


def session_store(stored: Materialized[Any, Any], name: str, needed_ms: int, *, emits_on_close: bool) -> StoreSpec:
    """The store of sessions."""
    return StoreSpec(
        name,
        "session",
        stored.key,
        stored.value,
        logged=stored.logged,
        in_memory=stored.in_memory,
        cached=stored.cached and not emits_on_close,
        retention_ms=_retention(stored, name, needed_ms),
        emits_on_close=emits_on_close,
        log_config=stored.log_config,
    )


def _retention(stored: Materialized[Any, Any], name: str, needed_ms: int) -> int:
    retention = needed_ms if stored.retention_ms is None else stored.retention_ms
    if retention < needed_ms:
        raise ValueError(
            f"store {name} keeps windows for {retention} ms, but they take records for {needed_ms} ms\n"
            f"hint: a retention of {needed_ms} ms or more"
        )
    return retention
