"""Who may write: the one registry of the group that is assigned the partition of `_schemas`.

The registries are members of a consumer group that "reads" the topic; it has one partition, so one of them has it.
The others learn who that is by describing the group: each member's client id is the URL at which it is reached.

Confluent's registries elect in a group of the same name with a protocol type of their own ("sr"), which a client over
librdkafka cannot speak. The broker refuses members of two protocol types in one group, so theirs and ours never lead
at the same time; to hand a topic over, stop the one before starting the other.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from moldau.registry.settings import RegistrySettings

logger: Final = logging.getLogger("moldau.registry.election")

POLL_S: Final = 0.25
DESCRIBE_TIMEOUT_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.2
HEARTBEATS_PER_SESSION: Final = 3


@dataclass(frozen=True, slots=True)
class Leader:
    """`url` None: this registry."""

    url: str | None


class Election:
    """One member. Its methods belong to the event loop's thread."""

    def __init__(self, settings: RegistrySettings, url: str, changed: Callable[[bool], None]) -> None:
        """`changed` is called in the event loop's thread when this registry begins, or ceases, to lead."""
        self._settings = settings
        self._url = url
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._take_part, name="moldau-registry-election", daemon=True)
        self._client = {"bootstrap.servers": settings.bootstrap_servers, "log_level": 0, **settings.client}
        self._admin: AdminClient | None = None
        self._looking: asyncio.Task[str | None] | None = None
        self.leads = False

    def start(self) -> None:
        """Take part."""
        self._thread.start()

    async def close(self) -> None:
        """Leave the group; the next one leads at once."""
        self._closing.set()
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join)

    async def leader(self) -> Leader | None:
        """Who leads, as soon as it is known; None if nobody does for `leader_timeout_s`."""
        deadline = self._loop.time() + self._settings.leader_timeout_s
        while True:
            if self.leads:
                return Leader(None)
            url = await self._seen_leader()
            if url is not None and url != self._url:
                return Leader(url)
            if self._loop.time() >= deadline:
                return None
            await asyncio.sleep(LOOK_AGAIN_S)

    async def _seen_leader(self) -> str | None:
        # A thousand requests that wait for a leader ask the cluster once.
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._look))
        return await asyncio.shield(self._looking)

    def _look(self) -> str | None:
        if self._admin is None:
            self._admin = AdminClient(self._client)
        group = self._settings.group_id
        try:
            futures = self._admin.describe_consumer_groups([group], request_timeout=DESCRIBE_TIMEOUT_S)
            members = futures[group].result(DESCRIBE_TIMEOUT_S).members
        except (KafkaException, TimeoutError) as error:
            logger.info("cannot see who leads: %s", error)
            return None
        for member in members:
            if any(each.topic == self._settings.topic for each in member.assignment.topic_partitions):
                return str(member.client_id)
        return None

    # The thread.

    def _take_part(self) -> None:
        settings = self._settings
        consumer = Consumer(
            {
                **self._client,
                "client.id": self._url,
                "group.id": settings.group_id,
                "enable.auto.commit": False,
                # Whoever leads keeps the lead when another registry comes.
                "partition.assignment.strategy": "cooperative-sticky",
                "session.timeout.ms": settings.session_timeout_ms,
                "heartbeat.interval.ms": settings.session_timeout_ms // HEARTBEATS_PER_SESSION,
                "reconnect.backoff.max.ms": 1000,
            }
        )
        try:
            consumer.subscribe(
                [settings.topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
            while not self._closing.is_set():
                message = consumer.poll(POLL_S)
                error = None if message is None else message.error()
                if error is not None and error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001 (its name)
                    logger.warning("in the group %s: %s", settings.group_id, error.str())
        except (KafkaException, RuntimeError):
            logger.exception("the registry takes no part in the election any more")
        finally:
            self._tell(leads=False)
            consumer.close()

    def _on_assign(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        # Nothing is read here: the partition is a token.
        consumer.pause(partitions)
        if partitions:
            self._tell(leads=True)

    def _on_revoke(self, consumer: Any, partitions: list[TopicPartition]) -> None:
        if partitions:
            self._tell(leads=False)

    def _tell(self, *, leads: bool) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._take, leads)

    def _take(self, leads: bool) -> None:
        if leads != self.leads:
            self.leads = leads
            logger.info("this registry %s", "leads" if leads else "does not lead any more")
            self._changed(leads)
