"""The requests whose answers Kafka Connect 4.3.1 gave once (`tests/golden/connect/rest.json`).

To record anew: run a node (`moldau up --no-registry`), `ConnectDistributed` of Kafka's jars with connect-file on its
plugin path and JSON converters on it, then
`python -m tests.integration.connect.worker.rest_scenario http://127.0.0.1:8083 FOLDER`, whose output is the file.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx

WAIT_S: Final = 60.0
SOURCE: Final = "org.apache.kafka.connect.file.FileStreamSourceConnector"
SINK: Final = "org.apache.kafka.connect.file.FileStreamSinkConnector"
VARYING: Final = {"worker_id": "WORKER", "trace": "TRACE", "documentation": "DOC"}
STRINGS: Final = {
    "key.converter": "org.apache.kafka.connect.storage.StringConverter",
    "value.converter": "org.apache.kafka.connect.storage.StringConverter",
}


def source(folder: Path, **more: str) -> dict[str, str]:
    given = {"connector.class": "FileStreamSource", "tasks.max": "1", "file": str(folder / "in.txt"), "topic": "lines"}
    return {**given, **STRINGS, **more}


def sink(folder: Path) -> dict[str, str]:
    return {"connector.class": SINK, "tasks.max": "1", "file": str(folder / "out.txt"), "topics": "lines", **STRINGS}


def states(client: httpx.Client, name: str) -> tuple[str | None, list[str]]:
    answer = client.get(f"/connectors/{name}/status")
    if answer.status_code != 200:
        return None, []
    body = answer.json()
    return body["connector"]["state"], [task["state"] for task in body["tasks"]]


def wait_for(client: httpx.Client, name: str, connector: str, tasks: list[str]) -> None:
    deadline = time.monotonic() + WAIT_S
    while states(client, name) != (connector, tasks):
        if time.monotonic() > deadline:
            raise AssertionError(f"{name} is {states(client, name)}, not {connector} {tasks}")
        time.sleep(0.1)


def wait_for_file(path: Path, content: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not path.exists() or path.read_text() != content:
        if time.monotonic() > deadline:
            raise AssertionError(f"{path} holds {path.read_text() if path.exists() else None!r}")
        time.sleep(0.1)


def wait_for_offsets(client: httpx.Client, name: str, key: str, value: int) -> None:
    deadline = time.monotonic() + WAIT_S
    while True:
        offsets = client.get(f"/connectors/{name}/offsets").json().get("offsets", [])
        if [each["offset"][key] for each in offsets] == [value]:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"the offsets of {name} are {offsets}")
        time.sleep(0.1)


def play(client: httpx.Client, folder: Path) -> Iterator[dict[str, Any]]:
    """One entry per request: what was asked, the status, the body."""

    def ask(method: str, path: str, body: Any = None, *, raw: str | None = None) -> dict[str, Any]:
        content = raw if raw is not None else None if body is None else json.dumps(body)
        headers = {"Content-Type": "application/json"} if content is not None else {}
        answer = client.request(method, path, content=content, headers=headers)
        found = answer.json() if answer.content and "json" in answer.headers.get("content-type", "") else None
        return {
            "method": method,
            "path": path,
            "status": answer.status_code,
            "body": plain(found, folder),
            **(
                {"location": answer.headers["location"].removeprefix(str(client.base_url).rstrip("/"))}
                if "location" in answer.headers
                else {}
            ),
        }

    (folder / "in.txt").write_text("one\ntwo\nthree\n")
    yield from before_anything(ask, folder)
    yield ask("POST", "/connectors", {"name": "files", "config": source(folder)})
    wait_for(client, "files", "RUNNING", ["RUNNING"])
    yield from of_a_running_source(ask, folder)
    yield ask("PUT", "/connectors/out/config", sink(folder))
    wait_for(client, "out", "RUNNING", ["RUNNING"])
    wait_for_file(folder / "out.txt", "one\ntwo\nthree\n")
    wait_for_offsets(client, "files", "position", 14)
    wait_for_offsets(client, "out", "kafka_offset", 3)
    yield from of_both(ask, folder)
    yield ask("PUT", "/connectors/files/pause")
    wait_for(client, "files", "PAUSED", ["PAUSED"])
    yield ask("GET", "/connectors/files/status")
    yield ask("PUT", "/connectors/files/resume")
    wait_for(client, "files", "RUNNING", ["RUNNING"])
    yield ask(
        "PATCH", "/connectors/files/offsets", {"offsets": [{"partition": {"filename": "x"}, "offset": {"position": 1}}]}
    )
    for name in ("files", "out"):
        yield ask("PUT", f"/connectors/{name}/stop")
        wait_for(client, name, "STOPPED", [])
        yield ask("GET", f"/connectors/{name}/status")
        yield ask("GET", f"/connectors/{name}/tasks")
        yield ask("GET", f"/connectors/{name}")
    yield from of_offsets(ask, folder)
    yield ask("PUT", "/connectors/files/resume")
    wait_for(client, "files", "RUNNING", ["RUNNING"])
    yield ask("PATCH", "/connectors/files/config", {"topic": "others", "unset": None})
    yield ask("PUT", "/connectors/files/config", source(folder))
    wait_for(client, "files", "RUNNING", ["RUNNING"])
    for path in (
        "restart",
        "restart?includeTasks=true",
        "restart?includeTasks=true&onlyFailed=true",
        "tasks/0/restart",
        "tasks/9/restart",
    ):
        yield without_passing_states(ask("POST", f"/connectors/files/{path}"))
        wait_for(client, "files", "RUNNING", ["RUNNING"])
    yield ask("DELETE", "/connectors/files")
    yield ask("DELETE", "/connectors/out")
    yield ask("DELETE", "/connectors/out")
    yield ask("POST", "/connectors", {"name": "later", "config": source(folder), "initial_state": "STOPPED"})
    wait_for(client, "later", "STOPPED", [])
    yield ask("GET", "/connectors/later/status")
    yield ask("DELETE", "/connectors/later")


def before_anything(ask: Any, folder: Path) -> Iterator[dict[str, Any]]:
    yield ask("GET", "/connectors")
    yield ask("GET", "/connectors/none")
    yield ask("GET", "/connectors/none/config")
    yield ask("GET", "/connectors/none/status")
    yield ask("GET", "/connectors/none/tasks")
    yield ask("GET", "/connectors/none/tasks/0/status")
    yield ask("GET", "/connectors/none/offsets")
    yield ask("GET", "/connectors/none/topics")
    yield ask("PUT", "/connectors/none/pause")
    yield ask("PUT", "/connectors/none/resume")
    yield ask("PUT", "/connectors/none/stop")
    yield ask("POST", "/connectors/none/restart")
    yield ask("POST", "/connectors/none/restart?includeTasks=true")
    yield ask("POST", "/connectors/none/tasks/0/restart")
    yield ask("DELETE", "/connectors/none")
    yield ask("DELETE", "/connectors/none/offsets")
    yield ask("PATCH", "/connectors/none/config", {"a": "b"})
    yield ask("GET", "/nothing")
    yield ask("DELETE", "/connectors")
    yield ask("POST", "/connectors", raw="{")
    yield ask("POST", "/connectors", {"name": "a", "config": {"name": "b", "connector.class": "FileStreamSource"}})
    yield ask("POST", "/connectors", {"config": {"connector.class": "FileStreamSource"}})
    yield ask("POST", "/connectors", {"name": "a", "config": {}})
    yield ask("POST", "/connectors", {"name": "a", "config": {"connector.class": "FileStreamSource"}})
    yield ask("POST", "/connectors", {"name": "a", "config": {"connector.class": "no.such.Connector"}})
    yield ask("POST", "/connectors", {"name": "a", "config": {"connector.class": SINK, "tasks.max": "0", "file": "/x"}})
    yield ask(
        "POST", "/connectors", {"name": "a", "config": {"connector.class": SINK, "topics": "a", "topics.regex": "b"}}
    )
    yield ask("POST", "/connectors", {"name": "a", "config": {**source(folder), "transforms": "t"}})
    yield ask("POST", "/connectors", {"name": "a", "config": {**source(folder), "errors.tolerance": "some"}})
    yield ask("PUT", "/connector-plugins/FileStreamSource/config/validate", {"connector.class": SINK})
    yield ask(
        "PUT",
        "/connector-plugins/FileStreamSource/config/validate",
        {**source(folder), "name": "v", "tasks.max": "many"},
    )
    yield ask("PUT", "/connector-plugins/FileStreamSink/config/validate", {**sink(folder), "name": "v"})
    yield ask("GET", "/connector-plugins/FileStreamSource/config")
    yield ask("GET", "/connector-plugins/no.such.Plugin/config")


def of_a_running_source(ask: Any, folder: Path) -> Iterator[dict[str, Any]]:
    yield ask("POST", "/connectors", {"name": "files", "config": source(folder)})
    yield ask("GET", "/connectors")
    yield ask("GET", "/connectors/files")
    yield ask("GET", "/connectors/files/config")
    yield ask("GET", "/connectors/files/status")
    yield ask("GET", "/connectors/files/tasks")
    yield ask("GET", "/connectors/files/tasks/0/status")
    yield ask("GET", "/connectors/files/tasks/7/status")


def of_both(ask: Any, folder: Path) -> Iterator[dict[str, Any]]:
    yield ask("GET", "/connectors?expand=status")
    yield ask("GET", "/connectors?expand=info&expand=status")
    yield ask("GET", "/connectors/files/topics")
    yield ask("GET", "/connectors/out/topics")
    yield ask("GET", "/connectors/files/offsets")
    yield ask("GET", "/connectors/out/offsets")
    yield ask("PUT", "/connectors/out/topics/reset")


def of_offsets(ask: Any, folder: Path) -> Iterator[dict[str, Any]]:
    partition = {"filename": str(folder / "in.txt")}
    yield ask("PATCH", "/connectors/files/offsets", {"offsets": []})
    yield ask(
        "PATCH", "/connectors/files/offsets", {"offsets": [{"partition": partition, "offset": {"position": "x"}}]}
    )
    yield ask("PATCH", "/connectors/files/offsets", {"offsets": [{"partition": partition, "offset": {"position": 4}}]})
    yield ask("GET", "/connectors/files/offsets")
    yield ask("DELETE", "/connectors/files/offsets")
    yield ask("GET", "/connectors/files/offsets")
    lines = {"kafka_topic": "lines", "kafka_partition": 0}
    yield ask("PATCH", "/connectors/out/offsets", {"offsets": [{"partition": lines, "offset": {"kafka_offset": 1}}]})
    yield ask("GET", "/connectors/out/offsets")
    yield ask(
        "PATCH",
        "/connectors/out/offsets",
        {"offsets": [{"partition": {"topic": "lines"}, "offset": {"kafka_offset": 1}}]},
    )
    yield ask("PATCH", "/connectors/out/offsets", {"offsets": [{"partition": lines, "offset": {"kafka_offset": "x"}}]})
    yield ask("DELETE", "/connectors/out/offsets")
    yield ask("GET", "/connectors/out/offsets")


def without_passing_states(entry: dict[str, Any]) -> dict[str, Any]:
    """Whether a task that is restarted is already seen as such is a matter of milliseconds."""
    body = entry["body"]
    if isinstance(body, dict) and "tasks" in body:
        for each in (body["connector"], *body["tasks"]):
            each["state"] = "ANY"
    return entry


def plain(value: Any, folder: Path) -> Any:
    """Without what differs from run to run."""
    if isinstance(value, dict):
        return {name: VARYING[name] if name in VARYING else plain(one, folder) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one, folder) for one in value]
    if isinstance(value, str):
        return re.sub(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID", value.replace(str(folder), "FOLDER"))
    return value


if __name__ == "__main__":
    with httpx.Client(base_url=sys.argv[1], timeout=90) as recording:
        print(json.dumps(list(play(recording, Path(sys.argv[2]))), indent=1))
