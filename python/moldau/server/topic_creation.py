"""Topics that come into being because somebody uses them: auto-creation, and the internal ones.

Two clients that ask for the same new topic at the same moment both find it: the second creation is refused with
TOPIC_ALREADY_EXISTS, which is what was wanted.

Source: Kafka's `AutoTopicCreationManager`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from moldau.control.metadata.topics import CreateTopics, NewTopic
from moldau.errors import ApiError, ErrorCode

if TYPE_CHECKING:
    from moldau.server.shell import Shell

OFFSETS_TOPIC: Final = "__consumer_offsets"
TRANSACTIONS_TOPIC: Final = "__transaction_state"


def internal_topic(shell: Shell, name: str) -> NewTopic | None:
    """How the internal topic of this name is created; None when there is no such internal topic."""
    integer = shell.configs.broker_int
    if name == OFFSETS_TOPIC:
        return NewTopic(
            name,
            integer("offsets.topic.num.partitions"),
            integer("offsets.topic.replication.factor"),
            configs=(
                ("cleanup.policy", "compact"),
                ("segment.bytes", str(integer("offsets.topic.segment.bytes"))),
                ("compression.type", "producer"),
            ),
        )
    if name == TRANSACTIONS_TOPIC:
        return NewTopic(
            name,
            integer("transaction.state.log.num.partitions"),
            integer("transaction.state.log.replication.factor"),
            configs=(
                ("cleanup.policy", "compact"),
                ("segment.bytes", str(integer("transaction.state.log.segment.bytes"))),
                ("min.insync.replicas", str(integer("transaction.state.log.min.isr"))),
                ("compression.type", "uncompressed"),
                ("unclean.leader.election.enable", "false"),
            ),
        )
    return None


async def create_missing(shell: Shell, names: Iterable[str]) -> dict[str, ErrorCode]:
    """Create those of `names` that do not exist, with the broker's defaults; says what went wrong with which.

    Raises:
        ApiError: the metadata log refused the records.
    """
    known = shell.metadata.machine.image.topics
    missing = [name for name in dict.fromkeys(names) if name not in known]
    if not missing:
        # Somebody else's creation may be in the image and not yet in service.
        await shell.metadata.settled()
        return {}
    topics = tuple(internal_topic(shell, name) or NewTopic(name) for name in missing)
    created = await shell.metadata.run(CreateTopics(topics))
    wrong = {each.name: each.code for each in created if each.code != ErrorCode.NONE}
    return {name: code for name, code in wrong.items() if code != ErrorCode.TOPIC_ALREADY_EXISTS}


async def ensure_internal_topic(shell: Shell, name: str) -> None:
    """Create an internal topic if it is not there yet.

    Raises:
        ApiError: COORDINATOR_NOT_AVAILABLE, it cannot be created now.
    """
    try:
        wrong = await create_missing(shell, [name])
    except ApiError as error:
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{name} cannot be created: {error}") from error
    if wrong:
        raise ApiError(ErrorCode.COORDINATOR_NOT_AVAILABLE, f"{name} cannot be created: {wrong[name].name}")
