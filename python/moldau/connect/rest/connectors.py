"""/connectors: creating, seeing, changing, restarting and deleting them, and how far they have come."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from moldau.connect.rest.call import Answer, Call, as_config
from moldau.connect.runtime.config_records import RestartRequest
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.refusals import BadRequestError, NotFoundError

Config = dict[str, str | None]


def list_connectors(call: Call) -> Any:
    """The names of all connectors; with `expand=status` and `expand=info` more about each."""
    names = call.api.connectors()
    if "expand" not in call.query:
        return names
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            expanded: dict[str, Any] = {}
            for what in call.query["expand"]:
                if what == "status":
                    expanded["status"] = call.api.connector_status(name)
                elif what == "info":
                    expanded["info"] = call.api.connector_info(name)
            found[name] = expanded
        except NotFoundError:
            # Deleted a moment ago.
            continue
    return found


def create(call: Call) -> Any:
    """Create a connector, with the state and the offsets that it begins with."""
    body = call.json()
    given = body.get("name")
    name = given.strip() if isinstance(given, str) else ""
    config = _named(name, as_config(body.get("config") or {}))
    state = body.get("initial_state")
    if state is not None and str(state).upper() not in ("RUNNING", "PAUSED", "STOPPED"):
        raise BadRequestError(f"initial_state is RUNNING, PAUSED or STOPPED, not {state}")
    target = {"RUNNING": TargetState.STARTED, "PAUSED": TargetState.PAUSED, "STOPPED": TargetState.STOPPED}.get(
        str(state).upper()
    )
    offsets = body.get("initial_offsets")
    info = call.api.create(name, config, target, None if offsets is None else _entries({"offsets": offsets}))
    return Answer(201, info, _location(name))


def get_connector(call: Call) -> Any:
    """A connector, its configuration and its tasks."""
    return call.api.connector_info(call.connector)


def delete(call: Call) -> Any:
    """Delete a connector and stop its tasks; its topics and offsets stay."""
    call.api.delete(call.connector)
    return None


def get_config(call: Call) -> Any:
    """The configuration of a connector, as it was written."""
    return call.api.connector_info(call.connector)["config"]


def put_config(call: Call) -> Any:
    """Create a connector, or replace its configuration."""
    info, created = call.api.put_config(call.connector, _named(call.connector, call.config()))
    return Answer(201, info, _location(call.connector)) if created else info


def patch_config(call: Call) -> Any:
    """Change single settings of a connector; null takes one away."""
    return call.api.patch_config(call.connector, call.config())


def get_status(call: Call) -> Any:
    """What a connector and its tasks are, where they run, and why they failed."""
    return call.api.connector_status(call.connector)


def list_tasks(call: Call) -> Any:
    """The tasks of a connector with their configurations."""
    return call.api.tasks(call.connector)


def list_task_configs(call: Call) -> Any:
    """The configurations of a connector's tasks, by task; deprecated in Kafka."""
    return {f"{call.connector}-{each['id']['task']}": each["config"] for each in call.api.tasks(call.connector)}


def get_task_status(call: Call) -> Any:
    """What a task is, where it runs, and why it failed."""
    return call.api.task_status(TaskId(call.connector, call.task))


def pause(call: Call) -> Any:
    """Pause a connector and its tasks; they stay where they are."""
    call.api.set_target_state(call.connector, TargetState.PAUSED)
    return Answer(202)


def resume(call: Call) -> Any:
    """Let a paused or stopped connector go on."""
    call.api.set_target_state(call.connector, TargetState.STARTED)
    return Answer(202)


def stop(call: Call) -> Any:
    """Stop a connector: its tasks are gone until it is resumed, its configuration stays."""
    call.api.stop_connector(call.connector)
    return None


def restart(call: Call) -> Any:
    """Restart a connector, with its tasks too (`includeTasks`), or only what has failed (`onlyFailed`)."""
    include_tasks, only_failed = call.flag("includeTasks"), call.flag("onlyFailed")
    if not include_tasks and not only_failed:
        call.api.restart_connector(call.connector)
        return None
    return Answer(202, call.api.restart(RestartRequest(call.connector, only_failed, include_tasks)))


def restart_task(call: Call) -> Any:
    """Restart one task."""
    call.api.restart_task(TaskId(call.connector, call.task))
    return None


def list_topics(call: Call) -> Any:
    """The topics that a connector has used since it was created, or since they were reset."""
    return {call.connector: {"topics": call.api.topics(call.connector)}}


def reset_topics(call: Call) -> Any:
    """Begin again to note which topics a connector uses."""
    call.api.reset_topics(call.connector)
    return Answer(202)


def get_offsets(call: Call) -> Any:
    """How far a connector has come."""
    return call.api.offsets(call.connector)


def alter_offsets(call: Call) -> Any:
    """Change how far a stopped connector has come."""
    entries = _entries(call.json())
    if not entries:
        raise BadRequestError("Partitions / offsets need to be provided for an alter offsets request")
    return {"message": call.api.alter_offsets(call.connector, entries)}


def reset_offsets(call: Call) -> Any:
    """Let a stopped connector begin from the start."""
    return {"message": call.api.alter_offsets(call.connector, None)}


def _entries(body: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    given = body.get("offsets")
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        return []
    return [(each.get("partition"), each.get("offset")) for each in given]


def _named(name: str, config: Config) -> Config:
    included = config.get("name")
    if included is not None and included != name:
        raise BadRequestError(
            f"Connector name configuration ({included}) doesn't match connector name in the URL ({name})"
        )
    return {**config, "name": name}


def _location(name: str) -> str:
    return f"/connectors/{quote(name, safe='')}"
