"""/, /health, /connector-plugins and /admin/loggers."""

from __future__ import annotations

from typing import Any

from moldau.connect.rest.call import Answer, Call
from moldau.connect.runtime.refusals import BadRequestError
from moldau.observe.exposition import CONTENT_TYPE

SUFFIX = "Connector"


def root(call: Call) -> Any:
    """The version whose interface this is, and the cluster."""
    return call.api.server_info()


def health(call: Call) -> Any:
    """Whether the worker has started and its herder answers."""
    status, message = call.api.health()
    return Answer({"healthy": 200, "starting": 503}.get(status, 500), {"status": status, "message": message})


def metrics(call: Call) -> Any:
    """What the worker, its connectors and its tasks count, as Prometheus reads it; not of Kafka Connect."""
    return Answer(200, text=call.api.metrics(), content_type=CONTENT_TYPE)


def list_plugins(call: Call) -> Any:
    """The connectors that can be used; with `connectorsOnly=false` transforms, predicates and converters too."""
    return call.api.plugins(connectors_only=call.flag("connectorsOnly", default=True))


def get_plugin_config(call: Call) -> Any:
    """The settings of a plugin; with `version` only if it is there in that one, or one of that range."""
    return call.api.plugin_config(call.path["plugin"], call.query.get("version", [None])[0])


def validate(call: Call) -> Any:
    """What is wrong with a configuration, setting by setting."""
    plugin, config = call.path["plugin"], call.config()
    included = config.get("connector.class")
    if included is not None and not _normal(included).endswith(_normal(plugin)):
        raise BadRequestError(f"Included connector type {included} does not match request type {plugin}")
    return call.api.validate({"connector.class": plugin, **config})


def _normal(name: str) -> str:
    """A class with and without "Connector" at its end is the same."""
    return name.removesuffix(SUFFIX) if name != SUFFIX else name


def list_loggers(call: Call) -> Any:
    """The loggers that have a level."""
    return call.api.loggers()


def get_logger(call: Call) -> Any:
    """The level of a logger."""
    return call.api.logger_level(call.path["logger"])


def set_logger(call: Call) -> Any:
    """Set the level of a logger and those below it, here or (`scope=cluster`) on every worker."""
    level = call.json().get("level")
    if level is None:
        raise BadRequestError("Desired 'level' parameter was not specified in request.")
    scope = call.query.get("scope", ["worker"])[0].lower()
    if scope == "cluster":
        call.api.set_cluster_logger(call.path["logger"], str(level))
        return None
    return call.api.set_logger(call.path["logger"], str(level))
