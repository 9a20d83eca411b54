"""Several workers share the work: each partition of the offsets topic is a token, and who has it has its share.

The workers are members of an ordinary consumer group (`group.id`) that "reads" the config topic and the offsets topic.
Whoever is assigned the one partition of the config topic leads: it alone writes configurations. A connector belongs to
the worker that has the token `hash(name)`, its tasks to those that have the tokens after it, so that the tasks of one
connector spread over all workers. The group's assignment is cooperative and sticky: a worker that comes or goes moves
its share and no other. What is revoked is stopped before the revocation is answered, so nothing runs twice.

Kafka's workers meet in a group of the protocol type `connect`, which a client over librdkafka cannot speak; the broker
refuses members of two types in one group, so theirs and ours never run the same connectors at the same time. Why it is
like this: docs/internals/decisions/0006-tokens-for-connect.md.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicPartition, murmur2
from confluent_kafka.admin import AdminClient as NativeAdminClient

from moldau.client import AdminClient, Consumer
from moldau.connect.runtime.config_records import ConfigState
from moldau.connect.runtime.membership import Assignment
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.settings import WorkerSettings

logger: Final = logging.getLogger("moldau.connect.group")

POLL_S: Final = 0.25
ASK_TIMEOUT_S: Final = 5.0
KNOWN_FOR_S: Final = 1.0


def token_of(subject: str | TaskId, tokens: int) -> int:
    """The token of a connector or a task: the same in every worker, and another one for each task of a connector."""
    if isinstance(subject, TaskId):
        return (int(murmur2(subject.connector.encode(), tokens)) + 1 + subject.task) % tokens
    return int(murmur2(subject.encode(), tokens))


class GroupMembership:
    """One member."""

    def __init__(self, settings: WorkerSettings, url: str) -> None:
        """`url` is where the other workers reach this one."""
        self._settings = settings
        self._url = url
        self._config_topic = str(settings["config.storage.topic"])
        self._token_topic = str(settings["offset.storage.topic"])
        self._tokens: set[int] = set()
        self._token_count = 0
        self._leads = False
        self._generation = 0
        self._closing = threading.Event()
        self._changed: Callable[[], None] = lambda: None
        self._released: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._take_part, name="connect-group", daemon=True)
        self._owners: tuple[float, dict[tuple[str, int], str]] = (float("-inf"), {})

    @property
    def leads(self) -> bool:
        """Whether this worker writes configurations."""
        return self._leads

    @property
    def leader_url(self) -> str | None:
        """Where the leader is; None when that is not known."""
        return self._owner(self._config_topic, 0)

    @property
    def generation(self) -> int:
        """How many assignments there were."""
        return self._generation

    def start(self, changed: Callable[[], None], released: Callable[[], None]) -> None:
        """Join; `released` has to stop what is not assigned any more before it returns."""
        self._changed, self._released = changed, released
        admin = AdminClient(self._settings.client("admin"))
        self._token_count = len(admin.list_topics(timeout=ASK_TIMEOUT_S).topics[self._token_topic].partitions)
        self._thread.start()

    def stop(self) -> None:
        """Leave; the others take over at once."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join()

    def settle(self, state: ConfigState) -> bool:
        """Whether there was an assignment; from then on what is assigned is this worker's."""
        del state
        return self._generation > 0

    def assignment(self, state: ConfigState) -> Assignment:
        """What the tokens of this worker stand for."""
        tokens, count = self._tokens, self._token_count
        connectors = {name for name in state.connectors if token_of(name, count) in tokens}
        tasks = {task for name in state.connectors for task in state.task_ids(name) if token_of(task, count) in tokens}
        return Assignment(connectors, tasks)

    def owner_of(self, subject: str | TaskId) -> str | None:
        """The URL of the worker that has a connector or a task; None when that is not known."""
        return self._owner(self._token_topic, token_of(subject, self._token_count))

    def _owner(self, topic: str, partition: int) -> str | None:
        asked_at, owners = self._owners
        if time.monotonic() - asked_at > KNOWN_FOR_S:
            owners = self._look()
            self._owners = (time.monotonic(), owners)
        return owners.get((topic, partition))

    def _look(self) -> dict[tuple[str, int], str]:
        group = self._settings["group.id"]
        admin: NativeAdminClient = AdminClient(self._settings.client("admin"))
        try:
            members = admin.describe_consumer_groups([group], request_timeout=ASK_TIMEOUT_S)[group].result().members
        except (KafkaException, TimeoutError) as error:
            logger.info("cannot see who has what: %s", error)
            return {}
        return {
            (each.topic, each.partition): str(member.client_id)
            for member in members
            for each in member.assignment.topic_partitions
        }

    # The thread.

    def _take_part(self) -> None:
        settings = self._settings
        consumer = Consumer(
            {
                "session.timeout.ms": 10_000,
                "heartbeat.interval.ms": 3_000,
                **settings.client("consumer"),
                **{name: settings.given[name] for name in TIMES if name in settings.given},
                "client.id": self._url,
                "group.id": settings["group.id"],
                "enable.auto.commit": False,
                "partition.assignment.strategy": "cooperative-sticky",
            }
        )
        try:
            topics = [self._config_topic, self._token_topic]
            consumer.subscribe(topics, self._on_assign, self._on_revoke, self._on_revoke)
            while not self._closing.is_set():
                message = consumer.poll(POLL_S)
                error = None if message is None else message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
                    logger.warning("in the group %s: %s", settings["group.id"], error.str())
        except Exception:
            logger.exception("this worker takes no part in the group %s any more", settings["group.id"])
            self._give_away(self._all_mine())
        finally:
            consumer.close()

    def _all_mine(self) -> list[TopicPartition]:
        tokens = [TopicPartition(self._token_topic, each) for each in self._tokens]
        return [*tokens, *([TopicPartition(self._config_topic, 0)] if self._leads else [])]

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        # Nothing is read here: the partitions are tokens.
        consumer.pause(partitions)
        self._tokens = self._tokens | {each.partition for each in partitions if each.topic == self._token_topic}
        if any(each.topic == self._config_topic for each in partitions):
            self._leads = True
            logger.info("this worker leads")
        self._generation += 1
        self._changed()

    def _on_revoke(self, _consumer: Any, partitions: list[TopicPartition]) -> None:
        self._give_away(partitions)

    def _give_away(self, partitions: list[TopicPartition]) -> None:
        if not partitions:
            return
        self._tokens = self._tokens - {each.partition for each in partitions if each.topic == self._token_topic}
        if any(each.topic == self._config_topic for each in partitions):
            self._leads = False
            logger.info("this worker does not lead any more")
        try:
            self._released()
        except Exception:
            logger.exception("what was given away could not be stopped in time")


TIMES: Final = ("session.timeout.ms", "heartbeat.interval.ms")
