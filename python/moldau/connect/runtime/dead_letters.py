"""The dead-letter queue of a sink: the record as it was consumed, and in its headers why it is there.

`errors.deadletterqueue.topic.name`, `.topic.replication.factor` and `.context.headers.enable`; the headers are Kafka's
`__connect.errors.*` (KIP-298).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from moldau.client import AdminClient, Producer
from moldau.connect.errors import ConnectError
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.tolerance import Failure, name_of_error, trace_of

logger: Final = logging.getLogger("moldau.connect.errors")

PREFIX: Final = "__connect.errors."
CREATE_TIMEOUT_S: Final = 30.0
FLUSH_TIMEOUT_S: Final = 30.0
HAS_TIMESTAMP: Final = (1, 2)


class DeadLetterQueue:
    """One for each sink task with a topic for what failed."""

    def __init__(
        self,
        task: TaskId,
        topic: str,
        producer: Mapping[str, Any],
        *,
        with_headers: bool,
    ) -> None:
        self._task = task
        self._topic = topic
        self._with_headers = with_headers
        self._producer = Producer({"acks": "all", "enable.idempotence": True, **producer})
        self._failure: KafkaError | None = None
        self.sent = 0
        self.lost = 0
        self._lock = threading.Lock()

    def report(self, failure: Failure) -> None:
        """Send the record; a failure of that is told by `flush`."""
        message = failure.original
        if message is None:
            return
        headers = list(message.headers() or [])
        if self._with_headers:
            headers += context_headers(self._task, failure)
        kind, timestamp = message.timestamp()
        with self._lock:
            self.sent += 1
            while True:
                try:
                    self._producer.produce(
                        self._topic,
                        message.value(),
                        message.key(),
                        headers=headers,
                        timestamp=timestamp if kind in HAS_TIMESTAMP else 0,
                        on_delivery=self._delivered,
                    )
                    break
                except BufferError:
                    self._producer.poll(0.1)
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, _message: object) -> None:
        if error is not None:
            logger.error("Could not produce message to dead letter queue. topic=%s: %s", self._topic, error.str())
            self.lost += 1
            self._failure = error

    def flush(self) -> None:
        """Wait for the cluster. Raises ConnectError when a record is lost: the source of it is read again then."""
        left = self._producer.flush(FLUSH_TIMEOUT_S)
        failure, self._failure = self._failure, None
        if left or failure is not None:
            reason = failure.str() if failure is not None else f"{left} records were not acknowledged"
            raise ConnectError(f"the dead-letter queue {self._topic} was not written: {reason}")

    def close(self) -> None:
        """Send what is not sent."""
        self._producer.flush(FLUSH_TIMEOUT_S)


def context_headers(task: TaskId, failure: Failure) -> list[tuple[str, bytes | None]]:
    """Why a record is a dead letter, and where it was."""
    message, error = failure.original, failure.error
    texts = {
        "topic": message.topic(),
        "partition": str(message.partition()),
        "offset": str(message.offset()),
        "connector.name": task.connector,
        "task.id": str(task.task),
        "stage": failure.stage.value,
        "class.name": failure.class_name,
        "exception.class.name": name_of_error(error),
        "exception.message": str(error) or None,
        "exception.stacktrace": trace_of(error),
    }
    return [(f"{PREFIX}{name}", None if text is None else text.encode()) for name, text in texts.items()]


def make_sure_of_queue(topic: str, replication_factor: int, client: Mapping[str, Any]) -> None:
    """Create the topic, of one partition, unless it is there. Raises ConnectError."""
    admin = AdminClient(client)
    try:
        if topic in admin.list_topics(timeout=CREATE_TIMEOUT_S).topics:
            return
        logger.warning("Topic %s doesn't exist. Will attempt to create topic.", topic)
        admin.create_topics([NewTopic(topic, 1, replication_factor)])[topic].result(CREATE_TIMEOUT_S)
    except KafkaException as error:
        reason = error.args[0]
        if reason.code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return
        hint = ""
        if reason.code() == KafkaError.INVALID_REPLICATION_FACTOR:
            hint = "; set errors.deadletterqueue.topic.replication.factor, which is 3 unless it is set"
        raise ConnectError(
            f"Could not initialize dead letter queue with topic={topic}: {reason.str()}{hint}"
        ) from error
