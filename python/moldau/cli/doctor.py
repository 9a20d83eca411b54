"""`moldau doctor`: what usually goes wrong between a client and a cluster, looked at one by one, each with its fix.

Every check asks over the public protocol, so it works on any Kafka. What only the broker's own machine can tell (the
kind of its disk) is looked at when the broker is on this machine.
"""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import CommandError, NoConnectionError, RefusedError
from moldau.cli.output import Output, emphasised
from moldau.client.protocol.questions import DESCRIBE_LOG_DIRS, DESCRIBE_QUORUM, METADATA

if TYPE_CHECKING:
    from moldau.cli.channel import Channel

State = Literal["ok", "warning", "failed"]

CLOCK_SKEW_MS_MAX: Final = 2_000
FREE_SHARE_MIN: Final = 0.10
OPEN_FILES_MIN: Final = 10_240
SLOW_MS: Final = 500
FORGETFUL_DISKS: Final = {"tmpfs": "memory", "ramfs": "memory"}
NETWORK_DISKS: Final = ("nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    check: str
    state: State
    finding: str
    fix: str | None = None


def diagnose(
    *,
    registry: Annotated[str | None, Parameter(name="--registry", env_var="MOLDAU_REGISTRY_URL")] = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Look for what usually goes wrong: addresses, clock, disk, limits, versions. Says how to mend it.

    Parameters
    ----------
    registry
        Address of a schema registry to look at as well.
    """
    findings: list[Finding] = []
    for finding in _examine(connection, registry):
        findings.append(finding)
        if output.for_eyes:
            _show(finding)
    if not output.for_eyes:
        output.records([asdict(finding) for finding in findings], ())
    failed = sum(finding.state == "failed" for finding in findings)
    if failed:
        raise RefusedError(f"{failed} of {len(findings)} checks failed")


def _show(finding: Finding) -> None:
    marks = {"ok": "ok     ", "warning": "warning", "failed": "FAILED "}
    mark = marks[finding.state]
    print(f"{mark if finding.state == 'ok' else emphasised(mark, sys.stdout)}  {finding.check:11}  {finding.finding}")
    if finding.fix is not None:
        print(f"{'':9}{'':13}fix: {finding.fix}")


def _examine(connection: Connection, registry: str | None) -> Iterator[Finding]:
    yield from _this_machine()
    yield from _doors(connection)
    try:
        channel = connection.channel()
    except CommandError as error:
        yield Finding("connection", "failed", str(error), error.hint)
        return
    with channel:
        try:
            yield from _cluster(connection, channel)
        except CommandError as error:
            yield Finding("protocol", "failed", str(error), error.hint)
    if registry is not None:
        yield _registry(registry)


def _this_machine() -> Iterator[Finding]:
    from importlib.metadata import version

    from moldau.version import VERSION

    yield Finding(
        "versions",
        "ok",
        f"moldau {VERSION}, Python {sys.version.split()[0]}, confluent-kafka {version('confluent-kafka')}",
    )
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= OPEN_FILES_MIN
    yield Finding(
        "open files",
        "ok" if enough else "warning",
        f"{soft} for each process (at most {hard})",
        None if enough else f"ulimit -n {min(hard, 65_536)}, or LimitNOFILE= in the systemd unit: a broker needs many",
    )


def _doors(connection: Connection) -> Iterator[Finding]:
    """Each bootstrap server by itself: a client needs one, an administrator wants all."""
    for host, port in connection.servers():
        started = time.monotonic()
        try:
            socket.create_connection((host, port), timeout=min(connection.timeout_s, 5.0)).close()
        except OSError as error:
            unresolved = isinstance(error, socket.gaierror)
            fix = (
                "is the name right, and does this machine resolve it?" if unresolved else "is the broker running there?"
            )
            yield Finding("address", "failed", f"{host}:{port}: {error.strerror or error}", fix)
            continue
        passed_ms = (time.monotonic() - started) * 1000
        slow = passed_ms > SLOW_MS
        yield Finding("address", "warning" if slow else "ok", f"{host}:{port} accepts connections ({passed_ms:.0f} ms)")


def _cluster(connection: Connection, channel: Channel) -> Iterator[Finding]:
    versions = channel.served
    level = next(
        (int(one.max_version_level) for one in versions.finalized_features if one.name == "metadata.version"), 0
    )
    yield Finding("protocol", "ok", f"{len(versions.api_keys)} APIs, metadata.version {level or 'unknown'}")
    metadata = channel.ask(METADATA, lambda _: {"topics": None})
    local = []
    for broker in metadata.brokers:
        finding, here = _advertised(connection, broker)
        yield finding
        local += [int(broker.node_id)] if here else []
    yield _partitions(metadata)
    yield from _clock(channel)
    yield from _disks(channel, is_local=bool(local))


def _advertised(connection: Connection, broker: Any) -> tuple[Finding, bool]:
    """Whether what the broker tells clients to dial can be dialled from here: the commonest trap of all."""
    host, port = str(broker.host), int(broker.port)
    try:
        with connection.reach(host, port) as reached:
            here = reached.getpeername()[0] in ("127.0.0.1", "::1", reached.getsockname()[0])
    except NoConnectionError as error:
        fix = (
            f"set advertised.listeners=PLAINTEXT://HOST:{port} on broker {int(broker.node_id)}, with a HOST that this "
            f"machine reaches ({connection.bootstrap_servers} was reached)"
        )
        return Finding("advertised", "failed", f"broker {int(broker.node_id)} says {host}:{port}: {error}", fix), False
    return Finding(
        "advertised", "ok", f"broker {int(broker.node_id)} says {host}:{port}, and that can be reached"
    ), here


def _partitions(metadata: Any) -> Finding:
    partitions = [part for topic in metadata.topics for part in topic.partitions]
    leaderless = sum(int(part.leader_id) < 0 for part in partitions)
    behind = sum(len(part.isr_nodes) < len(part.replica_nodes) for part in partitions)
    text = f"{len(partitions)} in {len(metadata.topics)} topics"
    if leaderless:
        return Finding(
            "partitions", "failed", f"{text}, {leaderless} without a leader", "start the brokers that have them"
        )
    if behind:
        return Finding("partitions", "warning", f"{text}, {behind} with replicas behind", "are all brokers running?")
    return Finding("partitions", "ok", f"{text}, all led and in sync")


def _clock(channel: Channel) -> Iterator[Finding]:
    """The leader of the quorum says what time it is: it is caught up with itself now (KIP-836)."""
    from moldau.cli.cluster import ask_for_metadata

    try:
        before = time.time() * 1000
        answer = channel.ask(DESCRIBE_QUORUM, ask_for_metadata)
        now = (before + time.time() * 1000) / 2
        partition = answer.topics[0].partitions[0]
        leader = next(one for one in partition.current_voters if one.replica_id == partition.leader_id)
        theirs = int(getattr(leader, "last_caught_up_timestamp", -1))
    except (CommandError, StopIteration, IndexError):
        return
    if theirs < 0:
        return
    skew = theirs - now
    wrong = abs(skew) > CLOCK_SKEW_MS_MAX
    yield Finding(
        "clock",
        "warning" if wrong else "ok",
        f"the controller's differs by {abs(skew) / 1000:.1f} s",
        "run NTP on both machines: timestamps, retention and sessions depend on it" if wrong else None,
    )


def _disks(channel: Channel, *, is_local: bool) -> Iterator[Finding]:
    try:
        answer = channel.ask(DESCRIBE_LOG_DIRS, lambda _: {"topics": None})
    except CommandError:
        return
    for directory in answer.results:
        path = str(directory.log_dir)
        if int(directory.error_code.value):
            name = str(directory.error_code.name)
            yield Finding("disk", "failed", f"{path} is offline ({name})", "the broker's log says why it gave it up")
            continue
        total, usable = int(getattr(directory, "total_bytes", -1)), int(getattr(directory, "usable_bytes", -1))
        if total > 0:
            low = usable < FREE_SHARE_MIN * total
            yield Finding(
                "disk",
                "warning" if low else "ok",
                f"{path}: {usable / 1e9:,.1f} GB of {total / 1e9:,.1f} free",
                "shorten retention.ms or retention.bytes, or give it a larger disk" if low else None,
            )
        kind = _kind_of_disk(Path(path)) if is_local else None
        if kind in FORGETFUL_DISKS:
            yield Finding(
                "disk", "warning", f"{path} is {FORGETFUL_DISKS[kind]} ({kind})", "nothing survives a reboot there"
            )
        elif kind in NETWORK_DISKS:
            yield Finding("disk", "warning", f"{path} is a network disk ({kind})", "a local disk is faster and safer")


def _kind_of_disk(path: Path, mounts: Path = Path("/proc/mounts")) -> str | None:
    """The file system under a path, as Linux names it; None where nobody can tell."""
    if not path.exists() or not mounts.exists():
        return None
    real = str(path.resolve())
    found: tuple[str, str] = ("", "")
    for line in mounts.read_text().splitlines():
        _device, point, kind, *_options = line.split()
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(found[0]):
            found = (point, kind)
    return found[1] or None


def _registry(address: str) -> Finding:
    import urllib.error
    import urllib.request

    url = address.rstrip("/") + "/subjects"
    if not url.startswith(("http://", "https://")):
        return Finding("registry", "failed", f"{address} is no address", "write http://host:8081")
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 (the scheme was looked at)
            return Finding("registry", "ok", f"{address} answers {response.status}")
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        return Finding("registry", "failed", f"{address}: {reason}", "is it running, and does it want a login?")
