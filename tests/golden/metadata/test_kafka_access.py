"""The scenario of `access_scenario`, against what Apache Kafka 4.3.1 answered."""

import json
from pathlib import Path

import pytest
from tests.golden.metadata.access_scenario import STEPS
from tests.golden.metadata.admin_scenario import ask
from tests.golden.metadata.test_kafka_answers import _codes, settled, without_words

import moldau

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-access.json").read_text())

STATIC_QUORUM = {
    # The Kafka that was asked has a dynamic quorum; ours is static, and says so as a static one of Kafka does.
    "a voter that is one": {35},
    "a voter that cannot be reached": {35},
    "no voter any more": {35},
    "not the only voter any more": {35},
}


@pytest.fixture(scope="module")
def ours():
    with moldau.Broker() as broker:
        return ask(broker.bootstrap_servers, STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_is_what_kafka_answers(ours, step):
    if step in STATIC_QUORUM:
        assert set(_codes(ours[step])) == STATIC_QUORUM[step]
    else:
        assert settled(ours[step]) == settled(KAFKAS[step])


@pytest.mark.parametrize("step", STEPS)
def test_every_refusal_says_why_and_no_success_does(ours, step):
    assert list(without_words(ours[step])) == []
