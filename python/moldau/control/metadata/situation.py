"""What a decision may look at: the image, the effective configs, chance and the time. Nothing of it may be changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, ParamSpec
from uuid import UUID

from moldau.control.metadata.effective import Configs, NodeSettings
from moldau.control.metadata.features import DIRECTORIES_SINCE, ELIGIBLE_LEADER_REPLICAS_VERSION
from moldau.control.metadata.image import Broker, MetadataImage, Topic
from moldau.control.metadata.leadership import Election, Rules
from moldau.control.metadata.records import MIGRATING_DIRECTORY, UNASSIGNED_DIRECTORY
from moldau.errors import ApiError, ErrorCode, UnknownTopicError

RECORDS_PER_REQUEST_MAX: Final = 10_000
"""One request may ask for so much: what it writes is one batch in the log, and it is answered in one go."""

P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one item of a request went."""

    code: ErrorCode = ErrorCode.NONE
    message: str | None = None


DONE: Final = Outcome()


def outcome_of(attempt: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> Outcome:
    """Run `attempt` and turn the error it may raise into an outcome."""
    try:
        attempt(*args, **kwargs)
    except ApiError as error:
        return Outcome(error.code, error.message)
    return DONE


def check_request_size(count: int, things: str) -> None:
    """Refuse a request that would hold the event loop, or fill the log, by itself.

    Raises:
        ApiError: POLICY_VIOLATION.
    """
    if count > RECORDS_PER_REQUEST_MAX:
        raise ApiError(
            ErrorCode.POLICY_VIOLATION,
            f"the request asks for {count} {things}, {RECORDS_PER_REQUEST_MAX} are possible at a time",
        )


@dataclass(frozen=True, slots=True)
class Situation:
    """One moment of the cluster, as a decision sees it."""

    image: MetadataImage
    configs: Configs
    random: random.Random

    @property
    def settings(self) -> NodeSettings:
        return self.configs.settings

    @property
    def eligible_leader_replicas(self) -> bool:
        return self.image.features.get(ELIGIBLE_LEADER_REPLICAS_VERSION, 0) > 0

    def topic(self, name: str) -> Topic:
        """The topic of this name.

        Raises:
            UnknownTopicError: there is none.
        """
        topic = self.image.topics.get(name)
        if topic is None:
            raise UnknownTopicError(name)
        return topic

    def is_active(self, broker_id: int) -> bool:
        """Whether the broker is registered, not fenced and not shutting down."""
        broker = self.image.brokers.get(broker_id)
        return broker is not None and broker.active

    def default_directory(self, broker_id: int) -> UUID:
        """Where the broker puts a new replica: known only when it has a single directory."""
        if self.image.metadata_version < DIRECTORIES_SINCE:
            return MIGRATING_DIRECTORY
        broker = self.image.brokers.get(broker_id)
        if broker is not None and len(broker.log_dirs) == 1:
            return broker.log_dirs[0]
        return UNASSIGNED_DIRECTORY

    def rules(
        self,
        topic: Topic,
        *,
        may_lead: Callable[[int], bool] | None = None,
        election: Election | None = None,
    ) -> Rules:
        """The rules by which a partition of `topic` gets a leader; unclean elections when the topic allows them."""
        min_isr = self.configs.topic(topic.name, "min.insync.replicas")
        replicas = next((len(partition.replicas) for partition in topic.partitions.values()), 1)
        if election is None:
            unclean = self.configs.topic(topic.name, "unclean.leader.election.enable")
            election = Election.UNCLEAN if unclean else Election.ONLINE
        assert isinstance(min_isr, int)
        return Rules(
            may_lead=may_lead or self.is_active,
            min_isr=min(min_isr, replicas),
            eligible_leader_replicas=self.eligible_leader_replicas,
            default_directory=self.default_directory,
            election=election,
        )

    def new_id(self) -> UUID:
        """A random id that no topic has and that no tool mistakes for an option (Kafka ids never begin with a dash)."""
        while True:
            candidate = UUID(int=self.random.getrandbits(128), version=4)
            # The first six bits are the first character of the base64 form; 62 is the dash.
            if candidate.bytes[0] >> 2 != 62 and candidate not in self.image.topics_by_id:
                return candidate


def has_uncordoned_directory(broker: Broker) -> bool:
    """Whether new replicas may go to the broker (KIP-1066)."""
    return not broker.log_dirs or not set(broker.log_dirs) <= set(broker.cordoned_log_dirs or ())
