"""What a worker asks of its leader by itself: to write the tasks of a connector, to shut out its older tasks.

Over the leader's REST interface, signed if all workers of the group know how (KIP-507), as Kafka's workers do.
"""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import quote

from moldau.connect.errors import ConnectError
from moldau.connect.runtime import deadlines
from moldau.connect.runtime.config_records import Config, SessionKey
from moldau.connect.runtime.membership import Membership
from moldau.connect.runtime.session_keys import signed

logger: Final = logging.getLogger("moldau.connect.herder")

PASSING: Final = (409, 503)
"""Statuses of a leader that is not yet, or no more, the one."""


class NotNowError(ConnectError):
    """Nobody is there who leads; that passes."""


class LeaderRequests:
    """Its methods wait, and may be called by any thread but the one on which another worker may wait."""

    def __init__(self, membership: Membership, key: Callable[[], SessionKey | None]) -> None:
        self._membership = membership
        self._key = key

    def put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        """Have the configurations of a connector's tasks written. Raises NotNowError, ConnectError."""
        self._ask("POST", name, "tasks", json.dumps([dict(each) for each in configs], ensure_ascii=False).encode())

    def fence(self, name: str) -> None:
        """Have the older tasks of a connector shut out. Raises NotNowError, ConnectError."""
        self._ask("PUT", name, "fence", b"")

    def _ask(self, method: str, name: str, what: str, body: bytes) -> None:
        url, key, signs = self._membership.leader_url, self._key(), self._membership.signs
        if url is None:
            raise NotNowError("it is not known which worker leads")
        if key is None and signs:
            raise NotNowError("there is no session key yet")
        headers = {"Content-Type": "application/json", **(signed(body, key) if key is not None and signs else {})}
        request = urllib.request.Request(  # noqa: S310 (the URL of a worker of the group)
            f"{url.rstrip('/')}/connectors/{quote(name, safe='')}/{what}?forward=false",
            body or None,
            headers,
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=deadlines.ASKED_OF_LEADER_S):  # noqa: S310
                return
        except urllib.error.HTTPError as error:
            said = _message(error.read()) or str(error)
            raise (NotNowError if error.code in PASSING else ConnectError)(f"the leader {url} said: {said}") from error
        except OSError as error:
            raise NotNowError(f"the leader {url} does not answer: {error}") from error


def _message(body: bytes) -> str | None:
    try:
        message = json.loads(body)["message"]
    except (ValueError, TypeError, KeyError):
        return None
    return str(message)
