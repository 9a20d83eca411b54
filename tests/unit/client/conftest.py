"""A cluster inside librdkafka, for what needs a broker's answers but not a broker."""

from collections.abc import Iterator

import pytest

import moldau

PARTITIONS = 4
"""What librdkafka's mock cluster gives a topic."""


@pytest.fixture(scope="module")
def mock_cluster() -> Iterator[str]:
    """`host:port` of librdkafka's mock cluster; it lives as long as the producer that holds it."""
    holder = moldau.Producer({"bootstrap.servers": "ignored", "test.mock.num.brokers": 1, "log_level": 3})
    (broker,) = holder.list_topics(timeout=10).brokers.values()
    yield f"{broker.host}:{broker.port}"
    holder.close()
