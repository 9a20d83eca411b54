"""What is asked of groups and transactions before anybody has, against what Apache Kafka 4.3.1 answered."""

import json
from pathlib import Path

import pytest
from tests.golden.groups.early_scenario import STEPS
from tests.golden.metadata.admin_scenario import ask
from tests.golden.metadata.test_kafka_answers import settled, without_words

import moldau

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-early.json").read_text())


@pytest.fixture(scope="module")
def ours():
    with moldau.Broker() as broker:
        return ask(broker.bootstrap_servers, STEPS)


@pytest.mark.parametrize("step", STEPS)
def test_before_the_first_coordinator_an_answer_is_what_kafka_answers(ours, step):
    assert settled(ours[step]) == settled(KAFKAS[step])


@pytest.mark.parametrize("step", STEPS)
def test_every_refusal_says_why_and_no_success_does(ours, step):
    assert list(without_words(ours[step])) == []
