"""What the parts of a worker call things: tasks by connector and number, and the states they can be in."""

from __future__ import annotations

import enum
from typing import NamedTuple


class TaskId(NamedTuple):
    """One task of a connector. Written `name-0`, as in Kafka's messages and topics."""

    connector: str
    task: int

    def __str__(self) -> str:
        return f"{self.connector}-{self.task}"


class TargetState(enum.StrEnum):
    """What a connector shall be."""

    STARTED = "STARTED"
    PAUSED = "PAUSED"
    STOPPED = "STOPPED"


class State(enum.StrEnum):
    """What a connector or a task is."""

    UNASSIGNED = "UNASSIGNED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    FAILED = "FAILED"
    DESTROYED = "DESTROYED"
    RESTARTING = "RESTARTING"
    STOPPED = "STOPPED"


class ConnectorType(enum.StrEnum):
    """Which way a connector moves records."""

    SOURCE = "source"
    SINK = "sink"
    UNKNOWN = "unknown"
