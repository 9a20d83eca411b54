import asyncio

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.errors import ApiError, ErrorCode
from moldau.server.producer_ids import ProducerIds


class Runner:
    """A metadata runner whose log takes its time, and fails when it is told to."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.machine = cluster.machine
        self.fails = False

    async def run(self, request):
        await asyncio.sleep(0)
        if self.fails:
            raise ApiError(ErrorCode.KAFKA_STORAGE_ERROR)
        return self.cluster.run(request)


class Node:
    """As much of a shell as producer ids need."""

    def __init__(self, cluster):
        self.metadata = Runner(cluster)
        self.node_id = 1


def test_many_producers_at_once_get_ids_of_their_own_across_blocks():
    async def ask():
        ids, node = ProducerIds(), Node(Cluster())
        return await asyncio.gather(*(ids.take(node) for _ in range(2500)))

    assert sorted(asyncio.run(ask())) == list(range(2500))


def test_a_node_that_starts_again_gives_no_id_twice():
    async def ask():
        cluster = Cluster()
        first = [await ProducerIds().take(Node(cluster)) for _ in range(3)]
        cluster.machine = cluster.reopened()
        return [*first, await ProducerIds().take(Node(cluster))]

    assert asyncio.run(ask()) == [0, 1000, 2000, 3000]


def test_a_log_that_cannot_be_written_gives_no_id_and_the_next_one_works():
    async def ask():
        ids, node = ProducerIds(), Node(Cluster())
        node.metadata.fails = True
        with pytest.raises(ApiError):
            await ids.take(node)
        node.metadata.fails = False
        return await ids.take(node)

    assert asyncio.run(ask()) == 0
