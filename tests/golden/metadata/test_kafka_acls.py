"""The scenario of `acl_scenario`, against what Apache Kafka 4.3.1 answered with its StandardAuthorizer.

No node of ours takes an authorizer yet, so the handlers are asked as the dispatcher asks them: bytes in, bytes out.
"""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from kio.index import load_response_schema
from kio.serial import entity_reader
from tests.conformance.frames import header
from tests.golden.metadata.acl_scenario import ADMINISTRATION, DECISIONS, TOPICS
from tests.golden.metadata.admin_scenario import comparable, encoded
from tests.golden.metadata.test_kafka_answers import _codes, settled, without_words
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.access.acl import Acl, Operation, ResourceType
from moldau.control.access.authorizer import Authorizer, Client, Resource
from moldau.control.metadata.acls import CreateAcls
from moldau.errors import ApiError
from moldau.server.codec import decode, encode_response
from moldau.server.handlers import load
from moldau.server.refusal import refuse

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-acls.json").read_text())
ROUTES = load()
FRAME_SIZE_BYTES = 4
UNDESCRIBED = -(1 << 31)
"""What an answer says of a topic about which the client may know nothing."""

BETTER = {
    # Kafka fails with UNKNOWN_SERVER_ERROR and no word, the whole request for one rule: it converts before it checks.
    "any kind": {42},
    "any pattern": {42},
    "a pattern that matches": {42},
    "any operation": {42},
    "any permission": {42},
    # Kafka closes the connection.
    "no kind": {42},
    "no pattern": {42},
    "no operation": {42},
    "no permission": {42},
    "removed for no kind": {42},
    # Here too; for any other number that stands for nothing it finds nothing, as we do.
    "a filter of no kind": {0},
}
"""The error codes that we answer with where we do not want to be Kafka."""


class Node:
    """The handlers of the ACL requests with a metadata machine behind them."""

    def __init__(self):
        self.cluster = Cluster()
        self.authorizer = Authorizer()
        self.metadata = SimpleNamespace(machine=self.cluster.machine, run=self._run)
        self.clock = SimpleNamespace(now_ms=lambda: 0)

    async def _run(self, request):
        return self.cluster.run(request)

    def answer(self, api_key, version, values):
        body = encoded(api_key, version, values)[FRAME_SIZE_BYTES + len(header(api_key, version)) :]
        request = decode(api_key, version, body)
        try:
            answer = encode_response(
                api_key, version, asyncio.run(ROUTES[api_key].handle(self, request, SimpleNamespace()))
            )
        except ApiError as error:
            answer = refuse(api_key, version, request, error.code, error.message)
        parsed, _ = entity_reader(load_response_schema(api_key, version))(answer, 0)
        return comparable(parsed)


@pytest.fixture(scope="module")
def ours():
    node = Node()
    return {name: node.answer(*step) for name, step in ADMINISTRATION.items()}


@pytest.mark.parametrize("step", ADMINISTRATION)
def test_an_answer_is_what_kafka_answers(ours, step):
    if step in BETTER:
        assert set(_codes(ours[step])) == BETTER[step]
    else:
        assert settled(ours[step]) == settled(KAFKAS["administration"][step])


@pytest.mark.parametrize("step", ADMINISTRATION)
def test_every_refusal_says_why_and_no_success_does(ours, step):
    assert list(without_words(ours[step])) == []


@pytest.mark.parametrize("step", DECISIONS)
def test_what_a_set_of_rules_allows_is_what_kafka_allows(step):
    cluster, client = Cluster(), Client("User:ANONYMOUS", "127.0.0.1")
    cluster.run(CreateAcls(tuple(Acl(*each.values()) for each in DECISIONS[step])))
    authorizer = Authorizer(["User:admin"], open_without_acl=True)
    for record in cluster.reopened().image.acls.values():
        authorizer.add(Acl.of(record))
    for name in TOPICS:
        topic = Resource(ResourceType.TOPIC, name)
        kafkas = KAFKAS["decisions"][step][name]
        assert authorizer.allows(client, Operation.DESCRIBE, topic) == (kafkas != UNDESCRIBED)
        if kafkas != UNDESCRIBED:
            assert authorizer.operations(client, topic) == kafkas
