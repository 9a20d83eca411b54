"""The scenario of `enforcement_scenario`, against what Apache Kafka 4.3.1 answered."""

import json
from pathlib import Path

import pytest
from tests.golden.metadata.enforcement_scenario import NODE, RULES, Scenario, codes
from tests.golden.metadata.test_kafka_answers import settled

import moldau

KAFKAS = json.loads((Path(__file__).parent / "kafka-4.3.1-enforcement.json").read_text())


IN_KAFKAS_FILE = {"num.network.threads": "3", "log.segment.bytes": "1073741824"}
"""What is told of a broker or of a new topic says where a value comes from."""

BETTER = {
    # Kafka adds a result for a user without a name.
    "credentials": {31},
}
"""The error codes that we answer a refusal with where we do not want to be Kafka."""


def steady(answer):
    """Without the id that a new member is given, and without the retention of a new topic: the file says it in hours,
    which Kafka tells as a default when it is asked, and as a setting of the file when the topic is created.
    """
    if isinstance(answer, dict) and str(answer.get("member_id", "")).startswith("frames-"):
        answer = {**answer, "member_id": "given"}
    return without_retention(settled(answer))


def without_retention(value):
    if isinstance(value, dict):
        return {name: without_retention(each) for name, each in value.items()}
    if isinstance(value, list):
        return [without_retention(each) for each in value if not is_retention(each)]
    return value


def is_retention(value):
    return isinstance(value, dict) and value.get("name") == "retention.ms" and "config_source" in value


@pytest.fixture(scope="module")
def ours():
    settings = {name.replace(".", "_"): value for name, value in {**NODE, **IN_KAFKAS_FILE}.items()}
    with moldau.Broker(moldau_replication_factor_clamp=False, **settings) as broker:
        return Scenario(broker.bootstrap_servers, lambda: None).run()


@pytest.mark.parametrize("rules", RULES)
def test_every_request_is_answered_as_kafka_answers_it(ours, rules):
    kafkas = {**KAFKAS["nothing"], **KAFKAS[rules]}
    differing = {
        name: (steady(answer), steady(kafkas[name]))
        for name, answer in ours[rules].items()
        if steady(answer) != steady(kafkas[name]) and set(codes(answer)) != BETTER.get(name)
    }
    assert differing == {}
