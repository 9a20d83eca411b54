"""Which partitions a client may add to its transaction, before a coordinator is asked."""

import asyncio
from types import SimpleNamespace

from moldau.errors import ErrorCode
from moldau.server.handlers import RequestContext, k24_add_partitions_to_txn


def test_nobody_adds_an_internal_topic_even_where_everybody_may_do_everything():
    topics = [SimpleNamespace(name=name, partitions=[0]) for name in ("orders", "__consumer_offsets")]
    request = SimpleNamespace(
        v3_and_below_transactional_id="t",
        v3_and_below_producer_id=1,
        v3_and_below_producer_epoch=0,
        v3_and_below_topics=topics,
    )
    context = RequestContext(3, 1, "tester", "/127.0.0.1", "PLAINTEXT", ("localhost", 9092), 1)
    nobody_is_asked = SimpleNamespace()
    answer = asyncio.run(k24_add_partitions_to_txn.handle(nobody_is_asked, request, context))
    told = {
        each["name"]: each["results_by_partition"][0]["partition_error_code"]
        for each in answer["results_by_topic_v3_and_below"]
    }
    assert told == {
        "orders": ErrorCode.OPERATION_NOT_ATTEMPTED,
        "__consumer_offsets": ErrorCode.TOPIC_AUTHORIZATION_FAILED,
    }
