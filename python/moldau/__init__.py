"""Moldau: the whole event-streaming platform for Python people in one install, without a JVM.

    import moldau

    with moldau.Broker() as broker:
        print(broker.bootstrap_servers)

Importing the package is cheap; what a name needs is loaded when the name is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moldau.client import AdminClient, AsyncConsumer, AsyncProducer, Consumer, Producer
    from moldau.notebook import consume, groups, topics
    from moldau.server.embedded import Broker

__all__ = [
    "AdminClient",
    "AsyncConsumer",
    "AsyncProducer",
    "Broker",
    "Consumer",
    "Producer",
    "consume",
    "groups",
    "topics",
]


if not TYPE_CHECKING:
    # For a type checker there are the names above and no others: it finds a misspelled one.

    def __getattr__(name: str) -> Any:
        if name == "Broker":
            from moldau.server.embedded import Broker

            return Broker
        if name in {"AdminClient", "AsyncConsumer", "AsyncProducer", "Consumer", "Producer"}:
            from moldau import client

            return getattr(client, name)
        if name in {"consume", "groups", "topics"}:
            from moldau import notebook

            return getattr(notebook, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
