"""Every endpoint, once: the dispatcher and the reference page read it here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.rest import connectors, server, workers
from moldau.connect.rest.call import Call

Handler = Callable[[Call], Any]


@dataclass(frozen=True, slots=True)
class Route:
    """`{name}` in the path is one segment, decoded. `query` are the parameters that have an effect.

    `between_workers`: asked and signed by a worker that knows whom it asks, so never passed on, and not for users.
    `apart`: answered by threads that no other request takes.
    """

    method: str
    path: str
    handle: Handler
    query: tuple[str, ...] = ()
    between_workers: bool = False
    apart: bool = False

    @property
    def summary(self) -> str:
        """What it is for."""
        return (self.handle.__doc__ or "").strip()


_ONE: Final = "/connectors/{connector}"
_PLUGIN: Final = "/connector-plugins/{plugin}"

ROUTES: Final = (
    Route("GET", "/", server.root),
    Route("GET", "/health", server.health, apart=True),
    Route("GET", "/metrics", server.metrics),
    Route("GET", "/connectors", connectors.list_connectors, ("expand",)),
    Route("POST", "/connectors", connectors.create),
    Route("GET", _ONE, connectors.get_connector),
    Route("DELETE", _ONE, connectors.delete),
    Route("GET", f"{_ONE}/config", connectors.get_config),
    Route("PUT", f"{_ONE}/config", connectors.put_config),
    Route("PATCH", f"{_ONE}/config", connectors.patch_config),
    Route("GET", f"{_ONE}/status", connectors.get_status),
    Route("GET", f"{_ONE}/tasks", connectors.list_tasks),
    Route("GET", f"{_ONE}/tasks-config", connectors.list_task_configs),
    Route("GET", f"{_ONE}/tasks/{{task}}/status", connectors.get_task_status),
    Route("POST", f"{_ONE}/tasks/{{task}}/restart", connectors.restart_task),
    Route("POST", f"{_ONE}/tasks", workers.put_tasks, between_workers=True),
    Route("PUT", f"{_ONE}/fence", workers.fence, between_workers=True),
    Route("PUT", f"{_ONE}/pause", connectors.pause),
    Route("PUT", f"{_ONE}/resume", connectors.resume),
    Route("PUT", f"{_ONE}/stop", connectors.stop),
    Route("POST", f"{_ONE}/restart", connectors.restart, ("includeTasks", "onlyFailed")),
    Route("GET", f"{_ONE}/topics", connectors.list_topics),
    Route("PUT", f"{_ONE}/topics/reset", connectors.reset_topics),
    Route("GET", f"{_ONE}/offsets", connectors.get_offsets),
    Route("PATCH", f"{_ONE}/offsets", connectors.alter_offsets),
    Route("DELETE", f"{_ONE}/offsets", connectors.reset_offsets),
    Route("GET", "/connector-plugins", server.list_plugins, ("connectorsOnly",)),
    Route("GET", f"{_PLUGIN}/config", server.get_plugin_config, ("version",)),
    Route("PUT", f"{_PLUGIN}/config/validate", server.validate),
    Route("GET", "/admin/loggers", server.list_loggers),
    Route("GET", "/admin/loggers/{logger}", server.get_logger),
    Route("PUT", "/admin/loggers/{logger}", server.set_logger, ("scope",)),
)
