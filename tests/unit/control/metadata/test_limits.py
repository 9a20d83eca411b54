"""One request cannot hold the node, or fill its log, by itself."""

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.configs import AlterConfigs, ConfigChange, ReplaceConfigs
from moldau.control.metadata.describe_configs import describe_configs
from moldau.control.metadata.elections import AlterReassignments, ElectLeaders, Reassignment
from moldau.control.metadata.image import ConfigResource
from moldau.control.metadata.topics import (
    CreatePartitions,
    CreateTopics,
    DeleteTopics,
    NewPartitions,
    NewTopic,
    TopicRef,
)
from moldau.errors import ApiError, ErrorCode

MANY = 200_000
REQUESTS = {
    "delete": DeleteTopics((TopicRef("t"),) * MANY),
    "grow": CreatePartitions((NewPartitions("t", 5),) * MANY),
    "alter": AlterConfigs(((ConfigResource(32, "g"), (ConfigChange("x", 0, "1"),)),) * MANY),
    "alter one": AlterConfigs(((ConfigResource(32, "g"), (ConfigChange("x", 0, "1"),) * MANY),)),
    "replace": ReplaceConfigs(((ConfigResource(32, "g"), ()),) * MANY),
    "elect": ElectLeaders(0, (("t", 0),) * MANY),
    "reassign": AlterReassignments((Reassignment(("t", 0), (1,)),) * MANY),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_for_everything_at_once_is_refused(name):
    cluster = Cluster()
    cluster.topic("t")
    with pytest.raises(ApiError) as refusal:
        cluster.decide(REQUESTS[name])
    assert refusal.value.code == ErrorCode.POLICY_VIOLATION


def test_too_many_topics_are_refused():
    decision = Cluster().decide(CreateTopics(tuple(NewTopic(f"t{number}", 1, 1) for number in range(MANY))))
    assert {answer.code for answer in decision.response} == {ErrorCode.POLICY_VIOLATION}
    assert decision.records == ()


def test_too_many_descriptions_are_refused():
    with pytest.raises(ApiError) as refusal:
        describe_configs(Cluster().machine.situation(), [(ConfigResource(4, "1"), None)] * MANY)
    assert refusal.value.code == ErrorCode.POLICY_VIOLATION
