"""`moldau connect`: a worker in the foreground, and what any Connect worker can be asked over its REST interface."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

from cyclopts import Parameter

from moldau.cli.connect_client import AnswerError, ConnectConnection, ConnectorFile, read_connector
from moldau.cli.outcome import PartlyDoneError, RefusedError, UsageError
from moldau.cli.output import Output, say
from moldau.cli.several import Yes, confirm

File = Annotated[Path, Parameter(name=["--file", "-f"], help="JSON (// comments are fine) or properties; - is stdin.")]
Flag = Annotated[bool, Parameter(negative=())]
Pairs = Annotated[
    list[str] | None, Parameter(name="--set", negative=(), help="setting=value; may be given many times.")
]
Unset = Annotated[list[str] | None, Parameter(name="--unset", negative=(), help="A setting to take away.")]

OUTCOME: Final = ("connector", "result")
_CAUSED: Final = "The above exception was the direct cause of the following exception:"
"""What Python writes between two exceptions, the cause first."""
_SAYS_NOTHING: Final = "Tolerance exceeded in error handler"


def list_connectors(*, connect: ConnectConnection = ConnectConnection(), output: Output = Output()) -> None:
    """List the connectors, what they are, and how many of their tasks run."""
    found = connect.ask("GET", "connectors", query={"expand": "status"})
    records = [_summary(name, expanded.get("status")) for name, expanded in sorted(found.items())]
    output.records(records, ("connector", "type", "state", "tasks", "running", "failed"))


def _summary(name: str, status: dict[str, Any] | None) -> dict[str, Any]:
    tasks = [] if status is None else status["tasks"]
    return {
        "connector": name,
        "type": None if status is None else status.get("type"),
        "state": None if status is None else status["connector"]["state"],
        "tasks": len(tasks),
        "running": sum(task["state"] == "RUNNING" for task in tasks),
        "failed": sum(task["state"] == "FAILED" for task in tasks),
    }


def show_status(
    connector: str,
    /,
    *,
    trace: Flag = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Show what a connector and its tasks are, where they run, and why they failed.

    Parameters
    ----------
    trace
        Show the whole traces of failures, not what they end with.
    """
    status = connect.ask("GET", "connectors", connector, "status")
    records = [{"part": "connector", **_part(status["connector"])}]
    records += [{"part": f"task {task['id']}", **_part(task)} for task in status["tasks"]]
    if not output.for_eyes:
        output.records(records, tuple(records[0]))
        return
    output.records(records, ("part", "state", "worker"))
    failed: dict[str, list[str]] = {}
    for record in records:
        if record["trace"]:
            reason = record["trace"].rstrip() if trace else end_of(record["trace"])
            failed.setdefault(reason, []).append(record["part"])
    for reason, parts in failed.items():
        print(f"\n{', '.join(parts)} failed:\n{reason}")


def end_of(trace: str) -> str:
    """The last exception of a trace and what it says; the one before where the last says only that there was one."""
    ends = [_last_exception(part) for part in trace.split(_CAUSED) if part.strip()]
    telling = [end for end in ends if not end.endswith(_SAYS_NOTHING)]
    return (telling or ends or [""])[-1]


def _last_exception(trace: str) -> str:
    """Python's trace ends with it, Java's ends with where it was."""
    lines = [line for line in trace.splitlines() if line.strip()]
    last_place = max((number for number, line in enumerate(lines) if line[0].isspace()), default=-1)
    return "\n".join(lines[last_place + 1 :]) or [line for line in lines if not line[0].isspace()][-1]


def _part(status: dict[str, Any]) -> dict[str, Any]:
    return {
        "state": status["state"],
        "worker": status["worker_id"],
        "version": status.get("version"),
        "trace": status.get("trace"),
    }


def create_connector(
    *,
    file: File,
    name: str | None = None,
    replace: Flag = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Create a connector from a file, as it is written for Kafka Connect.

    Parameters
    ----------
    name
        Its name, if it does not stand in the file.
    replace
        Replace the configuration of one that is there.
    """
    given = read_connector(file)
    chosen = _name_of(given, name, file)
    config = _texts({**given.config, "name": chosen})
    if replace:
        answer = connect.ask("PUT", "connectors", chosen, "config", body=config)
    else:
        try:
            answer = connect.ask("POST", "connectors", body={"name": chosen, "config": config, **given.body})
        except AnswerError as error:
            if error.code == 409:
                raise RefusedError(str(error), "--replace replaces its configuration") from error
            raise
    record = {"connector": answer["name"], "type": answer.get("type"), "config": answer["config"]}
    if output.for_eyes:
        say(f"created {answer['name']}; `moldau connect status {answer['name']}` shows how it does")
        return
    output.record(record, tuple(record))


def _name_of(given: ConnectorFile, name: str | None, file: Path) -> str:
    chosen = name or given.name
    if not chosen:
        raise UsageError(f"{file} does not say how the connector is called", "add a name to it, or give --name")
    return chosen


def _texts(config: dict[str, Any]) -> dict[str, str | None]:
    import json

    return {
        key: value if value is None or isinstance(value, str) else json.dumps(value) for key, value in config.items()
    }


def configure(
    connector: str,
    /,
    *,
    set: Pairs = None,  # noqa: A002 (it is the option's name)
    unset: Unset = None,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Show the configuration of a connector, or change single settings of it."""
    if set or unset:
        from moldau.cli.connection import pairs

        changes: dict[str, str | None] = {**pairs(set), **dict.fromkeys(unset or ())}
        config = connect.ask("PATCH", "connectors", connector, "config", body=changes)["config"]
    else:
        config = connect.ask("GET", "connectors", connector, "config")
    output.records([{"setting": key, "value": value} for key, value in sorted(config.items())], ("setting", "value"))


def validate_config(
    *,
    file: File,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Say what is wrong with a configuration, setting by setting; exit code 1 if something is. Changes nothing.

    Parameters
    ----------
    every
        Show the settings that are right, too.
    """
    given = read_connector(file)
    config = _texts(given.config)
    kind = config.get("connector.class")
    if not kind:
        raise UsageError(f"{file} does not say what connector it is", "add connector.class to it")
    body = {**config, "name": given.name or "unnamed"}
    answer = connect.ask("PUT", "connector-plugins", kind, "config", "validate", body=body)
    records = [
        {"setting": each["value"]["name"], "value": each["value"]["value"], "errors": each["value"]["errors"]}
        for each in answer["configs"]
        if every or each["value"]["errors"]
    ]
    if output.for_eyes and not every:
        for record in records:
            for error in record["errors"]:
                print(f"{record['setting']}: {error}")
    else:
        output.records(records, ("setting", "value", "errors"))
    count = answer["error_count"]
    if count:
        raise RefusedError(f"{count} thing{'s are' if count > 1 else ' is'} wrong with {file}")
    say(f"{file} is right for {kind}")


def pause_connectors(
    connectors: list[str], /, *, connect: ConnectConnection = ConnectConnection(), output: Output = Output()
) -> None:
    """Pause connectors; their tasks stay where they are."""
    _each(connectors, lambda name: connect.ask("PUT", "connectors", name, "pause"), "paused", output)


def resume_connectors(
    connectors: list[str], /, *, connect: ConnectConnection = ConnectConnection(), output: Output = Output()
) -> None:
    """Let paused or stopped connectors go on."""
    _each(connectors, lambda name: connect.ask("PUT", "connectors", name, "resume"), "resumed", output)


def stop_connectors(
    connectors: list[str], /, *, connect: ConnectConnection = ConnectConnection(), output: Output = Output()
) -> None:
    """Stop connectors: their tasks go, their configuration and offsets stay."""
    _each(connectors, lambda name: connect.ask("PUT", "connectors", name, "stop"), "stopped", output)


def restart_connectors(
    connectors: list[str],
    /,
    *,
    tasks: Flag = False,
    failed: Flag = False,
    task: int | None = None,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Restart connectors.

    Parameters
    ----------
    tasks
        Their tasks, too.
    failed
        Only what has failed.
    task
        Only this task.
    """
    query = {"includeTasks": str(tasks).lower(), "onlyFailed": str(failed).lower()}

    def restart(name: str) -> None:
        if task is not None:
            connect.ask("POST", "connectors", name, "tasks", str(task), "restart")
        else:
            connect.ask("POST", "connectors", name, "restart", query=query)

    _each(connectors, restart, "restarted", output)


def delete_connectors(
    connectors: list[str],
    /,
    *,
    yes: Yes = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Delete connectors; the topics they wrote, and the offsets of their sources, stay."""
    if connectors:
        confirm(f"delete {', '.join(connectors)}", yes=yes)
    _each(connectors, lambda name: connect.ask("DELETE", "connectors", name), "deleted", output)


def _each(names: Sequence[str], act: Any, done: str, output: Output) -> None:
    if not names:
        raise UsageError("no connector was named", "`moldau connect list` shows those that there are")
    records, failures = [], []
    for name in names:
        try:
            act(name)
            records.append({"connector": name, "result": done})
        except AnswerError as error:
            failures.append(error)
            records.append({"connector": name, "result": str(error)})
    output.records(records, OUTCOME)
    if failures and len(failures) == len(names) == 1:
        raise failures[0]
    if failures:
        kind = RefusedError if len(failures) == len(names) else PartlyDoneError
        raise kind(f"{len(failures)} of {len(names)} connectors could not be {done}")


def show_offsets(
    connector: str,
    /,
    *,
    set: Annotated[Path | None, Parameter(name="--set")] = None,  # noqa: A002 (it is the option's name)
    reset: Flag = False,
    yes: Yes = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """Show how far a connector has come; or change it, for one that is stopped.

    Parameters
    ----------
    set
        A JSON file with {"offsets": [{"partition": …, "offset": …}]}, as -o json shows them; - is stdin.
    reset
        Forget them: the connector begins from the start.
    """
    if reset and set is not None:
        raise UsageError("--set and --reset exclude each other")
    if reset:
        confirm(f"forget the offsets of {connector}", yes=yes)
        say(connect.ask("DELETE", "connectors", connector, "offsets")["message"])
        return
    if set is not None:
        given = read_connector(set)
        say(
            connect.ask("PATCH", "connectors", connector, "offsets", body={"offsets": given.config["offsets"]})[
                "message"
            ]
        )
        return
    records = connect.ask("GET", "connectors", connector, "offsets")["offsets"]
    if not output.for_eyes:
        output.records(records, ("partition", "offset"))
        return
    import json

    output.records(
        [{side: json.dumps(each[side]) for side in ("partition", "offset")} for each in records],
        ("partition", "offset"),
    )


def list_plugins(
    *,
    every: Annotated[bool, Parameter(name="--all", negative=())] = False,
    connect: ConnectConnection = ConnectConnection(),
    output: Output = Output(),
) -> None:
    """List what a worker can run.

    Parameters
    ----------
    every
        Transforms, predicates and converters, too.
    """
    query = {"connectorsOnly": str(not every).lower()}
    output.records(connect.ask("GET", "connector-plugins", query=query), ("class", "type", "version"))


def explain_plugin(
    plugin: str, /, *, connect: ConnectConnection = ConnectConnection(), output: Output = Output()
) -> None:
    """Show the settings of a connector, a transform or another plugin; `plugin` is its class, or its short name."""
    records = [
        {
            "setting": each["name"],
            "type": each["type"].lower(),
            "required": each["required"],
            "default": each["default_value"],
            "importance": each["importance"].lower(),
            "documentation": each["documentation"],
        }
        for each in connect.ask("GET", "connector-plugins", plugin, "config")
    ]
    output.records(records, ("setting", "type", "required", "default", "importance", "documentation"))


def run_connect(
    files: list[Path] | None = None,
    /,
    *,
    bootstrap: Annotated[
        str | None, Parameter(name=["--bootstrap-servers", "--bootstrap", "-b"], env_var="MOLDAU_BOOTSTRAP_SERVERS")
    ] = None,
    setting: Annotated[list[str] | None, Parameter(name=["--setting", "-X"], negative=())] = None,
    host: str | None = None,
    port: int | None = None,
    standalone: Annotated[Path | None, Parameter(name="--standalone")] = None,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
) -> None:
    """Run a Connect worker on any Kafka cluster, until Ctrl-C.

    Parameters
    ----------
    files
        A worker.properties, as Kafka Connect reads it, and connectors (JSON or properties) to run.
    bootstrap
        The cluster, localhost:9092 if nothing says otherwise.
    setting
        Any setting of the worker, as key=value; may be given many times.
    host
        Address of the REST interface, 127.0.0.1 without it; 0.0.0.0 lets everybody in who can reach this machine.
    port
        Its port, 8083 without it; 0 takes any free one.
    standalone
        Keep source offsets in this file, and everything else in memory: nothing is shared with other workers.
    verbose
        Log everything.
    """
    import logging

    from moldau.cli.connect_worker import run_worker, worker_settings
    from moldau.cli.output import log_to_stderr

    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    settings, connectors = worker_settings(
        files or [], bootstrap=bootstrap, given=setting or [], address=(host, port), standalone=standalone
    )
    run_worker(settings, connectors)
