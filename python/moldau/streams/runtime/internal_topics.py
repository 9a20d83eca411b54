"""The topics of an application on its cluster: what is there, what has to be made, what does not fit.

The only place that asks the cluster about topics before the threads run. Decisions are in `layout`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from moldau.streams.errors import StreamsError
from moldau.streams.runtime.layout import InternalTopic

logger: Final = logging.getLogger("moldau.streams")

_TIMEOUT_S: Final = 30.0
_LOOK_AGAIN_S: Final = 0.05


class ClusterError(StreamsError):
    """The cluster does not answer, or refuses."""


class InternalTopicError(StreamsError):
    """Internal topics of the application are there, but not as they have to be."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        super().__init__(
            "internal topics of the application do not fit its topology:\n"
            + "\n".join(f"- {problem}" for problem in problems)
            + "\nhint: if the topology has changed, take another application_id; or stop every instance, delete these "
            "topics (`moldau topic delete`) and each instance's state directory, and start again"
        )


def existing_topics(admin: AdminClient) -> dict[str, int]:
    """The partition counts of all topics."""
    try:
        topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise ClusterError(f"the cluster does not answer: {error.args[0].str()}") from error
    return {name: len(topic.partitions) for name, topic in topics.items() if topic.error is None}


def make_ready(
    admin: AdminClient, topics: Iterable[InternalTopic], existing: dict[str, int], replication_factor: int
) -> None:
    """Create the internal topics that are missing and check the others.

    Raises:
        InternalTopicError: one is there with another number of partitions, or without compaction where state lives.
        ClusterError: one cannot be created.
    """
    wanted = list(topics)
    there = [topic for topic in wanted if topic.name in existing]
    problems = [
        f"{topic.name} has {existing[topic.name]} partitions and needs {topic.partitions}"
        for topic in there
        if existing[topic.name] != topic.partitions
    ]
    problems += _wrong_policies(admin, there)
    if problems:
        raise InternalTopicError(problems)
    missing = [topic for topic in wanted if topic.name not in existing]
    if missing:
        _create(admin, missing, replication_factor)


def _wrong_policies(admin: AdminClient, topics: list[InternalTopic]) -> list[str]:
    """Changelogs that would lose state, and repartition topics that would keep only the latest of each key."""
    if not topics:
        return []
    resources = [ConfigResource(ConfigResource.Type.TOPIC, topic.name) for topic in topics]
    futures = admin.describe_configs(resources, request_timeout=_TIMEOUT_S)
    problems = []
    for topic, resource in zip(topics, resources, strict=True):
        try:
            policy = futures[resource].result(_TIMEOUT_S)["cleanup.policy"].value
        except KafkaException as error:
            raise ClusterError(f"the settings of {topic.name} cannot be read: {error.args[0].str()}") from error
        has, needs = "compact" in policy, "compact" in topic.config["cleanup.policy"]
        if has != needs:
            problems.append(f"{topic.name} has cleanup.policy={policy} and needs {topic.config['cleanup.policy']}")
    return problems


def _create(admin: AdminClient, topics: list[InternalTopic], replication_factor: int) -> None:
    new = [NewTopic(topic.name, topic.partitions, replication_factor, config=dict(topic.config)) for topic in topics]
    for name, future in admin.create_topics(new, request_timeout=_TIMEOUT_S).items():
        try:
            future.result(_TIMEOUT_S)
            logger.info("created %s", name)
        except KafkaException as error:
            # Another instance that starts at the same time was quicker.
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise ClusterError(f"{name} cannot be created: {error.args[0].str()}") from error
    deadline = time.monotonic() + _TIMEOUT_S
    while not existing_topics(admin).keys() >= {topic.name for topic in topics}:
        if time.monotonic() > deadline:
            raise ClusterError(f"the created topics did not appear in {_TIMEOUT_S:g} s")
        time.sleep(_LOOK_AGAIN_S)
