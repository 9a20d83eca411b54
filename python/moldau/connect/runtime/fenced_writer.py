"""Writing to the config topic as the leader that nobody has followed: in transactions, under the group's one id.

KIP-618: whoever claims the id `connect-cluster-GROUP` shuts out whoever had it before, so that a leader that does not
know yet that it is none changes nothing any more. Claim, then read, then decide, then write: what is decided on is then
all that was written before, and nobody else writes in between.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from confluent_kafka import KafkaException

from moldau.client import Producer
from moldau.connect.errors import ConnectError

logger: Final = logging.getLogger("moldau.connect.topics")

CALL_TIMEOUT_S: Final = 5.0
TIMEOUT_S: Final = 30.0


class PrivilegeLostError(ConnectError):
    """Another worker writes as the leader now, or it is not known whether this one still may."""


class FencedWriter:
    """Its methods are called by one thread at a time."""

    def __init__(self, topic: str, group: str, settings: Mapping[str, Any]) -> None:
        self._topic = topic
        self._settings = {
            **settings,
            "client.id": f"{settings.get('client.id') or 'connect'}-leader",
            "transactional.id": leader_id(group),
            "linger.ms": 0,
        }
        self._producer: Producer | None = None

    def claim(self) -> bool:
        """Shut out whoever wrote before; False if nobody has since this worker did it.

        Raises:
            ConnectError: the cluster does not answer.
        """
        if self._producer is not None:
            return False
        producer = Producer(self._settings)
        try:
            patiently(producer.init_transactions, TIMEOUT_S)
        except KafkaException as error:
            raise ConnectError(
                f"Failed to create and initialize fencable producer for config topic: {error.args[0].str()}"
            ) from error
        self._producer = producer
        return True

    def write(self, pairs: Sequence[tuple[str | bytes, bytes | None]]) -> None:
        """Write all or nothing. Raises PrivilegeLostError."""
        producer = self._producer
        assert producer is not None, "claimed before"
        try:
            producer.begin_transaction()
            for key, value in pairs:
                producer.produce(self._topic, value, key)
            patiently(producer.commit_transaction, TIMEOUT_S)
        except KafkaException as error:
            logger.warning("this worker could not write to %s as the leader: %s", self._topic, error.args[0].str())
            self.relinquish()
            raise PrivilegeLostError(
                "Failed to write to config topic; this may be due to a transient error and the request can be safely "
                f"retried: {error.args[0].str()}"
            ) from error

    def relinquish(self) -> None:
        """Write no more until it is claimed again."""
        self._producer = None


def leader_id(group: str) -> str:
    """The transactional id of a group's leader."""
    return f"connect-cluster-{group}"


def task_id_of(group: str, connector: str, task: int) -> str:
    """The transactional id of a source task."""
    return f"{group}-{connector}-{task}"


def patiently(call: Callable[[float], Any], timeout_s: float | None, given_up: Callable[[], bool] = bool) -> None:
    """Make a call of a transactional producer again while its error says that this may help.

    For so many seconds, or until nobody waits for it any more. Raises KafkaException.
    """
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    while True:
        try:
            call(CALL_TIMEOUT_S)
            return
        except KafkaException as error:
            late = deadline is not None and time.monotonic() > deadline
            if late or given_up() or not error.args[0].retriable():
                raise
            logger.info("a transaction waits for the cluster: %s", error.args[0].str())
