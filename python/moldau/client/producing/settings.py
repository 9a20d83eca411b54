"""What a producer is told, in librdkafka's names. Java's were translated before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.client.settings import ClientSettingsError, Problem, Role

_KILOBYTE: Final = 1024
_ALL: Final = -1
_ACKS: Final = {"all": _ALL, "-1": _ALL, "1": 1}
_CODECS: Final = ("none", "gzip", "snappy", "lz4", "zstd")
_LEVELS: Final = {"gzip": range(10), "zstd": range(1, 23)}
_PARTITIONER: Final = "murmur2_random"
"""That of Kafka's Java clients: records are joined with what those have written."""
_OF_ANOTHER: Final = ("enable.gapless.guarantee", "plugin.library.paths")
_TRUE: Final = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False}
_UNLIMITED: Final = 2**31 - 1
_REQUEST_MAX: Final = 100 << 20
"""What brokers take at most, if they are not told otherwise (`socket.request.max.bytes`)."""
REQUEST_BYTES_MAX: Final = 16 << 20
"""What one request has at most, before compression, unless a single batch has more."""


@dataclass(frozen=True, slots=True)
class ProduceSettings:
    """Sizes in bytes, times in seconds; the defaults are librdkafka's, but for how much may wait here."""

    acks: int = _ALL
    idempotent: bool = True
    batch_bytes: int = 1_000_000
    batch_records: int = _UNLIMITED
    record_bytes_max: int = 1_000_000
    """What the batch of a single record may have, before compression."""
    buffer_bytes: int = 64 << 20
    """How much may be here before nobody is let in any more."""
    linger_s: float = 0.005
    compression: str = "none"
    compression_level: int | None = None
    delivery_timeout_s: float = 300.0
    """From when the first record of a batch was given to when it counts as lost."""
    request_timeout_ms: int = 30_000
    """How long a leader may wait for its replicas."""
    retries: int = _UNLIMITED
    retry_backoff_s: float = 0.1
    retry_backoff_max_s: float = 1.0
    missing_topic_s: float = 30.0
    """For so long a topic may be unknown to the cluster: one that was just made."""
    metadata_max_age_s: float = 300.0
    """How often to look whether a topic has more partitions."""
    auto_create: bool = True
    """Whether the cluster may make a topic because it is written to."""
    transactional_id: str | None = None
    """Who begins with the name of another fences that one; without it there are no transactions."""
    transaction_timeout_ms: int = 60_000
    """When the cluster aborts a transaction that nobody has ended."""

    def backoff_s(self, failures: int, first_s: float | None = None) -> float:
        """How long to wait after so many failures before the last one; `first_s` after the first. (KIP-580)"""
        return min((first_s or self.retry_backoff_s) * 2.0 ** min(failures, 16), self.retry_backoff_max_s)


def produce_settings(native: Mapping[str, Any]) -> ProduceSettings:
    """What a producer's settings say of producing; all else in them is left alone.

    Raises:
        ClientSettingsError: values cannot be used; every one of them is named.
    """
    return _Reading(native).settings()


class _Reading:
    def __init__(self, native: Mapping[str, Any]) -> None:
        self._native = native
        self._problems: list[Problem] = []

    def settings(self) -> ProduceSettings:
        default = ProduceSettings()
        self._refuse_what_is_not_here()
        acks = self._acks()
        idempotent = self._flag("enable.idempotence", default=acks == _ALL)
        if idempotent and acks != _ALL:
            self._wrong("acks", "must be all for an idempotent producer", "leave it out")
        transactional_id = self._first("transactional.id")
        if transactional_id and not idempotent:
            self._wrong("enable.idempotence", "must be true for a transactional producer", "leave it out")
        compression = str(self._first("compression.type", "compression.codec") or default.compression).lower()
        if compression not in _CODECS:
            self._wrong("compression.type", "is not known", ", ".join(_CODECS))
        kilobytes = self._number(default.buffer_bytes // _KILOBYTE, 1, "queue.buffering.max.kbytes")
        made = ProduceSettings(
            acks=acks,
            idempotent=idempotent,
            batch_bytes=self._number(default.batch_bytes, 1, "batch.size", most=_REQUEST_MAX),
            batch_records=self._number(default.batch_records, 1, "batch.num.messages"),
            record_bytes_max=self._number(default.record_bytes_max, 1000, "message.max.bytes", most=_REQUEST_MAX),
            buffer_bytes=kilobytes * _KILOBYTE,
            linger_s=self._seconds(default.linger_s, "linger.ms", "queue.buffering.max.ms"),
            compression=compression,
            compression_level=self._level(compression),
            # For librdkafka 0 is without end.
            delivery_timeout_s=self._seconds(default.delivery_timeout_s, "delivery.timeout.ms", "message.timeout.ms")
            or float("inf"),
            request_timeout_ms=self._number(default.request_timeout_ms, 1, "request.timeout.ms"),
            retries=self._number(default.retries, 0, "retries", "message.send.max.retries"),
            retry_backoff_s=self._seconds(default.retry_backoff_s, "retry.backoff.ms"),
            retry_backoff_max_s=self._seconds(default.retry_backoff_max_s, "retry.backoff.max.ms"),
            missing_topic_s=self._seconds(default.missing_topic_s, "topic.metadata.propagation.max.ms"),
            metadata_max_age_s=self._seconds(default.metadata_max_age_s, "topic.metadata.refresh.interval.ms"),
            auto_create=self._flag("allow.auto.create.topics", default=True),
            transactional_id=str(transactional_id) if transactional_id else None,
            transaction_timeout_ms=self._number(default.transaction_timeout_ms, 1, "transaction.timeout.ms"),
        )
        if self._problems:
            raise ClientSettingsError(Role.PRODUCER, self._problems)
        return made

    def _refuse_what_is_not_here(self) -> None:
        partitioner = self._first("partitioner") or _PARTITIONER
        if partitioner != _PARTITIONER:
            self._wrong("partitioner", f"cannot be {partitioner} here", f"{_PARTITIONER}; leave it out")
        for name in _OF_ANOTHER:
            if self._native.get(name) not in {None, False, "", "0", "false"}:
                self._wrong(name, "is of librdkafka's producer alone", "leave it out")

    def _wrong(self, name: str, what: str, hint: str = "") -> None:
        self._problems.append(Problem(name, what, hint))

    def _first(self, *names: str) -> Any:
        return next((self._native[name] for name in names if self._native.get(name) is not None), None)

    def _acks(self) -> int:
        value = self._first("acks", "request.required.acks")
        acks = _ALL if value is None else _ACKS.get(str(value).lower())
        if acks is None:
            hint = "all or 1; with 0 nobody could say what was written"
            self._wrong("acks", f"cannot be {value} here", hint)
            return _ALL
        return acks

    def _flag(self, name: str, *, default: bool) -> bool:
        value = self._native.get(name)
        found = default if value is None else _TRUE.get(str(value).lower())
        if found is None:
            self._wrong(name, "is neither true nor false")
        return bool(found)

    def _number(self, default: int, least: int, *names: str, most: int = 2**31 - 1) -> int:
        value = self._first(*names)
        try:
            number = default if value is None else int(value)
        except (TypeError, ValueError):
            self._wrong(names[0], f"is no whole number: {value!r}")
            return default
        if number < least:
            self._wrong(names[0], f"must be {least} or more: {value!r}")
        elif number > most:
            self._wrong(names[0], f"must be {most} or less: {value!r}")
        return number

    def _seconds(self, default: float, *names: str) -> float:
        value = self._first(*names)
        try:
            milliseconds = default * 1000 if value is None else float(value)
        except (TypeError, ValueError):
            self._wrong(names[0], f"is no number of milliseconds: {value!r}")
            return default
        if milliseconds < 0 and "refresh" in names[0]:
            # Never.
            return float("inf")
        if milliseconds < 0:
            self._wrong(names[0], f"must be 0 or more: {value!r}")
        return milliseconds / 1000

    def _level(self, compression: str) -> int | None:
        level = self._number(-1, -1, "compression.level")
        if level == -1 or compression not in _LEVELS:
            return None
        # As librdkafka: what is beyond a codec's levels is its last one.
        levels = _LEVELS[compression]
        return min(max(level, levels[0]), levels[-1])
