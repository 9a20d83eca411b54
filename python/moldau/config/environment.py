"""Settings in environment variables, by the rule of the Docker images of Apache Kafka.

`KAFKA_` in front, then the key in capitals with `.` written as `_`, `_` as `__` and `-` as `___`. Variables by which
the images steer the JVM and its logging begin with `KAFKA_` too and are no settings. `CLUSTER_ID` is the cluster's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

PREFIX: Final = "KAFKA_"
CLUSTER_ID: Final = "CLUSTER_ID"

NOT_SETTINGS: Final = frozenset(
    {
        "KAFKA_VERSION",
        "KAFKA_HOME",
        "KAFKA_CLUSTERS",
        "KAFKA_HEAP_OPTS",
        "KAFKA_LOG4J_OPTS",
        "KAFKA_OPTS",
        "KAFKA_JMX_OPTS",
        "KAFKA_JMX_PORT",
        "KAFKA_JMX_HOSTNAME",
        "KAFKA_JVM_PERFORMANCE_OPTS",
        "KAFKA_GC_LOG_OPTS",
        "KAFKA_LOG4J_ROOT_LOGLEVEL",
        "KAFKA_LOG4J_LOGGERS",
        "KAFKA_TOOLS_LOG4J_LOGLEVEL",
    }
)
"""What the images and Kafka's own scripts read themselves."""


def key_of(variable: str) -> str:
    """The key that a variable stands for: `KAFKA_LOG_RETENTION_MS` is `log.retention.ms`."""
    name = variable.removeprefix(PREFIX).lower()
    return name.replace("___", "-").replace("__", "\0").replace("_", ".").replace("\0", "_")


def variable_of(key: str) -> str:
    """The variable that stands for a key."""
    return PREFIX + key.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def settings_in(environment: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Of every variable that is a setting: the key, and (variable, text)."""
    return {
        key_of(variable): (variable, text)
        for variable, text in environment.items()
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS
    }
