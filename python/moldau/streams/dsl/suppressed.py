"""`suppress`: what is held back, how long, and what happens when there is too much of it.

Kafka's configuration objects, frozen: `Suppressed.until_window_closes(BufferConfig.unbounded())`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from moldau.streams.durations import Duration, milliseconds


@dataclass(frozen=True, slots=True)
class BufferConfig:
    """How much may wait; when that is full, the oldest is let go early, or the application stops."""

    records: int | None = None
    bytes: int | None = None
    emits_early: bool = False
    logged: bool = True
    log_config: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def unbounded() -> BufferConfig:
        """As much as memory holds."""
        return BufferConfig()

    @staticmethod
    def max_records(limit: int) -> BufferConfig:
        """That many rows; the oldest is let go early when there are more."""
        return BufferConfig(records=limit, emits_early=True)

    @staticmethod
    def max_bytes(limit: int) -> BufferConfig:
        """That many bytes of keys and values; the oldest row is let go early when there are more."""
        return BufferConfig(bytes=limit, emits_early=True)

    def with_max_records(self, limit: int) -> BufferConfig:
        """The same with a bound in rows."""
        return replace(self, records=limit)

    def with_max_bytes(self, limit: int) -> BufferConfig:
        """The same with a bound in bytes."""
        return replace(self, bytes=limit)

    def with_no_bound(self) -> BufferConfig:
        """The same without bounds."""
        return replace(self, records=None, bytes=None, emits_early=False)

    def shut_down_when_full(self) -> BufferConfig:
        """The same, but what does not fit any more is an error: nothing is ever let go early."""
        return replace(self, emits_early=False)

    def emit_early_when_full(self) -> BufferConfig:
        """The same, but the oldest row is let go early when there is too much."""
        return replace(self, emits_early=True)

    def with_logging_disabled(self) -> BufferConfig:
        """No changelog: what waits is lost in a move."""
        return replace(self, logged=False, log_config={})

    def with_logging_enabled(self, config: Mapping[str, str] | None = None) -> BufferConfig:
        """A changelog with these topic settings."""
        return replace(self, logged=True, log_config=dict(config or {}))


@dataclass(frozen=True, slots=True)
class Suppressed:
    """What a table holds back: until its windows close, or until a time has gone by for a row."""

    buffer: BufferConfig
    wait_ms: int | None
    """None until the window closes."""
    name: str | None = None

    @staticmethod
    def until_window_closes(buffer: BufferConfig) -> Suppressed:
        """Only the last result of each window, once nothing can change it any more.

        Raises ValueError for a buffer that lets go early: what it let go might not be the last result.
        """
        if buffer.emits_early:
            raise ValueError(
                "a buffer that emits early does not wait for windows to close\n"
                "hint: BufferConfig.unbounded(), or shut_down_when_full()"
            )
        return Suppressed(buffer, None)

    @staticmethod
    def until_time_limit(wait: Duration, buffer: BufferConfig) -> Suppressed:
        """The newest of all updates to a row within `wait` of stream time after the first."""
        wait_ms = milliseconds(wait, "wait")
        if wait_ms < 0:
            raise ValueError(f"wait: not less than nothing, not {wait!r}")
        return Suppressed(buffer, wait_ms)

    def with_name(self, name: str) -> Suppressed:
        """The same with the name of the node; its store is `<name>-store`."""
        return replace(self, name=name)
