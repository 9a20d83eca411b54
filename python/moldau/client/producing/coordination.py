"""What a transactional producer asks its coordinators, over which connections: as the `TransactionMachine` wants it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from moldau.client.producing.transaction_requests import TRANSACTION_VERSION, TransactionRequest
from moldau.client.producing.transactions import TransactionMachine
from moldau.client.protocol.asking import Question
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection


class Coordination:
    """What one thread of a producer asks. It shares the lock of the producer."""

    def __init__(
        self,
        brokers: Brokers,
        machine: TransactionMachine,
        changed: threading.Condition,
        is_empty: Callable[[], bool],
    ) -> None:
        """`is_empty` says whether no record is here or on its way."""
        self._timeout_s = brokers.request_timeout_s
        self._machine = machine
        self._changed = changed
        self._is_empty = is_empty
        self._greeted: dict[Address, BrokerConnection] = {}
        """What each coordinator was asked over the last time."""

    def look(self, now: float) -> Question[Any] | float | None:
        """What to ask now."""
        machine, stage = self._machine, self._machine.stage
        request = machine.next(now, is_empty=self._is_empty())
        if request is not None:
            address = machine.address_of(request)
            ask, answered = partial(self._ask, request, address), partial(machine.answered, request)
            failed = partial(machine.failed, request)
            # Who says where a coordinator is is another one each time: one may not have heard of it yet.
            return Question(type(request).__name__, address, ask, answered, failed, address, address is not None)
        if machine.stage is not stage:
            # Nothing was to be ended, and whoever waits for the end has it.
            self._changed.notify_all()
            return 0.0
        return machine.wait_s(now)

    def _ask(self, request: TransactionRequest, address: Address | None, line: BrokerConnection) -> Any:
        if address is not None and self._greeted.get(address) is not line:
            self._greeted[address] = line
            with self._changed:
                self._machine.greeted(line.feature_level(TRANSACTION_VERSION))
        return line.ask(request.api_key, request.values, self._timeout_s, among=request.versions)
