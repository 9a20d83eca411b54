"""What the REST interface can ask of a worker: requests are judged here, answers have Kafka's shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from moldau.connect.plugins import Plugins
from moldau.connect.runtime import session_keys
from moldau.connect.runtime.config_records import RestartRequest
from moldau.connect.runtime.herder import Herder
from moldau.connect.runtime.loggers import all_levels, is_level, level_of, set_level
from moldau.connect.runtime.metrics import exposition
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.refusals import BadRequestError, ForbiddenError, NotFoundError, RefusedError
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.status_records import Status
from moldau.connect.runtime.validation import Validation

VERSION: Final = "4.3.1"
"""The version of Kafka Connect whose interface this is; tools choose by it what they may ask."""
COMMIT: Final = "moldau"

HEALTH_TIMEOUT_S: Final = 10.0
"""How long a healthy worker may take, and may be without its group, as in Kafka (KIP-1017)."""
UNHEALTHY: Final = "Worker was unable to handle this request and may be unable to handle other requests."

Config = dict[str, str | None]


class Api:
    """One for each worker. Every method waits, and belongs into a thread."""

    def __init__(
        self, herder: Herder, plugins: Plugins, settings: WorkerSettings, cluster_id: Callable[[], str]
    ) -> None:
        self._herder = herder
        self._plugins = plugins
        self._settings = settings
        self._validation = Validation(plugins, settings, herder.worker.resolver)
        self._cluster_id = cluster_id

    # The worker.

    def server_info(self) -> dict[str, str]:
        return {"version": VERSION, "commit": COMMIT, "kafka_cluster_id": self._cluster_id()}

    def refresh(self) -> None:
        """Return when this worker knows what the others have written."""
        self._herder.configs.refresh()

    def health(self) -> tuple[str, str]:
        """A word and a sentence."""
        if not self._herder.ready:
            return "starting", "Worker is still starting up."
        try:
            self._herder.do(lambda: None, HEALTH_TIMEOUT_S)
        except RefusedError as error:
            return "unhealthy", f"{UNHEALTHY} {error}"
        lost_s = self._herder.membership.unreachable_s
        if lost_s > HEALTH_TIMEOUT_S:
            return "unhealthy", f"{UNHEALTHY} The coordinator of its group has not answered for {lost_s:.0f} s."
        return "healthy", "Worker has completed startup and is ready to handle requests."

    def metrics(self) -> bytes:
        return exposition(self._herder.worker)

    def plugins(self, *, connectors_only: bool) -> list[dict[str, str]]:
        return [
            {"class": each.name, "type": each.kind.value, "version": each.version}
            for each in self._plugins.listed(connectors_only=connectors_only)
        ]

    def plugin_config(self, name: str, version: str | None = None) -> list[dict[str, Any]]:
        return self._validation.settings_of(name, version)

    def validate(self, config: Config) -> dict[str, Any]:
        return self._validation.judge(config)

    def loggers(self) -> dict[str, dict[str, Any]]:
        return all_levels()

    def logger_level(self, name: str) -> dict[str, Any]:
        found = level_of(name)
        if found is None:
            raise NotFoundError(f"Logger {name} not found.")
        return found

    def set_logger(self, name: str, level: str) -> list[str]:
        _check_level(level)
        return set_level(name, level)

    def set_cluster_logger(self, name: str, level: str) -> None:
        _check_level(level)
        self._herder.configs.put_logger(name, level.upper())

    # Connectors.

    def connectors(self) -> list[str]:
        return list(self._herder.configs.snapshot().connectors)

    def connector_info(self, name: str) -> dict[str, Any]:
        return self._herder.info_of(name)

    def create(
        self,
        name: str,
        config: Config,
        target: TargetState | None,
        offsets: Sequence[tuple[Mapping[str, Any], Any]] | None,
    ) -> dict[str, Any]:
        herder = self._herder
        herder.check_leads()
        self._judge(config)

        def create() -> dict[str, Any]:
            return herder.create_or_replace(name, config, replace=False, target=target)[0]

        if not offsets:
            return create()
        # They are written before the connector is there, so that its first task finds them.
        return herder.offsets.begin_at(name, config, offsets, lambda: herder.check_is_new(name), create)

    def put_config(self, name: str, config: Config) -> tuple[dict[str, Any], bool]:
        # Judged once, by the worker that writes it: a connector may ask a database that is slow to answer.
        self._herder.check_leads()
        self._judge(config)
        return self._herder.create_or_replace(name, config, replace=True)

    def patch_config(self, name: str, changes: Config) -> dict[str, Any]:
        self._herder.check_leads()
        config = self._herder.patched(name, changes)
        self._judge(config)
        return self._herder.create_or_replace(name, config, replace=True)[0]

    def _judge(self, config: Config) -> None:
        if not config.get("connector.class"):
            shown = ", ".join(f"{key}={value}" for key, value in config.items())
            raise BadRequestError(f"Connector config {{{shown}}} contains no connector type")
        found = self._validation.judge(config)
        count = found["error_count"]
        if count:
            errors = [error for each in found["configs"] for error in each["value"]["errors"]]
            raise BadRequestError(
                f"Connector configuration is invalid and contains the following {count} error(s):\n"
                + "\n".join(errors)
                + "\nYou can also find the above list of errors at the endpoint "
                "`/connector-plugins/{connectorType}/config/validate`"
            )

    def delete(self, name: str) -> None:
        self._herder.delete(name)

    def set_target_state(self, name: str, target: TargetState) -> None:
        self._herder.set_target_state(name, target)

    def stop_connector(self, name: str) -> None:
        self._herder.stop_connector(name)

    def restart_connector(self, name: str) -> None:
        self._herder.restart_connector(name)

    def restart(self, request: RestartRequest) -> dict[str, Any]:
        return self._herder.restart(request, lambda: self.connector_status(request.connector))

    def restart_task(self, task: TaskId) -> None:
        self._herder.restart_task(task)

    # What other workers ask.

    def check_signature(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raises RefusedError unless whoever asks has the group's key. A standalone worker has no group, and no key."""
        if not self._herder.membership.signs:
            return
        session_keys.check(body, headers, self._herder.configs.snapshot().session_key)

    def put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        self._herder.put_tasks(name, configs)

    def fence(self, name: str) -> None:
        self._herder.fencing.fence(name)

    # Statuses, tasks, topics, offsets.

    def connector_status(self, name: str) -> dict[str, Any]:
        status = self._herder.statuses.get(name)
        if status is None:
            raise NotFoundError(f"No status found for connector {name}")
        config = self._herder.configs.snapshot().connectors.get(name, {})
        return {
            "name": name,
            "connector": _status(status),
            "tasks": [{"id": task.task, **_status(each)} for task, each in self._herder.statuses.tasks_of(name)],
            "type": self._herder.worker.type_of(config).value,
        }

    def task_status(self, task: TaskId) -> dict[str, Any]:
        status = self._herder.statuses.get(task)
        if status is None:
            raise NotFoundError(f"No status found for task {task}")
        return {"id": task.task, **_status(status)}

    def tasks(self, name: str) -> list[dict[str, Any]]:
        state = self._herder.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        return [
            {"id": {"connector": task.connector, "task": task.task}, "config": dict(state.tasks[task])}
            for task in state.task_ids(name)
        ]

    def topics(self, name: str) -> list[str]:
        self._check_tracking("topic.tracking.enable", "Topic tracking is disabled.")
        return self._herder.statuses.topics_of(name)

    def reset_topics(self, name: str) -> None:
        self._check_tracking("topic.tracking.enable", "Topic tracking is disabled.")
        self._check_tracking("topic.tracking.allow.reset", "Topic tracking reset is disabled.")
        self._herder.statuses.forget_topics(name)

    def _check_tracking(self, setting: str, message: str) -> None:
        if not self._settings[setting]:
            raise ForbiddenError(message)

    def offsets(self, name: str) -> dict[str, Any]:
        state = self._herder.configs.snapshot()
        if name not in state.connectors:
            raise NotFoundError(f"Connector {name} not found")
        return {"offsets": self._herder.worker.offsets_of(name, state.connectors[name])}

    def alter_offsets(self, name: str, offsets: Sequence[tuple[Mapping[str, Any], Any]] | None) -> str:
        return self._herder.offsets.alter(name, offsets)


def _check_level(level: str) -> None:
    if not is_level(level):
        raise NotFoundError(f"invalid log level '{level}'.")


def _status(status: Status) -> dict[str, Any]:
    shown = {"state": status.state.value, "worker_id": status.worker_id}
    return {
        **shown,
        **({} if status.trace is None else {"trace": status.trace}),
        **({} if status.version is None else {"version": status.version}),
    }
