"""A broker for applications, and one for a test that breaks it."""

import pytest
from tests.integration.streams.cluster import Cluster

import moldau


@pytest.fixture(scope="session")
def streams_broker():
    with moldau.Broker(group_initial_rebalance_delay_ms=0) as broker:
        yield broker


@pytest.fixture
def cluster(streams_broker, tmp_path):
    made = Cluster(streams_broker, tmp_path)
    yield made
    made.close()


@pytest.fixture
def own_cluster(tmp_path):
    with moldau.Broker(tmp_path / "broker", group_initial_rebalance_delay_ms=0) as broker:
        made = Cluster(broker, tmp_path)
        yield made
        made.close()
