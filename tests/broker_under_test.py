"""The broker that the tests of the command line and of the examples talk to.

`MOLDAU_TEST_BOOTSTRAP` chooses it, as for the conformance tests: nothing starts a Moldau node, `HOST:PORT` takes one
that is running, `apache-kafka` starts Apache Kafka.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType


@contextmanager
def broker_under_test(directory: Path, settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[str]:
    """`host:port` of a running broker, for as long as the block lasts. One that runs already keeps its own settings."""
    chosen = os.environ.get("MOLDAU_TEST_BOOTSTRAP", "")
    if chosen == "apache-kafka":
        from bench.versus import apache_kafka

        with apache_kafka.prepare(directory, settings=settings) as node:
            yield node.bootstrap_servers
    elif chosen:
        yield chosen
    else:
        import moldau

        with moldau.Broker(directory, **{key.replace(".", "_"): value for key, value in settings.items()}) as broker:
            yield broker.bootstrap_servers
