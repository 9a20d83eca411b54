"""What makes a folder a log directory of one node of one cluster: `meta.properties`, written as Kafka writes it.

A node refuses a directory that belongs to another node or cluster, and directories that disagree with each other:
mixing two nodes' partitions would be silent corruption. An empty directory is formatted by `format_directories`, which
`moldau storage format` calls by hand and the throw-away brokers call by themselves.

Source: Kafka's `MetaProperties` (version 1), `MetaPropertiesEnsemble` and `Formatter`; KIP-858 for `directory.id`.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID, uuid4

from moldau.errors import MoldauError

META_PROPERTIES: Final = "meta.properties"
CLEAN_SHUTDOWN: Final = ".kafka_cleanshutdown"
RESERVED_IDS: Final = 100
"""Ids 0 to 99 have meanings of their own (KIP-858: unassigned, lost, migrating)."""


class StorageError(MoldauError):
    """A log directory that this node cannot use; `hint` says what to do about it."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class MetaProperties:
    """The content of one `meta.properties`."""

    cluster_id: str
    node_id: int
    directory_id: UUID | None


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """Who this node is, as all of its directories say."""

    cluster_id: str
    node_id: int
    directory_ids: Mapping[Path, UUID]


def uuid_to_text(value: UUID) -> str:
    """A uuid as Kafka writes it: 22 characters of URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(value.bytes).rstrip(b"=").decode("ascii")


def uuid_from_text(text: str) -> UUID:
    """The uuid that `uuid_to_text` wrote.

    Raises:
        ValueError: it is not one.
    """
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError(f"{text!r} is not a base64 uuid") from error
    if len(raw) != 16:
        raise ValueError(f"{text!r} decodes to {len(raw)} bytes, a uuid has 16")
    return UUID(bytes=raw)


def random_uuid() -> UUID:
    """A new uuid for a cluster, a directory or a topic. Never a reserved one, never one that reads like an option."""
    while True:
        value = uuid4()
        if value.int >= RESERVED_IDS and not uuid_to_text(value).startswith("-"):
            return value


def read_meta_properties(directory: Path) -> MetaProperties | None:
    """What `directory` says about itself, None when it says nothing.

    Raises:
        StorageError: the file cannot be read, or misses something.
    """
    path = directory / META_PROPERTIES
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"cannot read {path}: {error}") from error
    lines = (line.strip() for line in text.splitlines())
    values = dict(_property(line) for line in lines if line and line[0] not in "#!")
    version = values.get("version", "0")
    if version != "1":
        raise StorageError(f"{path} has version {version}, only version 1 (KRaft) is understood")
    try:
        directory_id = values.get("directory.id")
        return MetaProperties(
            cluster_id=values["cluster.id"],
            node_id=int(values["node.id"]),
            directory_id=None if directory_id is None else uuid_from_text(directory_id),
        )
    except KeyError as error:
        raise StorageError(f"{path} has no {error.args[0]}") from error
    except ValueError as error:
        raise StorageError(f"{path}: {error}") from error


def _property(line: str) -> tuple[str, str]:
    key, _, value = line.partition("=")
    return key.strip(), value.strip()


def write_meta_properties(directory: Path, properties: MetaProperties) -> None:
    """Write `meta.properties` so that a crash leaves the old file or the new one, never half of one.

    Raises:
        StorageError: the directory cannot be written.
    """
    lines = ["#", f"#{time.strftime('%a %b %d %H:%M:%S UTC %Y', time.gmtime())}"]
    lines.append(f"cluster.id={properties.cluster_id}")
    if properties.directory_id is not None:
        lines.append(f"directory.id={uuid_to_text(properties.directory_id)}")
    lines += [f"node.id={properties.node_id}", "version=1", ""]
    path = directory / META_PROPERTIES
    temporary = path.with_suffix(".properties.tmp")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with temporary.open("w", encoding="utf-8") as out:
            out.write("\n".join(lines))
            out.flush()
            os.fsync(out.fileno())
        temporary.replace(path)
        sync_directory(directory)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error


def sync_directory(directory: Path) -> None:
    """Force the names in `directory` to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def format_directories(
    directories: Sequence[Path], cluster_id: str, node_id: int, *, ignore_formatted: bool = False
) -> list[Path]:
    """Write `meta.properties` into every directory that has none; returns those that were written.

    Raises:
        StorageError: a directory is formatted already (unless `ignore_formatted`), or for another cluster or node.
    """
    unformatted = []
    for directory in directories:
        properties = read_meta_properties(directory)
        if properties is None:
            unformatted.append(directory)
            continue
        _check_owner(directory, properties, cluster_id, node_id)
        if not ignore_formatted:
            raise StorageError(
                f"log directory {directory} is already formatted", "use --ignore-formatted to leave such ones alone"
            )
    for directory in unformatted:
        write_meta_properties(directory, MetaProperties(cluster_id, node_id, random_uuid()))
    return unformatted


def open_directories(
    directories: Sequence[Path], node_id: int, *, cluster_id: str | None = None, format_new: bool = False
) -> NodeIdentity:
    """Find out who this node is, and check that all of its directories agree.

    Args:
        cluster_id: what the cluster must be; None takes it from the directories.
        format_new: format directories that are new instead of refusing them.

    Raises:
        StorageError: not formatted, of another node or cluster, or unreadable.
    """
    if not directories:
        raise StorageError("no log directory is given", "set log.dirs")
    found = {directory: read_meta_properties(directory) for directory in _distinct(directories)}
    known = next((properties for properties in found.values() if properties is not None), None)
    if cluster_id is None:
        cluster_id = known.cluster_id if known is not None else None
    missing = [directory for directory, properties in found.items() if properties is None]
    if missing and not format_new and (known is None or len(missing) == len(found)):
        raise StorageError(
            f"log directory {missing[0]} is not formatted", "run `moldau storage format` with this configuration first"
        )
    if cluster_id is None:
        cluster_id = uuid_to_text(random_uuid())
    for directory, properties in found.items():
        if properties is not None:
            _check_owner(directory, properties, cluster_id, node_id)
    ids = {directory: _directory_id(directory, found[directory], cluster_id, node_id) for directory in found}
    if len(set(ids.values())) < len(ids):
        raise StorageError("two log directories have the same directory.id", "one of them is a copy of the other")
    return NodeIdentity(cluster_id, node_id, ids)


def read_clean_shutdown_epoch(directories: Iterable[Path]) -> int:
    """The broker epoch that the process before this one wrote down when it stopped cleanly; -1 when it did not.

    Read it before the logs are opened: that removes the mark (KIP-966).
    """
    epochs = set()
    for directory in directories:
        try:
            epochs.add(int(json.loads((directory / CLEAN_SHUTDOWN).read_text("utf-8"))["brokerEpoch"]))
        except (OSError, ValueError, TypeError, KeyError):
            return -1
    return epochs.pop() if len(epochs) == 1 else -1


def write_clean_shutdown_epoch(directories: Iterable[Path], broker_epoch: int) -> None:
    """Complete the marks of a clean shutdown, after the logs were closed. A directory without a mark stays without."""
    for directory in directories:
        path = directory / CLEAN_SHUTDOWN
        if path.exists():
            with contextlib.suppress(OSError):
                path.write_text(json.dumps({"version": 0, "brokerEpoch": broker_epoch}), "utf-8")


def _directory_id(directory: Path, properties: MetaProperties | None, cluster_id: str, node_id: int) -> UUID:
    """A directory that joins the node, or comes from before KIP-858, gets an id now."""
    if properties is not None and properties.directory_id is not None:
        return properties.directory_id
    directory_id = random_uuid()
    write_meta_properties(directory, MetaProperties(cluster_id, node_id, directory_id))
    return directory_id


def _distinct(directories: Iterable[Path]) -> list[Path]:
    seen: dict[Path, Path] = {}
    for directory in directories:
        with contextlib.suppress(OSError):
            seen.setdefault(directory.resolve(), directory)
    return list(seen.values())


def _check_owner(directory: Path, properties: MetaProperties, cluster_id: str, node_id: int) -> None:
    if properties.cluster_id != cluster_id:
        raise StorageError(
            f"log directory {directory} belongs to cluster {properties.cluster_id}, not {cluster_id}",
            "give this node a directory of its own, or the cluster id that the directory has",
        )
    if properties.node_id != node_id:
        raise StorageError(
            f"log directory {directory} belongs to node {properties.node_id}, not {node_id}",
            f"set node.id={properties.node_id}, or give this node a directory of its own",
        )
