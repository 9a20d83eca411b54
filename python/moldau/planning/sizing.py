"""The rules, one function each. A function returns its number, the rule that decided it and why, in one sentence.

    partitions   enough for the writes, the reads and the consumers; with headroom; a multiple of consumers and replicas
    brokers      enough for the replicas, the partitions, the network, and the disk where its size is known
    disk         what is written in the retention, on every replica, and a segment more, on disks that do not fill up
    memory       the page cache for what consumers still read, and the process
    network      writes and replication come in, replication and every group go out

Source: the guide's chapter "Partition count rules of thumb"; Kafka's documentation, "Hardware and OS".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from moldau.planning.load import DAY_S, MB, Limits, Load, exact

RECORD_OVERHEAD_BYTES: Final = 12
"""What a record takes beside key and value in format 2: lengths, deltas, attributes (KIP-98), rounded up."""
SEGMENT_AGE_S: Final = 7 * DAY_S
"""`segment.ms`: after a week a segment is closed however small it is."""
MESSAGE_BYTES_MAX: Final = 1_048_588
"""Kafka's default of `max.message.bytes`."""
GUIDE_RETENTION_BYTES: Final = 53_687_091_200
"""The guide's `retention.bytes`: 50 GiB for a partition."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of a plan."""

    value: int
    unit: str
    rule: str
    """What decided it, in a word or two."""
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that follows from a load. Bytes per broker are for brokers that share evenly."""

    records_s: int
    partitions: Figure
    brokers: Figure
    disk: Figure
    disk_per_broker: Figure
    page_cache_per_broker: Figure
    memory_per_broker: Figure
    network_in_per_broker: Figure
    network_out_per_broker: Figure
    replication_factor: int
    configs: dict[str, str]
    """The topic's settings, as the guide writes them."""
    notes: tuple[str, ...]
    """What somebody who follows the plan should know."""

    @property
    def figures(self) -> dict[str, Figure]:
        """The numbers by name, in the order in which they are told."""
        return {name: value for name in self.__slots__ if isinstance(value := getattr(self, name), Figure)}


def size(load: Load, limits: Limits) -> Plan:
    """Size a topic, and the cluster that holds it alone."""
    partitions = _partitions(load, limits)
    disk = _disk(load, limits, partitions.value)
    brokers = _brokers(load, limits, partitions.value, disk.value)
    page_cache = _page_cache(load, limits, brokers.value)
    return Plan(
        records_s=math.ceil(_load_bytes_s(load) / load.record_bytes),
        partitions=partitions,
        brokers=brokers,
        disk=disk,
        disk_per_broker=_share("disk", disk, brokers.value),
        page_cache_per_broker=page_cache,
        memory_per_broker=_memory(limits, page_cache),
        network_in_per_broker=_network_in(load, brokers.value),
        network_out_per_broker=_network_out(load, brokers.value),
        replication_factor=load.replication_factor,
        configs=_configs(load, partitions.value),
        notes=tuple(_notes(load, partitions.value, brokers.value)),
    )


def _load_bytes_s(load: Load) -> Fraction:
    """The peak that must fit, before compression."""
    return exact(load.peak_mb_s) * exact(load.growth) * MB


def _wire_bytes_s(load: Load) -> Fraction:
    return _load_bytes_s(load) / exact(load.compression)


def _partitions(load: Load, limits: Limits) -> Figure:
    peak_mb_s = _load_bytes_s(load) / MB
    needs = {
        "write throughput": peak_mb_s / exact(limits.partition_write_mb_s),
        "read throughput": peak_mb_s * load.groups / exact(limits.partition_read_mb_s),
        "consumers": Fraction(load.consumers),
    }
    explained = {
        "write throughput": f"{_number(peak_mb_s)} MB/s at {limits.partition_write_mb_s:g} MB/s a partition",
        "read throughput": f"{_count(load.groups, 'group')} reading {_number(peak_mb_s)} MB/s at "
        f"{limits.partition_read_mb_s:g} MB/s a partition",
        "consumers": f"{_count(load.consumers, 'consumer')} with a partition each",
    }
    # The first of equals: the order above is the guide's.
    rule = max(needs, key=needs.__getitem__)
    needed = math.ceil(needs[rule])
    with_headroom = math.ceil(needed * exact(load.headroom))
    multiple = math.lcm(load.consumers, load.replication_factor)
    value = -(-with_headroom // multiple) * multiple
    shares = f"{_count(load.consumers, 'consumer')} and {_count(load.replication_factor, 'replica')}"
    why = (
        f"{explained[rule]} need {needed}; {load.headroom:g} times that for headroom is {with_headroom}; "
        f"rounded up to a multiple of {multiple}, so that {shares} share evenly"
    )
    return Figure(value, "partitions", rule, why)


def _disk(load: Load, limits: Limits, partitions: int) -> Figure:
    average_mb_s = load.peak_mb_s if load.average_mb_s is None else load.average_mb_s
    records_s = exact(average_mb_s) * exact(load.growth) * MB / load.record_bytes
    stored_s = records_s * (load.record_bytes + RECORD_OVERHEAD_BYTES) / exact(load.compression)
    kept = stored_s * load.retention_s
    # What is not yet closed cannot be deleted; a quiet partition closes its segment by age.
    open_segments = min(Fraction(partitions * limits.segment_bytes), stored_s * SEGMENT_AGE_S)
    total = (kept + open_segments) * load.replication_factor / exact(limits.disk_fill)
    why = (
        f"{_number(stored_s / MB)} MB/s for {_duration(load.retention_s)} and a segment more in each partition, "
        f"on {_count(load.replication_factor, 'replica')}, on disks filled to {limits.disk_fill:.0%}"
    )
    return Figure(math.ceil(total), "bytes", "retention", why)


def _brokers(load: Load, limits: Limits, partitions: int, disk_bytes: int) -> Figure:
    replicas = load.replication_factor
    busiest_direction = max(replicas, replicas - 1 + load.groups)
    needs = {
        "replicas": Fraction(replicas),
        "network": _wire_bytes_s(load)
        * exact(load.headroom)
        * busiest_direction
        / MB
        / exact(limits.broker_network_mb_s),
        "partition limit": Fraction(partitions * replicas, limits.broker_partitions),
    }
    explained = {
        "replicas": f"{_count(replicas, 'replica')} on a broker each",
        "network": f"{_number(_wire_bytes_s(load) / MB)} MB/s in {busiest_direction} copies, {load.headroom:g} times "
        f"that for headroom, at {limits.broker_network_mb_s:g} MB/s a broker",
        "partition limit": f"{partitions} partitions of {_count(replicas, 'replica')} at "
        f"{limits.broker_partitions} a broker",
    }
    if limits.broker_disk_bytes is not None:
        needs["disk"] = Fraction(disk_bytes, limits.broker_disk_bytes)
        explained["disk"] = f"{_size(disk_bytes)} at {_size(limits.broker_disk_bytes)} a broker"
    rule = max(needs, key=needs.__getitem__)
    value = math.ceil(needs[rule])
    return Figure(value, "brokers", rule, f"{explained[rule]} need {value}")


def _share(what: str, total: Figure, brokers: int) -> Figure:
    why = f"{_size(total.value)} of {what} shared by {_count(brokers, 'broker')}"
    return Figure(-(-total.value // brokers), total.unit, total.rule, why)


def _page_cache(load: Load, limits: Limits, brokers: int) -> Figure:
    written_s = _wire_bytes_s(load) * load.replication_factor / brokers
    value = math.ceil(written_s * exact(limits.cache_s))
    why = f"{_number(written_s / MB)} MB/s written to each broker, read again within {limits.cache_s:g} s"
    return Figure(value, "bytes", "page cache", why)


def _memory(limits: Limits, page_cache: Figure) -> Figure:
    why = f"{_size(page_cache.value)} page cache and {_size(limits.process_bytes)} for the process"
    return Figure(page_cache.value + limits.process_bytes, "bytes", "page cache and process", why)


def _network_in(load: Load, brokers: int) -> Figure:
    each = _wire_bytes_s(load) * load.replication_factor / brokers
    return _network(each, "writes and replication", f"every byte comes in {load.replication_factor} times", brokers)


def _network_out(load: Load, brokers: int) -> Figure:
    copies = load.replication_factor - 1 + load.groups
    why = f"every byte goes out to {_count(load.replication_factor - 1, 'follower')} and {_count(load.groups, 'group')}"
    return _network(_wire_bytes_s(load) * copies / brokers, "replication and groups", why, brokers)


def _network(bytes_s: Fraction, rule: str, why: str, brokers: int) -> Figure:
    return Figure(math.ceil(bytes_s), "bytes/s", rule, f"{why}, shared by {_count(brokers, 'broker')}")


def _configs(load: Load, partitions: int) -> dict[str, str]:
    """The guide's topic settings. Its 50 GiB of retention.bytes grow where a partition needs more."""
    needed = _partition_bytes(load, partitions) * exact(load.headroom)
    configs = {
        "retention.ms": str(load.retention_s * 1000),
        "retention.bytes": str(max(GUIDE_RETENTION_BYTES, math.ceil(needed))),
        "compression.type": "zstd",
        "min.insync.replicas": str(max(1, load.replication_factor - 1)),
        "cleanup.policy": "delete",
        "message.timestamp.type": "CreateTime",
    }
    if load.record_bytes + RECORD_OVERHEAD_BYTES + 61 > MESSAGE_BYTES_MAX:
        configs["max.message.bytes"] = str(2 * load.record_bytes)
    return configs


def _partition_bytes(load: Load, partitions: int) -> Fraction:
    """What one partition holds after the retention at the peak."""
    per_record = Fraction(load.record_bytes + RECORD_OVERHEAD_BYTES, load.record_bytes)
    return _wire_bytes_s(load) * per_record * load.retention_s / partitions


def _notes(load: Load, partitions: int, brokers: int) -> list[str]:
    notes = []
    per_partition = _partition_bytes(load, partitions)
    if per_partition > GUIDE_RETENTION_BYTES:
        after_s = load.retention_s * GUIDE_RETENTION_BYTES / per_partition
        notes.append(
            f"the guide's retention.bytes of 50 GiB a partition would delete records after "
            f"{_duration(int(after_s))} at the peak, not after {_duration(load.retention_s)}: it is raised"
        )
    if load.replication_factor == 1:
        notes.append("one replica: a broker that is lost takes its records with it")
    if load.replication_factor == 2:
        notes.append("two replicas: with min.insync.replicas=1 an acknowledged record may be on one broker only")
    if load.replication_factor > 2:
        notes.append(
            f"{load.replication_factor} replicas keep records through the loss of {load.replication_factor - 1} "
            "brokers; writes with acks=all go on through the loss of 1 "
            f"(min.insync.replicas={load.replication_factor - 1})"
        )
    if load.average_mb_s is None:
        notes.append("disk is for the peak around the clock; --average makes it smaller")
    if brokers > 1:
        notes.append("a Moldau cluster has one node in this version: more brokers are Apache Kafka's")
    return notes


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _number(value: Fraction) -> str:
    return f"{float(value):,.4g}" if value < 1000 else f"{float(value):,.0f}"


def _size(value: int) -> str:
    amount, unit = float(value), "bytes"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}"


def _duration(seconds: int) -> str:
    for unit, length in (("days", DAY_S), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length or seconds == length:
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds} seconds"
