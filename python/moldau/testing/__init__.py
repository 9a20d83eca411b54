"""A Kafka broker in your tests, in the time of a blink.

`plugin` is the pytest plugin: installing Moldau is enough, pytest finds it by its entry point. `client` is what the
fixture `kafka_client` gives to a test. `KafkaContainer` stands where testcontainers' class of that name stood.

Nothing is imported before a test asks for it: pytest loads plugins for every run, also those that need no broker.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moldau.testing.client import KafkaClient
    from moldau.testing.container import KafkaContainer

__all__ = ["KafkaClient", "KafkaContainer"]


def __getattr__(name: str) -> Any:
    if name == "KafkaClient":
        from moldau.testing.client import KafkaClient

        return KafkaClient
    if name == "KafkaContainer":
        from moldau.testing.container import KafkaContainer

        return KafkaContainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
