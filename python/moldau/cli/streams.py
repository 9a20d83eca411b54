"""`moldau streams`: run a topology, see what it is and how an application that runs it is doing."""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.channel import require_no_error
from moldau.cli.connection import Connection
from moldau.cli.group import committed_offsets, describe
from moldau.cli.lag import show_lag
from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.output import Output, log_to_stderr, say
from moldau.cli.places import end_offsets
from moldau.cli.serve import LogLines
from moldau.client.protocol.questions import DESCRIBE_GROUPS

if TYPE_CHECKING:
    from confluent_kafka.admin import ConsumerGroupDescription

    from moldau.streams import Topology

SUFFIXES: Final = ("-changelog", "-repartition")
FOREIGN_KEY_TOPIC: Final = "-KTABLE-FK-JOIN-SUBSCRIPTION-"
"""What the two internal topics of a foreign-key join have in their names, which end in -topic."""

Program = Annotated[str, Parameter(help="Where the topology is: module:name or file.py:name.")]


def load_topology(program: str) -> Topology:
    """The topology that `module:name` or `file.py:name` is, has built or builds when it is called.

    Raises:
        UsageError: there is none; with what was found instead.
    """
    from moldau.streams import StreamsBuilder, Topology

    place, _, name = program.rpartition(":")
    if not place or not name:
        raise UsageError(f"{program!r} names no topology", "module:name or file.py:name, such as orders:builder")
    found = getattr(_module(place), name, None)
    if found is None:
        raise UsageError(f"there is no {name} in {place}")
    if callable(found) and not isinstance(found, StreamsBuilder | Topology):
        try:
            found = found()
        except Exception as error:
            raise _of_the_program(program, error) from error
    if isinstance(found, StreamsBuilder):
        found = found.build()
    if not isinstance(found, Topology):
        raise UsageError(
            f"{program} is of type {type(found).__name__} and no topology",
            "a StreamsBuilder, a Topology, or a function that returns one of them",
        )
    return found


def _module(place: str) -> Any:
    file = Path(place)
    if file.suffix == ".py":
        if not file.is_file():
            raise UsageError(f"there is no file {place}")
        sys.path.insert(0, str(file.resolve().parent))
        place = file.stem
    else:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is not None and (place == error.name or place.startswith(f"{error.name}.")):
            raise UsageError(f"there is no module {place}", "run it where the module is, or name a file.py") from error
        raise _of_the_program(place, error) from error
    except Exception as error:
        raise _of_the_program(place, error) from error


def _of_the_program(place: str, error: Exception) -> RefusedError:
    """What a program raised while it was loaded, with the line that did it: no bug of ours."""
    import traceback

    last = traceback.extract_tb(error.__traceback__)[-1]
    return RefusedError(
        f"{place} cannot be loaded: {type(error).__name__}: {error}", f"it was raised in {last.filename}:{last.lineno}"
    )


def run_streams(
    program: Program,
    /,
    *,
    application_id: Annotated[str | None, Parameter(name=["--application-id", "-a"])] = None,
    exactly_once: Annotated[bool, Parameter(negative=())] = False,
    threads: int = 1,
    state_dir: Path | None = None,
    http: str | None = None,
    config: Annotated[list[str] | None, Parameter(name=["--config", "-c"], negative=())] = None,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    log_format: LogLines = "auto",
    connection: Connection = Connection(),
) -> None:
    """Run a topology until Ctrl-C, as one instance of its application.

    Parameters
    ----------
    application_id
        The application: its group, and what its topics and its folder begin with. The module's name without it.
    exactly_once
        Outputs, state and offsets in transactions.
    threads
        How many stream threads.
    state_dir
        Where state on disk is; each instance on one machine needs its own.
    http
        host:port where queries and metrics are answered, 0 for any free port.
    config
        Any setting of the application, as num.standby.replicas=0; may be given many times.
    verbose
        Log everything.
    """
    from moldau.cli.connection import pairs
    from moldau.streams import StreamsError
    from moldau.streams.runtime import KafkaStreams
    from moldau.streams.runtime.foreground import in_foreground
    from moldau.streams.runtime.settings import EXACTLY_ONCE_V2

    log_to_stderr(logging.INFO if verbose else logging.WARNING, log_format)
    topology = load_topology(program)
    connection.knock().close()
    settings: dict[str, Any] = {
        **connection.settings(),
        "application.id": application_id or Path(program.rpartition(":")[0]).stem.rpartition(".")[2],
        "bootstrap.servers": connection.bootstrap_servers,
        "num.stream.threads": threads,
        **({"processing.guarantee": EXACTLY_ONCE_V2} if exactly_once else {}),
        **({"state.dir": str(state_dir)} if state_dir is not None else {}),
        **({"application.server": http} if http is not None else {}),
        **pairs(config),
    }
    try:
        app = KafkaStreams(topology, settings)
        with in_foreground(app), app:
            print(f"streams  {app.settings.application_id}", flush=True)
            if app.application_server is not None:
                say(f"http     http://{app.application_server}/streams/{app.settings.application_id}/stores")
            say("stop     Ctrl-C")
            app.wait_until_stopped()
    except StreamsError as error:
        message, _, hint = str(error).partition("\nhint: ")
        raise RefusedError(message, hint or None) from error
    if app.failure is not None:
        message, _, hint = str(app.failure).partition("\nhint: ")
        raise RefusedError(message, hint or None) from app.failure


def show_topology(program: Program, /, *, svg: Path | None = None, output: Output = Output()) -> None:
    """Print what a topology is made of, in the words of Kafka's Topology#describe. No cluster is asked.

    Parameters
    ----------
    svg
        Draw it into this file instead.
    """
    topology = load_topology(program)
    description = topology.describe()
    if svg is not None:
        _write_picture(svg, topology.svg())
        say(f"{svg}: {len(description.sub_topologies)} sub-topologies")
        return
    if output.for_eyes:
        print(description, end="")
        return
    records = [
        {
            "id": part.id,
            "global": part.is_global,
            "nodes": [
                {
                    "name": node.name,
                    "kind": node.kind.lower(),
                    "detail": node.detail,
                    "predecessors": list(node.predecessors),
                    "successors": list(node.successors),
                }
                for node in part.nodes
            ],
        }
        for part in description.sub_topologies
    ]
    output.records(records, ())


def _write_picture(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", "name a file in a folder that is there"
        ) from error


def _endpoints(connection: Connection, description: ConsumerGroupDescription) -> dict[str, str]:
    """Where members answer queries, by member id: they tell it to their leader, and the coordinator tells it to us."""
    from moldau.streams.runtime.subscription import VersionError, read_subscription

    with connection.coordinator_channel(description) as channel:
        answer = channel.ask(DESCRIBE_GROUPS, lambda _: {"groups": [description.group_id]})
    (group,) = answer.groups
    require_no_error(group)
    found = {}
    for member in group.members:
        try:
            endpoint = read_subscription(bytes(member.member_metadata)).endpoint
        except VersionError:
            # It is on its way into the group, or no instance of ours.
            continue
        if endpoint is not None:
            found[str(member.member_id)] = endpoint
    return found


def describe_streams(application: str, /, *, connection: Connection = Connection(), output: Output = Output()) -> None:
    """Show an application: its threads and where they answer, its internal topics, how far behind its inputs are.

    Parameters
    ----------
    application
        Its application.id.
    """
    admin = connection.admin()
    description = describe(admin, connection, application)
    committed = committed_offsets(admin, connection, application)
    ends = end_offsets(admin, connection, committed.keys())
    topics = connection.carry_out(lambda: admin.list_topics(timeout=connection.timeout_s)).topics
    endpoints = _endpoints(connection, description)
    members = [
        {
            "client_id": member.client_id,
            "host": member.host,
            "instance_id": member.group_instance_id or None,
            "http": endpoints.get(str(member.member_id)),
            "partitions": len(member.assignment.topic_partitions) if member.assignment is not None else 0,
        }
        for member in description.members
    ]
    inputs: list[dict[str, Any]] = [
        {
            "topic": topic,
            "partitions": sum(place[0] == topic for place in committed),
            "lag": sum(max(ends[place] - committed[place], 0) for place in committed if place[0] == topic),
            "internal": is_internal(application, topic),
        }
        for topic in sorted({topic for topic, _ in committed})
    ]
    internal = [
        {"topic": topic, "kind": kind_of(topic), "partitions": len(topics[topic].partitions)}
        for topic in internal_topics(application, topics)
    ]
    state = str(description.state.name).lower().replace("_", "-").replace("rebalancing", "rebalance")
    record = {
        "application": application,
        "state": state,
        "lag": sum(one["lag"] for one in inputs),
        "members": members,
        "inputs": inputs,
        "internal_topics": internal,
    }
    if not output.for_eyes:
        output.record(record, ())
        return
    output.record(record, ("application", "state", "lag"))
    for records, columns in (
        (members, ("client_id", "host", "http", "partitions")),
        (inputs, ("topic", "partitions", "lag")),
        (internal, ("topic", "kind", "partitions")),
    ):
        if records:
            print()
            output.records(records, columns)


def internal_topics(application: str, topics: Any) -> list[str]:
    """Those of the cluster's topics that the application has made for itself."""
    return sorted(topic for topic in topics if is_internal(application, topic))


def is_internal(application: str, topic: str) -> bool:
    """Whether the application made a topic for itself, by the names that Kafka Streams gives."""
    if not topic.startswith(f"{application}-"):
        return False
    return topic.endswith(SUFFIXES) or (FOREIGN_KEY_TOPIC in topic and topic.endswith("-topic"))


def kind_of(topic: str) -> str:
    """`changelog` or `repartition`; the topics of a foreign-key join are of the second kind."""
    return "changelog" if topic.endswith("-changelog") else "repartition"


def show_streams_lag(
    application: str,
    /,
    *,
    threshold: int | None = None,
    threshold_seconds: float | None = None,
    over: float = 1.0,
    watch: float | None = None,
    connection: Connection = Connection(),
    output: Output = Output(),
) -> None:
    """Show how far an application is behind in every partition that it reads. With a threshold, end with 6 above it.

    Parameters
    ----------
    application
        Its application.id.
    threshold
        End with exit code 6 when a partition is more than this many records behind.
    threshold_seconds
        End with exit code 6 when the next record of a partition has been waiting for longer.
    over
        Seconds between the two looks that rates and the time to catch up come from; 0 looks once and tells none.
    watch
        Look again every so many seconds, until Ctrl-C or until a threshold is passed.
    """
    show_lag(
        application,
        threshold=threshold,
        threshold_seconds=threshold_seconds,
        over=over,
        watch=watch,
        connection=connection,
        output=output,
    )
