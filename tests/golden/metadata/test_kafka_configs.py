"""What a real Apache Kafka 4.3.1 answers to DescribeConfigs, key by key.

`kafka-4.3.1-configs.jsonl` was asked of the node whose records are beside it: a topic, the node, all nodes, a group and
a client-metrics subscription that have nothing of their own. Values, types, sources, synonyms and flags are held
against ours; the documentation is ours and is not.
"""

import json
import random
from pathlib import Path

import pytest

from moldau.control.metadata.describe_configs import describe_configs
from moldau.control.metadata.effective import NodeSettings
from moldau.control.metadata.image import ConfigResource
from moldau.control.metadata.machine import MetadataMachine

FOLDER = Path(__file__).parent
ANSWERS = [json.loads(line) for line in (FOLDER / "kafka-4.3.1-configs.jsonl").read_text().splitlines()]
RESOURCES = sorted({(answer["resource"][0], answer["resource"][1]) for answer in ANSWERS})

PLUGIN = {"allow.everyone.if.no.acl.found"}
"""Set in the file for Kafka's authorizer, which reads it; it is no key of the broker."""
ONLY_OURS = "moldau."
TOLD_BY_KAFKA_ONLY_WHEN_SET = {
    "follower.replication.throttled.rate",
    "leader.replication.throttled.rate",
    "replica.alter.log.dirs.io.max.bytes.per.second",
    "super.users",
    "allow.everyone.if.no.acl.found",
}


@pytest.fixture(scope="module")
def machine():
    on_the_node = [answer for answer in ANSWERS if answer["resource"] == [4, "1"] and answer["name"] not in PLUGIN]
    set_in_the_file = {
        name: text
        for answer in on_the_node
        for name, text, source in answer["synonyms"]
        if source == 4 and name == answer["name"]
    }
    machine = MetadataMachine(NodeSettings(1, "c", set_in_the_file), random.Random(1))
    for line in (FOLDER / "kafka-4.3.1.jsonl").read_text().splitlines():
        machine.apply(machine.decode(bytes.fromhex(json.loads(line)["value"])))
    return machine


def ours(machine, resource):
    (described,) = describe_configs(machine.situation(), [(ConfigResource(*resource), None)])
    return {
        config.key.name: {
            "resource": list(resource),
            "name": config.key.name,
            "value": config.text,
            "read_only": config.read_only,
            "source": config.source,
            "sensitive": config.key.sensitive,
            "type": config.key.type,
            "synonyms": [[synonym.name, synonym.text, synonym.source] for synonym in config.synonyms],
        }
        for config in described.configs
    }


@pytest.mark.parametrize("resource", RESOURCES, ids=str)
def test_every_key_is_described_as_kafka_describes_it(machine, resource):
    mine = ours(machine, resource)
    theirs = {
        answer["name"]: answer
        for answer in ANSWERS
        if tuple(answer["resource"]) == resource and answer["name"] not in PLUGIN
    }
    assert {name: mine.get(name) for name in theirs} == theirs
    only_told_by_us = {name for name in set(mine) - set(theirs) if not name.startswith(ONLY_OURS)}
    assert only_told_by_us <= TOLD_BY_KAFKA_ONLY_WHEN_SET
