"""What connectors and source tasks may ask of their worker."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from moldau.connect.ready import DirectConverters
from moldau.connect.runtime.connector import ConnectorListener, WorkerConnector
from moldau.connect.runtime.connector_offsets import ConnectorOffsets, OffsetReader
from moldau.connect.runtime.transaction_boundaries import ConnectorTransactionContext


class RunningConnectorContext:
    """For a connector of either kind."""

    def __init__(self, runner: WorkerConnector, offsets: ConnectorOffsets, listener: ConnectorListener) -> None:
        self._runner = runner
        self._listener = listener
        self._reader = OffsetReader(offsets, runner.name, given_up=lambda: runner.stopping)

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
    """For a source task. `transactions` where the connector says where they end.

    An offset that is asked for is looked up in what the topic holds at that moment, however long a transaction of
    another task has to be waited for.
    """

    def __init__(
        self,
        offsets: ConnectorOffsets,
        connector: str,
        config: Mapping[str, str],
        transactions: ConnectorTransactionContext | None = None,
        direct: DirectConverters | None = None,
    ) -> None:
        self.given_up: Callable[[], bool] = lambda: False
        """Whether the task was stopped, and nobody waits for it any more."""
        self._config = config
        self._transactions = transactions
        self._direct = direct

        def fresh() -> None:
            offsets.refresh(lambda: self.given_up())  # noqa: PLW0108 (set later)

        self._reader = OffsetReader(offsets, connector, fresh, lambda: self.given_up())  # noqa: PLW0108 (set later)

    def configs(self) -> Mapping[str, str]:
        """The settings of the task."""
        return self._config

    def offset_storage_reader(self) -> OffsetReader:
        """How far this connector has come."""
        return self._reader

    def transaction_context(self) -> ConnectorTransactionContext | None:
        """None: the worker decides where transactions end."""
        return self._transactions

    def direct_converters(self) -> DirectConverters | None:
        """The converters, when no transform stands before them and no failure is tolerated."""
        return self._direct
