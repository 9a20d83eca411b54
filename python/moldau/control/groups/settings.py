"""What an operator may set about groups, as plain numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """The keys `group.*`, `offset.*` and `offsets.*` that decide; the defaults are Kafka's."""

    min_session_timeout_ms: int = 6_000
    max_session_timeout_ms: int = 1_800_000
    initial_rebalance_delay_ms: int = 3_000
    max_size: int = 2**31 - 1
    offset_metadata_max_bytes: int = 4_096
    """Kafka compares the number of UTF-16 units, not of bytes, and so does the machine."""
    offsets_retention_ms: int = 7 * 24 * 60 * 60 * 1000
    offsets_retention_check_interval_ms: int = 600_000
    new_member_join_timeout_ms: int = 300_000
    """How long a JoinGroup of a member that has no member id yet may be parked (Kafka: fixed, 5 minutes)."""

    consumer_max_size: int = 2**31 - 1
    consumer_gather_ms: int = 0
    """How long the first member of an empty group waits for others, as long as assignments have a distance at all."""
    consumer_assignors: tuple[str, ...] = ("uniform", "range")
    """What members may ask for; the first is for those who do not."""
    consumer_may_upgrade: bool = True
    """Whether a classic group becomes a consumer group when a member of that protocol comes."""
    consumer_may_downgrade: bool = True
    """Whether it becomes a classic group when the last member of that protocol goes."""
    expressions_refresh_interval_ms: int = 600_000
