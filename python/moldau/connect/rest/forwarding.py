"""Requests that another worker has to answer: passed on to it, and its answer given as our own.

As between Kafka's workers: a request that is passed on says so with `forward=true`; whoever gets that and still is not
the one passes it on once more, with `forward=false`. So a worker that knows only the leader reaches the owner of a
task in two steps, and nobody sends a request round in circles.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from moldau.connect.rest.call import Answer
from moldau.connect.runtime import deadlines
from moldau.connect.runtime.refusals import ElsewhereError, RebalancingError, RefusedError

PATIENCE_S: Final = 15.0
LOOK_AGAIN_S: Final = 0.2
NO_LEADER: Final = (
    "Cannot complete request momentarily due to no known leader URL, likely because a rebalance was underway."
)
TWO_HOPS: Final = "Cannot complete request because of a conflicting operation (e.g. worker rebalance)"
STALE: Final = (
    "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
)
PASSING: Final = frozenset({NO_LEADER, TWO_HOPS, STALE})
"""What workers, ours and Java's, say while nobody is known to be the one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `place` is its path with its query; `forward` says that a worker has sent it, and what may be done."""

    method: str
    place: str
    content: bytes
    forward: bool | None = None


def answered(asked: Asked, handle: Callable[[], Any], refresh: Callable[[], None]) -> Any:
    """What `handle` answers, or whoever it says should. While nobody is known to be the one it is tried again.

    Raises what `handle` raises, but ElsewhereError; RebalancingError when nobody is found, a user's request having
    time for that.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return handle()
        except ElsewhereError as error:
            if asked.forward is False:
                raise RebalancingError(TWO_HOPS) from error
            if error.url is not None:
                answer = _pass_on(error.url, asked)
                if answer is not None:
                    # Whoever asked here for a change may ask here for what was changed.
                    refresh()
                    return answer
            if asked.forward is not None or time.monotonic() > deadline:
                raise RebalancingError(NO_LEADER if error.url is None else TWO_HOPS) from error
        time.sleep(LOOK_AGAIN_S)


def _pass_on(url: str, asked: Asked) -> Answer | None:
    """None: nobody is there, or the other one does not know either."""
    request = urllib.request.Request(  # noqa: S310 (the URL of a worker of the group)
        _address(url, asked), asked.content or None, {"Content-Type": "application/json"}, method=asked.method
    )
    try:
        with urllib.request.urlopen(request, timeout=deadlines.of_passing_on(asked.forward)) as answer:  # noqa: S310
            return _read(answer.status, answer.read(), answer.headers.get("location"))
    except urllib.error.HTTPError as error:
        answer = _read(error.code, error.read(), None)
        return None if isinstance(answer.body, dict) and answer.body.get("message") in PASSING else answer
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return None
        raise RefusedError(f"IO Error trying to forward REST request: {error.reason}") from error
    except OSError as error:
        raise RefusedError(f"IO Error trying to forward REST request: {error}") from error


def _address(url: str, asked: Asked) -> str:
    path, _, query = asked.place.partition("?")
    pairs = [pair for pair in parse_qsl(query, keep_blank_values=True) if pair[0] != "forward"]
    pairs.append(("forward", "true" if asked.forward is None else "false"))
    return f"{url.rstrip('/')}{path}?{urlencode(pairs)}"


def _read(status: int, content: bytes, location: str | None) -> Answer:
    return Answer(status, json.loads(content) if content else None, location)
