"""Groups as a whole: listed, deleted, read back after a restart, kept apart from other protocols, undone."""

import json
from pathlib import Path

import pytest
from tests.unit.control.groups.driver import GROUP, Driver

from moldau.control.groups.records import decode_record
from moldau.control.groups.requests import (
    ConsumerGroupDescribe,
    ConsumerGroupHeartbeat,
    DeleteGroup,
    DescribeGroup,
    ListGroups,
    Loaded,
)
from moldau.control.machine import PARKED
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
GOLDEN = Path(__file__).parents[3] / "golden" / "groups" / "kafka-4.3.1.jsonl"


@pytest.fixture
def driver():
    return Driver().load()


def delete(driver, group_id=GROUP):
    return driver.ask(DeleteGroup(group_id)).error


def listed(driver, **filters):
    wanted = ListGroups(**{name: frozenset(values) for name, values in filters.items()})
    return {group.group_id: (group.state, group.type) for group in driver.ask(wanted).groups}


def written_by_kafka(group):
    rows = [json.loads(line) for line in GOLDEN.read_text().splitlines()]
    pairs = [(bytes.fromhex(row["key"]), row["value"] and bytes.fromhex(row["value"])) for row in rows]
    return [pair for pair in pairs if decode_record(*pair).group == group]


def test_groups_are_listed_by_state_and_type(driver):
    driver.stable(1)
    driver.commit(1, group_id="simple")
    assert listed(driver) == {GROUP: ("Stable", "Classic"), "simple": ("Empty", "Classic")}
    assert listed(driver, states=["stable"]) == {GROUP: ("Stable", "Classic")}
    assert listed(driver, states=["Empty", "Dead"]) == {"simple": ("Empty", "Classic")}
    assert set(listed(driver, types=["classic"])) == {GROUP, "simple"}
    assert listed(driver, types=["consumer"]) == listed(driver, types=["nonsense"]) == {}


def test_a_group_with_members_is_not_deleted(driver):
    members = driver.stable(2)
    assert delete(driver) is ErrorCode.NON_EMPTY_GROUP
    driver.leave(*((member, None) for member in members))
    assert delete(driver) is OK
    assert delete(driver) is ErrorCode.GROUP_ID_NOT_FOUND
    assert driver.describe().error is ErrorCode.GROUP_ID_NOT_FOUND


def test_a_group_takes_its_offsets_along(driver):
    driver.commit(1, partition=0)
    driver.commit(2, partition=1)
    driver.commit(3, group_id="another")
    assert delete(driver) is OK
    for node in (driver, driver.restarted()):
        assert [node.committed(0), node.committed(1), node.committed(group_id="another")] == [-1, -1, 3]
        assert set(listed(node)) == {"another"}


def test_a_group_that_could_not_be_deleted_is_still_there(driver):
    members = driver.stable(1)
    driver.commit(1, driver.generation, members[0])
    driver.leave((members[0], None))
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert delete(driver) is ErrorCode.COORDINATOR_NOT_AVAILABLE
    driver.append_error = None
    assert listed(driver) == {GROUP: ("Empty", "Classic")}
    assert driver.committed() == 1


# Restarts


def test_a_stable_group_survives_a_restart_with_everything_it_has(driver):
    leader, follower = driver.stable(2, instance_ids=("one",))
    driver.commit(17, driver.generation, follower)
    other = driver.restarted()
    assert other.describe() == driver.describe()
    assert other.generation == driver.generation
    assert other.heartbeat(follower, other.generation) is OK
    assert other.sync(leader, other.generation, instance_id="one")[0].assignment == b"share of 0"
    assert other.committed() == 17


def test_members_that_do_not_come_back_after_a_restart_are_removed(driver):
    driver.stable(2)
    other = driver.restarted()
    other.wait(9_999)
    assert len(other.describe().members) == 2
    other.wait(2)
    assert other.group.state == "Empty"


def test_a_round_that_was_open_at_the_crash_has_never_happened(driver):
    leader, follower = driver.stable(2)
    generation = driver.generation
    driver.join(leader)
    driver.join(follower)
    assert driver.generation == generation + 1
    other = driver.restarted()
    assert (other.group.state, other.generation) == ("Stable", generation)


def test_a_group_that_never_had_a_member_survives_with_its_offsets(driver):
    driver.commit(5)
    other = driver.restarted()
    assert listed(other) == {GROUP: ("Empty", "Classic")}
    assert other.describe().protocol_type == ""


def test_before_everything_is_read_clients_are_told_to_wait():
    driver = Driver()
    assert driver.join()[0].error is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    assert driver.commit(1) is ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    # A member must not lose its session because we are starting.
    assert driver.heartbeat("member", 1) is OK
    driver.ask(Loaded())
    assert driver.commit(1) is OK


def test_a_partition_that_kafka_wrote_is_taken_over():
    driver = Driver(written_by_kafka("static")).load()
    described = driver.ask(DescribeGroup("static"))
    assert (described.state, described.protocol_name) == ("Stable", "range")
    (member,) = described.members
    assert member.group_instance_id == "instance-1"
    response, _ = driver.join("", "instance-1", group_id="static")
    assert (response.error, response.generation_id) == (OK, 1)
    assert driver.committed(2, group_id="static") == 10


# Groups of other protocols


def test_a_consumer_group_of_kafka_goes_on_here():
    # The log as it is while the member of "modern" is there.
    records = [pair for pair in written_by_kafka("modern") if pair[1] is not None][:-1]
    driver = Driver(records).load()
    assert listed(driver) == {"modern": ("Stable", "Consumer")}
    assert delete(driver, "modern") is ErrorCode.NON_EMPTY_GROUP
    assert driver.commit(1, group_id="modern") is ErrorCode.UNKNOWN_MEMBER_ID
    described = driver.ask(DescribeGroup("modern"))
    assert (described.error, described.error_message) == (
        ErrorCode.GROUP_ID_NOT_FOUND,
        "Group modern is not a classic group.",
    )
    group = driver.ask(ConsumerGroupDescribe("modern"))
    assert (group.epoch, group.assignment_epoch, group.state, group.assignor) == (2, 2, "Stable", "uniform")
    (member,) = group.members
    assert (member.member_id, member.member_epoch) == ("f5wldbKpTPaBD0sR12wzng", 2)
    assert driver.commit(11, 2, member.member_id, group_id="modern") is OK
    assert driver.committed(2, group_id="modern") == 10
    driver.wait(45_000)
    assert listed(driver) == {"modern": ("Empty", "Consumer")}


def test_an_empty_group_of_the_consumer_protocol_is_taken_over_by_a_classic_member():
    driver = Driver(written_by_kafka("modern")).load()
    assert listed(driver) == {"modern": ("Empty", "Consumer")}
    response, _ = driver.join(group_id="modern")
    assert response.error is ErrorCode.MEMBER_ID_REQUIRED
    parked, _ = driver.join(response.member_id, group_id="modern")
    assert parked is PARKED
    assert listed(driver) == {"modern": ("CompletingRebalance", "Classic")}
    assert listed(driver.restarted()) == {"modern": ("Empty", "Classic")}
    assert driver.committed(2, group_id="modern") == 10


SHARE_GROUP = (
    (b"\x00\x0b\x00\x05share", b"\x00\x00\x00\x00\x00\x01\x00"),
    (b"\x00\x0a\x00\x05share\x00\x01m", b"\x00\x00\x00"),
)


def test_a_group_of_a_protocol_that_is_not_served_is_not_trampled_on():
    driver = Driver(SHARE_GROUP).load()
    assert listed(driver) == {"share": ("Unknown", "Share")}
    assert driver.join(group_id="share")[0].error is ErrorCode.INCONSISTENT_GROUP_PROTOCOL
    assert delete(driver, "share") is ErrorCode.NON_EMPTY_GROUP
    joining = ConsumerGroupHeartbeat(
        "share", "m", 0, "client", "/127.0.0.1", rebalance_timeout_ms=1_000, topic_names=(), owned=()
    )
    assert driver.ask(joining).error is ErrorCode.GROUP_ID_NOT_FOUND


def test_an_empty_group_of_the_consumer_protocol_can_be_deleted():
    driver = Driver(written_by_kafka("modern")).load()
    assert delete(driver, "modern") is OK
    assert listed(driver.restarted()) == {}


# A log that refuses


@pytest.mark.parametrize(
    ("append_error", "told"),
    [
        (ErrorCode.NOT_ENOUGH_REPLICAS, ErrorCode.COORDINATOR_NOT_AVAILABLE),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.KAFKA_STORAGE_ERROR, ErrorCode.NOT_COORDINATOR),
        (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.UNKNOWN_SERVER_ERROR),
    ],
)
def test_a_first_join_that_could_not_be_written_is_answered(driver, append_error, told):
    driver.append_error = append_error
    assert driver.join()[0].error is told
    response, token = driver.join(requires_member_id=False, group_id="another")
    assert response is PARKED
    assert driver.replies[token].error is told
    driver.append_error = None
    _, token = driver.join(requires_member_id=False, group_id="another")
    assert driver.replies[token].error is OK


def test_a_join_that_could_not_be_written_leaves_an_empty_group_of_another_protocol_as_it_was():
    driver = Driver(SHARE_GROUP[:1]).load()
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    for requires_member_id in (True, False):
        response, token = driver.join(requires_member_id=requires_member_id, group_id="share")
        assert driver.replies.get(token, response).error is ErrorCode.COORDINATOR_NOT_AVAILABLE
        assert listed(driver) == {"share": ("Empty", "Share")}
        assert len(driver.machine.groups) == 0
    driver.append_error = None
    _, token = driver.join(requires_member_id=False, group_id="share")
    assert driver.replies[token].error is OK
    for node in (driver, driver.restarted()):
        assert listed(node)["share"][1] == "Classic"


def test_a_static_member_whose_return_could_not_be_written_may_try_again(driver):
    driver.stable(1, instance_ids=("one",))
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert driver.join("", "one")[0].error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    driver.append_error = None
    response, _ = driver.join("", "one")
    assert (response.error, response.generation_id) == (OK, 1)


def test_members_that_leave_are_gone_even_if_that_could_not_be_written(driver):
    (member,) = driver.stable(1)
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert driver.leave((member, None)) == [OK]
    assert driver.group.state == "Empty"


def test_an_unknown_event_is_a_mistake_of_ours(driver):
    with pytest.raises(TypeError):
        driver.ask("hello")
