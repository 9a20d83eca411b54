"""The administrator's morning of `admin_scenario`, against what Apache Kafka 4.3.1 answered."""

import json
from pathlib import Path

import pytest
from tests.golden.metadata.admin_scenario import STEPS, ask

import moldau

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-answers.json").read_text())

BETTER = {
    # Kafka fails with UNKNOWN_SERVER_ERROR, because it does not check the number before it uses it.
    "an unknown operation on a topic": {42},
    # Kafka closes the connection: its reader takes no string above 32767 bytes, and nobody learns why.
    "set too much": {40},
    # Kafka never answers.
    "replace the same resource twice": {42},
    # Kafka says COORDINATOR_LOAD_IN_PROGRESS while it fetches its first block of ids; we let the producer wait for it.
    "an id for a producer": {0},
    "an id for a producer that has one": {0},
}
"""The error codes that we answer with where we do not want to be Kafka."""


@pytest.fixture(scope="module")
def ours():
    # Kafka refuses a replication factor that it cannot reach; an embedded broker would take what it can.
    with moldau.Broker(moldau_replication_factor_clamp=False) as broker:
        return ask(broker.bootstrap_servers)


def settled(value, name=""):
    """Without the order that Kafka leaves to its hash tables, and without messages."""
    if isinstance(value, dict):
        return {key: settled(each, key) for key, each in value.items() if key != "error_message"}
    if isinstance(value, list):
        items = [settled(each) for each in value]
        # The order of replicas and of synonyms says which one counts.
        kept = name == "synonyms" or not all(isinstance(item, dict) for item in items)
        return items if kept else sorted(items, key=repr)
    return value


def without_words(value):
    """Every refusal that a program cannot explain to its user."""
    if isinstance(value, dict):
        if value.get("error_code") and value.get("error_message") is False:
            yield value
        if value.get("error_code") == 0 and value.get("error_message") is True:
            yield value
        for each in value.values():
            yield from without_words(each)
    elif isinstance(value, list):
        for each in value:
            yield from without_words(each)


@pytest.mark.parametrize("step", STEPS)
def test_an_answer_is_what_kafka_answers(ours, step):
    if step in BETTER:
        assert set(_codes(ours[step])) == BETTER[step]
    else:
        assert settled(ours[step]) == settled(KAFKAS[step])


@pytest.mark.parametrize("step", STEPS)
def test_every_refusal_says_why_and_no_success_does(ours, step):
    assert list(without_words(ours[step])) == []


def test_the_scenario_meets_most_of_the_errors_that_it_can_meet():
    codes = {int(code) for answer in KAFKAS.values() for code in _codes(answer)}
    assert codes >= {0, 3, 17, 36, 37, 38, 39, 40, 42, 44, 84, 85, 95, 100, 102, 114, 115}


def _codes(value):
    if isinstance(value, dict):
        if "error_code" in value:
            yield value["error_code"]
        for each in value.values():
            yield from _codes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _codes(each)
