"""What a reader is told, in librdkafka's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

EARLIEST: Final = -2
"""Instead of an offset: where the partition begins. It is Kafka's number for that, as are the others."""
LATEST: Final = -1
"""Instead of an offset: where the partition ends."""

Reset = Literal["earliest", "latest", "none"]

_RESETS: Final[Mapping[str, Reset]] = {
    "beginning": "earliest",
    "earliest": "earliest",
    "end": "latest",
    "error": "none",
    "largest": "latest",
    "latest": "latest",
    "none": "none",
    "smallest": "earliest",
}
_KILOBYTE: Final = 1024


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Sizes in bytes, times in ms; the defaults are librdkafka's, but for how long an idle broker is left waiting."""

    read_committed: bool = True
    """Whether records of open and aborted transactions are left out."""
    reset: Reset = "latest"
    """Where to go on when there is no offset, or it is not there any more."""
    min_bytes: int = 1
    max_bytes: int = 50 << 20
    partition_max_bytes: int = 1 << 20
    max_wait_ms: int = 100
    """How long a broker waits for records: so long a partition that is new to it has to wait, too."""
    waiting_bytes_max: int = 64 << 20
    """How much may lie here unread before nothing more is asked for."""
    retry_backoff_ms: int = 100
    rack: str = ""


def fetch_settings(native: Mapping[str, Any]) -> FetchSettings:
    """What a consumer's settings say of fetching; all else in them is left alone."""

    def number(default: int, *names: str) -> int:
        return next((int(native[name]) for name in names if native.get(name) is not None), default)

    default = FetchSettings()
    return FetchSettings(
        read_committed=str(native.get("isolation.level", "read_committed")).lower() == "read_committed",
        reset=_RESETS[str(native.get("auto.offset.reset", "largest")).lower()],
        min_bytes=number(default.min_bytes, "fetch.min.bytes"),
        max_bytes=number(default.max_bytes, "fetch.max.bytes"),
        partition_max_bytes=number(default.partition_max_bytes, "max.partition.fetch.bytes", "fetch.message.max.bytes"),
        max_wait_ms=number(default.max_wait_ms, "fetch.wait.max.ms"),
        waiting_bytes_max=_KILOBYTE * number(default.waiting_bytes_max // _KILOBYTE, "queued.max.messages.kbytes"),
        retry_backoff_ms=number(default.retry_backoff_ms, "retry.backoff.ms"),
        rack=str(native.get("client.rack") or ""),
    )
