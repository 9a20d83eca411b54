"""Whether two addresses lead to one cluster: its id says so, however its brokers are spelled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as NotYetError
from typing import Any, Final

from confluent_kafka import KafkaException

from moldau.client import AdminClient
from moldau.connect.errors import ConnectError

ASK_TIMEOUT_S: Final = 30.0
LOOK_S: Final = 0.2
"""How long an answer is waited for before it is looked whether anybody still wants it."""

Settings = Mapping[str, Any]
"""Of an admin client."""


class Clusters:
    """Knows the ids of clusters that were asked for theirs, and asks no more for these. Used by any thread.

    Who asks waits for nobody else who does: two who ask at once for the same cluster both ask it.
    """

    def __init__(self) -> None:
        self._ids: dict[frozenset[str], str] = {}

    def same(self, one: Settings, other: Settings, given_up: Callable[[], bool] = bool) -> bool | None:
        """Whether they are; None when nobody wants to know any more.

        Raises:
            ConnectError: a cluster that has to be asked does not answer.
        """
        if servers_of(one) == servers_of(other):
            return True
        ids = []
        for settings in (one, other):
            ids.append(self._id(settings, given_up))
            if given_up():
                return None
        return ids[0] is not None and ids[0] == ids[1]

    def _id(self, settings: Settings, given_up: Callable[[], bool]) -> str | None:
        """None for a cluster that is too old to have one (it may be upgraded), and when nobody waits any more."""
        servers = servers_of(settings)
        known = self._ids.get(servers)
        if known is not None:
            return known
        deadline = time.monotonic() + ASK_TIMEOUT_S
        # Kept until the answer is there: with the client the question would be gone.
        client = AdminClient(settings)
        try:
            answer = client.describe_cluster(request_timeout=ASK_TIMEOUT_S)
            while not given_up():
                try:
                    found = answer.result(LOOK_S).cluster_id
                except NotYetError:
                    if time.monotonic() > deadline:
                        raise
                    continue
                if found is not None:
                    self._ids[servers] = found
                return found  # type: ignore[no-any-return]
        except (KafkaException, NotYetError) as error:
            said = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
            raise ConnectError(
                f"the cluster at {settings['bootstrap.servers']} does not say which one it is: {said}"
            ) from error
        return None


def servers_of(client: Settings) -> frozenset[str]:
    """What `bootstrap.servers` names."""
    return frozenset(each.strip() for each in str(client["bootstrap.servers"]).split(","))
