"""Requests that another worker has to answer: passed on to it, once, and its answer given as our own."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from moldau.connect.rest.call import Answer
from moldau.connect.runtime.refusals import ElsewhereError, RebalancingError, RefusedError

FORWARDED: Final = "x-moldau-forwarded"
"""On a request that was passed on: it is not passed on again."""
TIMEOUT_S: Final = 90.0
PATIENCE_S: Final = 15.0
LOOK_AGAIN_S: Final = 0.2
CONFLICT: Final = (
    "Cannot complete request momentarily due to stale configuration (typically caused by a concurrent config change)"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `place` is its path with its query."""

    method: str
    place: str
    content: bytes
    forwarded: bool = False


def answered(asked: Asked, handle: Callable[[], Any], refresh: Callable[[], None]) -> Any:
    """What `handle` answers, or whoever it says should. While nobody is known to be the one it is tried again.

    Raises what `handle` raises, but ElsewhereError; RebalancingError when nobody is found in time.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            return handle()
        except ElsewhereError as error:
            if asked.forwarded:
                raise RebalancingError(CONFLICT) from error
            if error.url is not None:
                answer = _pass_on(error.url, asked)
                if answer is not None:
                    # Whoever asked here for a change may ask here for what was changed.
                    refresh()
                    return answer
            if time.monotonic() > deadline:
                raise RebalancingError(CONFLICT) from error
        time.sleep(LOOK_AGAIN_S)


def _pass_on(url: str, asked: Asked) -> Answer | None:
    """None: nobody is there, or the other one does not know either."""
    headers = {"Content-Type": "application/json", FORWARDED: "true"}
    request = urllib.request.Request(  # noqa: S310 (the URL of a worker of the group)
        url + asked.place, asked.content or None, headers, method=asked.method
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
            return _read(answer.status, answer.read(), answer.headers.get("location"))
    except urllib.error.HTTPError as error:
        answer = _read(error.code, error.read(), None)
        return None if isinstance(answer.body, dict) and answer.body.get("message") == CONFLICT else answer
    except urllib.error.URLError as error:
        if isinstance(error.reason, ConnectionRefusedError):
            return None
        raise RefusedError(f"IO Error trying to forward REST request: {error.reason}") from error
    except OSError as error:
        raise RefusedError(f"IO Error trying to forward REST request: {error}") from error


def _read(status: int, content: bytes, location: str | None) -> Answer:
    return Answer(status, json.loads(content) if content else None, location)
