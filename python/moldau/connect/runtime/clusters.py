"""Whether two addresses lead to one cluster: its id says so, however its brokers are spelled."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaException

from moldau.client import AdminClient
from moldau.connect.errors import ConnectError

ASK_TIMEOUT_S: Final = 30.0

Settings = Mapping[str, Any]
"""Of an admin client."""


class Clusters:
    """Knows the ids of clusters that were asked for theirs; each is asked once. Used by any thread."""

    def __init__(self) -> None:
        self._ids: dict[frozenset[str], str | None] = {}
        self._asking = threading.Lock()

    def same(self, one: Settings, other: Settings) -> bool:
        """Raises ConnectError when a cluster that has to be asked does not answer."""
        if servers_of(one) == servers_of(other):
            return True
        first = self._id(one)
        return first is not None and first == self._id(other)

    def _id(self, settings: Settings) -> str | None:
        """None for a cluster that is too old to have one."""
        servers = servers_of(settings)
        with self._asking:
            if servers not in self._ids:
                try:
                    # Kept until the answer is there: with the client the question would be gone.
                    client = AdminClient(settings)
                    answer = client.describe_cluster(request_timeout=ASK_TIMEOUT_S)
                    self._ids[servers] = answer.result(ASK_TIMEOUT_S + 1).cluster_id
                except (KafkaException, TimeoutError) as error:
                    said = error.args[0].str() if isinstance(error, KafkaException) else "no answer"
                    raise ConnectError(
                        f"the cluster at {settings['bootstrap.servers']} does not say which one it is: {said}"
                    ) from error
            return self._ids[servers]


def servers_of(client: Settings) -> frozenset[str]:
    """What `bootstrap.servers` names."""
    return frozenset(each.strip() for each in str(client["bootstrap.servers"]).split(","))
