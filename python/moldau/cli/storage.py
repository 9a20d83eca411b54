"""`moldau storage`: prepare the directories of a broker, as kafka-storage does, flags included."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output
from moldau.cli.settings_file import read_settings
from moldau.config.environment import CLUSTER_ID
from moldau.server import storage

ConfigFile = Annotated[Path, Parameter(name=["--config", "-c"])]


def format_storage(
    *,
    config: ConfigFile,
    cluster_id: Annotated[str | None, Parameter(name=["--cluster-id", "-t"])] = None,
    ignore_formatted: Annotated[bool, Parameter(name=["--ignore-formatted", "-g"], negative=())] = False,
    standalone: Annotated[bool, Parameter(name=["--standalone", "-s"], negative=())] = False,
    output: Output = Output(),
) -> None:
    """Give every log directory of a broker its identity.

    Parameters
    ----------
    config
        The broker's server.properties.
    cluster_id
        The id of the cluster, as moldau storage random-uuid makes one; the variable CLUSTER_ID without it.
    ignore_formatted
        Leave directories alone that are formatted already, instead of refusing.
    standalone
        The first controller of a new cluster. A quorum has one voter in this version, so this is always so.
    """
    settings = read_settings(config, [])
    wanted = cluster_id or os.environ.get(CLUSTER_ID)
    if not wanted:
        raise UsageError("no cluster id was given", "--cluster-id $(moldau storage random-uuid)")
    try:
        storage.uuid_from_text(wanted)
    except ValueError as error:
        raise UsageError(f"{wanted!r} is not a cluster id: {error}", "moldau storage random-uuid makes one") from error
    directories = [Path(name) for name in settings.log_directories]
    try:
        formatted = storage.format_directories(
            directories, wanted, settings.integer("node.id"), ignore_formatted=ignore_formatted
        )
    except storage.StorageError as error:
        raise RefusedError(str(error), error.hint) from error
    records = [
        {
            "directory": str(directory),
            "result": "formatted" if directory in formatted else "was formatted already",
            "cluster_id": wanted,
            "node_id": settings.integer("node.id"),
        }
        for directory in directories
    ]
    output.records(records, ("directory", "result", "cluster_id", "node_id"))


def random_uuid() -> None:
    """Print a new cluster id."""
    print(storage.uuid_to_text(storage.random_uuid()))


def show_storage(*, config: ConfigFile, output: Output = Output()) -> None:
    """Show what the log directories of a broker say about themselves.

    Parameters
    ----------
    config
        The broker's server.properties.
    """
    settings = read_settings(config, [])
    records, problems = [], []
    for directory in map(Path, settings.log_directories):
        try:
            found = storage.read_meta_properties(directory)
        except storage.StorageError as error:
            problems.append(error)
            continue
        if found is None:
            problems.append(storage.StorageError(f"{directory} is not formatted", "run `moldau storage format`"))
        directory_id = found.directory_id if found is not None else None
        records.append(
            {
                "directory": str(directory),
                "formatted": found is not None,
                "cluster_id": found.cluster_id if found is not None else None,
                "node_id": found.node_id if found is not None else None,
                "directory_id": storage.uuid_to_text(directory_id) if directory_id is not None else None,
            }
        )
    output.records(records, ("directory", "formatted", "cluster_id", "node_id", "directory_id"))
    if problems:
        raise RefusedError(str(problems[0]), problems[0].hint)
