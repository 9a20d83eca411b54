"""`KafkaContainer` without a container: for tests that were written with testcontainers.

One line changes, the import; `with KafkaContainer() as kafka: kafka.get_bootstrap_server()` stays. What tells Docker
what to do (the image, the port inside, KRaft or not) is accepted and has no meaning here.
"""

from __future__ import annotations

from typing import Any, Self

from moldau.config.environment import settings_in
from moldau.server.embedded import Broker


class KafkaContainer(Broker):
    """A broker of its own for the time of a `with` block, with the methods that testcontainers gives it.

    `settings` are Kafka's broker settings with underscores for dots, as in `moldau.Broker`.
    """

    def __init__(self, image: str = "", port: int = 0, **settings: Any) -> None:
        super().__init__(**settings)

    def get_bootstrap_server(self) -> str:
        """`host:port` for any client."""
        return self.bootstrap_servers

    def with_kraft(self) -> Self:
        """There is nothing but KRaft."""
        return self

    def with_env(self, key: str, value: str) -> Self:
        """`KAFKA_AUTO_CREATE_TOPICS_ENABLE=false` and the like: the setting of that name, before the start."""
        self._given.update({name: text for name, (_, text) in settings_in({key: value}).items()})
        return self

    def stop(self) -> None:
        """Stop the broker and remove its data."""
        self.close()
