"""The thread of a transactional producer that asks its coordinators what the `TransactionMachine` wants to know."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from moldau.client.producing.transaction_requests import TRANSACTION_VERSION, TransactionRequest
from moldau.client.producing.transactions import TransactionMachine
from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.errors import ProtocolError
from moldau.client.protocol.lines import Lines, passes

logger: Final = logging.getLogger("moldau.client")


class Coordination:
    """Carries out what a machine asks, from its making to `close`. It shares the lock of the producer."""

    def __init__(
        self,
        brokers: Brokers,
        machine: TransactionMachine,
        changed: threading.Condition,
        is_empty: Callable[[], bool],
        fail: Callable[[BaseException], None],
    ) -> None:
        """`is_empty` says whether no record is here or on its way, `fail` is told of what must not happen."""
        self._brokers = brokers
        self._machine = machine
        self._changed = changed
        self._is_empty = is_empty
        self._fail = fail
        self._closed = False
        self._lines = Lines(brokers, "the producer")
        self.thread = threading.Thread(target=self._run, name=f"{brokers.client_id}-transactions", daemon=True)

    def close(self) -> None:
        """Ask no more. The thread is not waited for."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._lines.close()

    def _run(self) -> None:
        try:
            while (asked := self._wait_for_request()) is not None:
                self._carry_out(*asked)
        except BaseException as error:  # noqa: BLE001 (the owner is told of it)
            self._fail(error)
        finally:
            self._lines.hang_up_all()

    def _wait_for_request(self) -> tuple[TransactionRequest, Address | None] | None:
        with self._changed:
            while not self._closed:
                now, stage = time.monotonic(), self._machine.stage
                request = self._machine.next(now, is_empty=self._is_empty())
                if request is not None:
                    return request, self._machine.address_of(request)
                if self._machine.stage is not stage:
                    # Nothing was to be ended, and whoever waits for the end has it.
                    self._changed.notify_all()
                    continue
                self._changed.wait(self._machine.wait_s(now))
            return None

    def _carry_out(self, request: TransactionRequest, address: Address | None) -> None:
        try:
            answer = self._ask(request, address)
        except (ProtocolError, OSError) as error:
            if address is not None:
                self._lines.hang_up(address)
            with self._changed:
                if not self._closed:
                    said = (self._brokers.client_id, type(request).__name__, address or "the cluster", error)
                    logger.info("%s asks again, %s of %s: %s", *said)
                self._machine.failed(request, error, time.monotonic(), passes=self._closed or passes(error))
                self._changed.notify_all()
            return
        with self._changed:
            self._machine.answered(request, answer, time.monotonic())
            self._changed.notify_all()

    def _ask(self, request: TransactionRequest, address: Address | None) -> Any:
        timeout_s = self._brokers.request_timeout_s
        if address is None:
            line = self._brokers.open_any(self._lines.ending)
            try:
                with self._lines.ending.ends(line.abort):
                    return line.ask(request.api_key, request.values, timeout_s, among=request.versions)
            finally:
                line.close()
        is_new = not self._lines.has(address)
        line = self._lines.to(address, address)
        if is_new:
            with self._changed:
                self._machine.greeted(line.feature_level(TRANSACTION_VERSION))
        return line.ask(request.api_key, request.values, timeout_s, among=request.versions)
