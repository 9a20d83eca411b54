"""What a reader is told, in librdkafka's names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from moldau.client.protocol.connection import ANSWER_BYTES_MAX
from moldau.client.settings import ClientSettingsError, Problem, Role

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
_INT32_MAX: Final = 2**31 - 1
_AROUND_RECORDS: Final = 1 << 20
"""What an answer has beside its records, of however many partitions."""


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
    answer_bytes_max: int = ANSWER_BYTES_MAX
    """What is taken in one answer: a broker sends a batch that is larger than the others of these alone."""
    max_wait_ms: int = 100
    """How long a broker waits for records: so long a partition that is new to it has to wait, too."""
    quiet_wait_ms: int = 500
    """The same of one that had none for some time."""
    waiting_bytes_max: int = 64 << 20
    """How much may lie here unread before nothing more is asked for."""
    retry_backoff_ms: int = 100
    rack: str = ""


def fetch_settings(native: Mapping[str, Any]) -> FetchSettings:
    """What a consumer's settings say of fetching; all else in them is left alone.

    Raises:
        ClientSettingsError: a value cannot be used.
    """

    def number(default: int, *names: str) -> int:
        name = next((name for name in names if native.get(name) is not None), None)
        try:
            return default if name is None else int(native[name])
        except ValueError:
            raise ClientSettingsError(Role.CONSUMER, [Problem(str(name), "is no whole number")]) from None

    reset = _RESETS.get(str(native.get("auto.offset.reset", "largest")).lower())
    if reset is None:
        problem = Problem("auto.offset.reset", "is not known", "earliest, latest or none")
        raise ClientSettingsError(Role.CONSUMER, [problem])
    default = FetchSettings()
    max_bytes = number(default.max_bytes, "fetch.max.bytes")
    return FetchSettings(
        read_committed=str(native.get("isolation.level", "read_committed")).lower() == "read_committed",
        reset=reset,
        min_bytes=number(default.min_bytes, "fetch.min.bytes"),
        max_bytes=max_bytes,
        partition_max_bytes=number(default.partition_max_bytes, "max.partition.fetch.bytes", "fetch.message.max.bytes"),
        answer_bytes_max=max(
            number(default.answer_bytes_max, "receive.message.max.bytes"), min(max_bytes + _AROUND_RECORDS, _INT32_MAX)
        ),
        max_wait_ms=number(default.max_wait_ms, "fetch.wait.max.ms"),
        quiet_wait_ms=number(default.quiet_wait_ms, "fetch.wait.max.ms"),
        waiting_bytes_max=_KILOBYTE * number(default.waiting_bytes_max // _KILOBYTE, "queued.max.messages.kbytes"),
        retry_backoff_ms=number(default.retry_backoff_ms, "retry.backoff.ms"),
        rack=str(native.get("client.rack") or ""),
    )
