"""`moldau plan`: how many partitions, brokers and disks a load needs, and which rule says so.

The arithmetic is `moldau.planning`; here its numbers get in and out. `--apply` is the only part that asks a cluster.
"""

from __future__ import annotations

import re
import shutil
import textwrap
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output, say
from moldau.planning import Figure, Limits, Load, LoadError, Plan, size

WIDTH: Final = 100
_UNITS_S: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_SIZES: Final = {
    "": 1,
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Wishes:
    """What has to fit."""

    peak: float
    """What all producers send at the busiest time, in MB/s (millions of bytes), before compression."""
    record_size: str = "1kB"
    """A typical record, key and value: 900, 1kB, 2MB."""
    consumers: int = 1
    """Members of the largest consumer group."""
    groups: int = 1
    """Consumer groups; each of them reads everything."""
    replication_factor: Annotated[int, Parameter(name=["--replication-factor", "-r"])] = 3
    """Copies of each partition."""
    retention: str = "7d"
    """How long records are kept: 12h, 7d, 4w."""
    average: float | None = None
    """MB/s over a day, for the disks; the peak without it."""
    growth: float = 1.0
    """How many times today's load must fit."""
    headroom: float = 2.0
    """How many times the need partitions and network get."""
    compression: float = 1.0
    """How many times smaller records become."""

    def load(self) -> Load:
        """The numbers behind the words."""
        return Load(
            peak_mb_s=self.peak,
            record_bytes=_bytes("--record-size", self.record_size),
            consumers=self.consumers,
            groups=self.groups,
            replication_factor=self.replication_factor,
            retention_s=_seconds("--retention", self.retention),
            average_mb_s=self.average,
            growth=self.growth,
            headroom=self.headroom,
            compression=self.compression,
        )


@Parameter(name="*", group="Limits")
@dataclass(frozen=True, kw_only=True)
class Means:
    """What one partition and one broker can take."""

    partition_write: float = 10.0
    """MB/s that one partition takes."""
    partition_read: float = 50.0
    """MB/s that one partition gives."""
    broker_partitions: int = 4_000
    """Partitions, replicas counted, that one broker holds."""
    broker_network: float = 1_250.0
    """MB/s of one broker in each direction; 1250 is 10 Gbit/s."""
    broker_disk: str | None = None
    """Disk of one broker, as 4TB; as large as it has to be without it."""
    process_memory: str = "6GiB"
    """Memory of a broker's process: the guide's JVM heap, or about 100MB for a Moldau node."""

    def limits(self) -> Limits:
        """The numbers behind the words."""
        return Limits(
            partition_write_mb_s=self.partition_write,
            partition_read_mb_s=self.partition_read,
            broker_partitions=self.broker_partitions,
            broker_network_mb_s=self.broker_network,
            broker_disk_bytes=None if self.broker_disk is None else _bytes("--broker-disk", self.broker_disk),
            process_bytes=_bytes("--process-memory", self.process_memory),
        )


def plan(
    *,
    wishes: Wishes,
    means: Means = Means(),
    apply: str | None = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Size a topic and the cluster that holds it: partitions, brokers, disk, memory, network, each with its reason.

    Parameters
    ----------
    apply
        Create this topic on the cluster, as planned.
    """
    try:
        planned = size(wishes.load(), means.limits())
    except LoadError as error:
        raise UsageError(str(error)) from error
    if apply is not None:
        _create(apply, planned, connection)
    _print(planned, output)


def _create(topic: str, planned: Plan, connection: Connection) -> None:
    from confluent_kafka.admin import NewTopic

    new = NewTopic(
        topic,
        num_partitions=planned.partitions.value,
        replication_factor=planned.replication_factor,
        config=dict(planned.configs),
    )
    futures = connection.admin().create_topics([new], request_timeout=connection.timeout_s)
    connection.answer(futures[topic])
    say(f"created {topic} with {planned.partitions.value} partitions")


def _print(planned: Plan, output: Output) -> None:
    if not output.for_eyes:
        output.record(_record(planned), ())
        return
    rows = [
        {"what": name.replace("_", " "), "needed": _shown(figure), "decided_by": figure.rule}
        for name, figure in planned.figures.items()
    ]
    output.records(rows, ("what", "needed", "decided_by"))
    print()
    width = min(shutil.get_terminal_size().columns, WIDTH)
    for name, figure in planned.figures.items():
        print(textwrap.fill(f"{name.replace('_', ' ')}: {figure.why}", width, subsequent_indent="  "))
    print()
    for key, value in planned.configs.items():
        print(f"{key}={value}")
    for note in planned.notes:
        say(f"note: {note}")


def _record(planned: Plan) -> dict[str, Any]:
    return {
        **{
            name: {"value": figure.value, "unit": figure.unit, "rule": figure.rule, "why": figure.why}
            for name, figure in planned.figures.items()
        },
        "records_s": planned.records_s,
        "topic": {
            "partitions": planned.partitions.value,
            "replication_factor": planned.replication_factor,
            "configs": planned.configs,
        },
        "notes": list(planned.notes),
    }


def _shown(figure: Figure) -> str:
    if not figure.unit.startswith("bytes"):
        return f"{figure.value:,}"
    amount, unit = float(figure.value), "B"
    for larger in ("kB", "MB", "GB", "TB", "PB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.3g} {unit}{figure.unit.removeprefix('bytes')}"


def _bytes(option: str, text: str) -> int:
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([a-z]*)", text.strip().lower())
    if match is None or match[2] not in _SIZES:
        raise UsageError(f"{option} {text}: that is no size", "write 900, 1kB, 64MiB, 4TB")
    return round(float(match[1]) * _SIZES[match[2]])


def _seconds(option: str, text: str) -> int:
    match = re.fullmatch(r"([0-9]+)([smhdw])", text.strip().lower())
    if match is None:
        raise UsageError(f"{option} {text}: that is no duration", "write 90s, 12h, 7d, 4w")
    return int(match[1]) * _UNITS_S[match[2]]
