"""A Kafka broker in your tests, in the time of a blink.

`plugin` is the pytest plugin: installing Moldau is enough, pytest finds it by its entry point. `client` and `faults`
are what the fixtures `kafka_client` and `kafka_faults` give to a test. `KafkaContainer` stands where the class of that
name stood in testcontainers. `BrokerProcess` is a broker that can really be killed.

Nothing is imported before a test asks for it: pytest loads plugins for every run, also those that need no broker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moldau.testing.client import KafkaClient
    from moldau.testing.container import KafkaContainer
    from moldau.testing.faults import KafkaFaults
    from moldau.testing.process import BrokerProcess

__all__ = ["BrokerProcess", "KafkaClient", "KafkaContainer", "KafkaFaults"]

PLACES = {"BrokerProcess": "process", "KafkaClient": "client", "KafkaContainer": "container", "KafkaFaults": "faults"}


if not TYPE_CHECKING:
    # For a type checker there are the names above and no others: it finds a misspelled one.

    def __getattr__(name: str) -> Any:
        if name in PLACES:
            return getattr(import_module(f"{__name__}.{PLACES[name]}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
