"""What connectors and source tasks may ask of their worker."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.connect.runtime.connector import ConnectorListener, WorkerConnector
from moldau.connect.runtime.offsets import OffsetReader, OffsetStore


class RunningConnectorContext:
    """For a connector of either kind."""

    def __init__(self, runner: WorkerConnector, offsets: OffsetStore, listener: ConnectorListener) -> None:
        self._runner = runner
        self._listener = listener
        self._reader = OffsetReader(offsets, runner.name)

    def request_task_reconfiguration(self) -> None:
        """The work is divided anew: `task_configs` is to be asked again."""
        self._listener.on_tasks_wanted(self._runner.name)

    def raise_error(self, error: BaseException) -> None:
        """The connector cannot go on."""
        self._runner.fail(error)

    def offset_storage_reader(self) -> OffsetReader:
        """How far the tasks have come."""
        return self._reader


class RunningSourceTaskContext:
    """For a source task."""

    def __init__(self, offsets: OffsetStore, connector: str, config: Mapping[str, str]) -> None:
        self._reader = OffsetReader(offsets, connector)
        self._config = config

    def configs(self) -> Mapping[str, str]:
        """The settings of the task."""
        return self._config

    def offset_storage_reader(self) -> OffsetReader:
        """How far this connector has come."""
        return self._reader

    def transaction_context(self) -> Any:
        """None: the worker decides where transactions end."""
        return None


def connector_context(
    runner: WorkerConnector, offsets: OffsetStore, listener: ConnectorListener
) -> RunningConnectorContext:
    """The context of a connector."""
    return RunningConnectorContext(runner, offsets, listener)


def source_context(offsets: OffsetStore, connector: str, config: Mapping[str, str]) -> RunningSourceTaskContext:
    """The context of a source task."""
    return RunningSourceTaskContext(offsets, connector, config)
