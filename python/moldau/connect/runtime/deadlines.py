"""How long requests wait for an answer, from the outside in.

A request may be passed on twice, and each worker may ask its herder's thread or a cluster. Whoever waits for somebody
else waits a step longer than that one does: so what went wrong is told by who knows best, and not by a time-out further
out. That holds of each step by itself: a request that waits long at several of them may still end at the outermost
time, which is Kafka's.
"""

from __future__ import annotations

from typing import Final

_STEP_S: Final = 3.0

REQUEST_S: Final = 90.0
"""A user waits so long, as in Kafka."""
PASSED_ON_S: Final = REQUEST_S - 2 * _STEP_S
"""What a worker has passed on for a user."""
LAST_HOP_S: Final = PASSED_ON_S - 2 * _STEP_S
"""What has been passed on twice, or a worker asks of the leader by itself."""
ASKED_OF_LEADER_S: Final = LAST_HOP_S + _STEP_S
"""How long a worker waits for what it asks by itself."""
WORK_S: Final = LAST_HOP_S - _STEP_S
"""What is done for a request, by the herder's thread, a cluster, or a plugin."""


def of_request(forward: bool | None) -> float:
    """How long an answer may take; `forward` is what the request says of it, None for a user's."""
    return {None: REQUEST_S, True: PASSED_ON_S, False: LAST_HOP_S}[forward]


def of_passing_on(forward: bool | None) -> float:
    """How long a worker waits for the answer of the one to whom it passes such a request on."""
    return of_request(forward) - _STEP_S
