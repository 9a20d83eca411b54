"""Groups whose coordinator is not there yet: on a cluster that has just started, or after it has moved.

librdkafka answers most questions about such a group with an error. One ends the process: an admin client that is told
"not coordinator" by ListConsumerGroupOffsets follows a pointer to a group that only a consumer has (its issue 5040,
open with 2.16). Every Apache Kafka says so for the first second after its offsets topic was asked for. So the group is
described first, which says the same thing as an error, until its coordinator answers.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

ASK_EVERY_S: Final = 0.05
NOT_YET: Final = frozenset(
    {
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
    }
)


def wait_for_coordinators(admin: AdminClient, groups: Iterable[str], timeout_s: float) -> None:
    """Return when the coordinator of each group answers for it, whether there is such a group or not.

    Raises:
        KafkaException: there was none within `timeout_s`; what the cluster said last.
        TimeoutError: there was no answer at all.
    """
    deadline = time.monotonic() + timeout_s
    waiting = list(groups)
    while waiting:
        futures: Mapping[str, Future[Any]] = admin.describe_consumer_groups(waiting, request_timeout=timeout_s)
        refusals = {group: error for group in waiting if (error := _refusal(futures[group], timeout_s)) is not None}
        if refusals and time.monotonic() >= deadline:
            raise KafkaException(next(iter(refusals.values())))
        waiting = list(refusals)
        if waiting:
            time.sleep(ASK_EVERY_S)


def _refusal(future: Future[Any], timeout_s: float) -> KafkaError | None:
    try:
        future.result(timeout_s)
    except KafkaException as exception:
        error: KafkaError = exception.args[0]
        return error if error.code() in NOT_YET else None
    return None
