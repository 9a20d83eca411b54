"""The scenario of `acl_scenario`, against what Apache Kafka 4.3.1 answered with its StandardAuthorizer."""

import json
from pathlib import Path

import pytest
from tests.golden.metadata import acl_scenario as scenario
from tests.golden.metadata.acl_scenario import ADMINISTRATION, DECISIONS, TOPICS
from tests.golden.metadata.admin_scenario import ask, partitions
from tests.golden.metadata.test_kafka_answers import _codes, settled, without_words

import moldau

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-acls.json").read_text())
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


def broker(settings):
    return moldau.Broker(**{name.replace(".", "_"): value for name, value in settings.items()})


@pytest.fixture(scope="module")
def ours():
    with broker(scenario.SUPER_USER) as node:
        return ask(node.bootstrap_servers, ADMINISTRATION)


@pytest.fixture(scope="module")
def open_node():
    with broker(scenario.EVERYBODY) as node:
        topics = scenario.create(*(scenario.topic(name) for name in TOPICS))
        ask(node.bootstrap_servers, {"topics": topics})
        yield node


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
def test_what_a_set_of_rules_allows_is_what_kafka_allows(open_node, step):
    answers = ask(
        open_node.bootstrap_servers,
        {
            "add": scenario.add(*DECISIONS[step]),
            "hot": scenario.permitted(),
            "handler": partitions(*TOPICS),
            "remove": scenario.remove(scenario.wanted()),
        },
    )
    for told in ("hot", "handler"):
        operations = {each["name"]: each["topic_authorized_operations"] for each in answers[told]["topics"]}
        assert operations == KAFKAS["decisions"][step], told
