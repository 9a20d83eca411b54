"""A group that moves between the protocols while it runs, and what members of both hear meanwhile."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver, ConsumerMember
from tests.unit.control.groups.driver import GROUP, TOPIC, subscription

from moldau.control.groups.consumer.embedded import read_assignment, write_assignment
from moldau.control.groups.requests import ListGroups, Protocol
from moldau.control.machine import PARKED
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
REBALANCE = ErrorCode.REBALANCE_IN_PROGRESS


@pytest.fixture
def driver():
    return ConsumerDriver().load()


def classic_group(driver, size=2, instance_ids=()):
    """A stable classic group with the four partitions shared out; the ids of its members."""
    members = driver.stable(size, instance_ids)
    driver.join(members[0], instance_ids[0] if instance_ids else None)
    for member, instance in zip(members[1:], [*instance_ids[1:], *[None] * size], strict=False):
        driver.join(member, instance)
    share = 4 // size
    shares = {
        member: write_assignment(1, {TOPIC: tuple(range(index * share, (index + 1) * share))})
        for index, member in enumerate(members)
    }
    for member, instance in [*zip(members, [*instance_ids, *[None] * size], strict=False)][::-1]:
        driver.sync(member, driver.generation, shares if member == driver.group.leader else None, instance)
    assert driver.group.state == "Stable"
    return members


def listed(driver):
    return [(group.type, group.state) for group in driver.ask(ListGroups()).groups]


class ClassicMember:
    """A classic client in a group that may be of either protocol: it joins again when it is told to."""

    def __init__(self, driver, member_id, epoch, owned=()):
        self.driver, self.member_id, self.epoch, self.owned = driver, member_id, epoch, set(owned)

    def live(self):
        """A heartbeat, and what follows from it."""
        if self.driver.heartbeat(self.member_id, self.epoch) is REBALANCE:
            self.join()

    def join(self):
        owned = ((TOPIC, tuple(sorted(self.owned))),)
        protocols = (Protocol("range", subscription_with(owned)),)
        response, token = self.driver.join(self.member_id, protocols=protocols)
        response = self.driver.replies.get(token) if response is PARKED else response
        if response is None:
            return
        assert response.error is OK, response
        self.epoch = response.generation_id
        answer, token = self.driver.sync(self.member_id, self.epoch)
        answer = self.driver.replies.get(token) if answer is PARKED else answer
        assert answer.error is OK, answer
        self.owned = {each for topic in read_assignment(answer.assignment).partitions for each in topic.partitions}


def subscription_with(owned):
    plain = subscription(TOPIC)[:-4]
    entries = b"".join(
        len(topic).to_bytes(2, "big")
        + topic.encode()
        + len(each).to_bytes(4, "big")
        + b"".join(partition.to_bytes(4, "big") for partition in each)
        for topic, each in owned
    )
    return plain + len(owned).to_bytes(4, "big") + entries


def live_together(driver, consumers, classics):
    for _ in range(12):
        for member in consumers:
            member.beat()
        for member in classics:
            member.live()
        if driver.consumers.state == "Stable":
            return
    raise AssertionError(driver.describe_consumers())


def test_a_classic_group_goes_on_as_a_consumer_group_when_a_member_of_that_protocol_comes(driver):
    a, b = classic_group(driver)
    generation = driver.generation
    new = driver.member("new")
    assert listed(driver) == [("Consumer", "Reconciling")]
    classics = [ClassicMember(driver, a, generation, {0, 1}), ClassicMember(driver, b, generation, {2, 3})]
    live_together(driver, [new], classics)
    shares = [new.partitions, *(member.owned for member in classics)]
    assert sorted(map(len, shares)) == [1, 1, 2]
    assert set().union(*shares) == {0, 1, 2, 3}
    kinds = {member.member_id: member.uses_classic_protocol for member in driver.describe_consumers().members}
    assert kinds == {"new": False, a: True, b: True}


def test_who_waits_in_the_classic_group_is_sent_to_join_again(driver):
    a, _b = classic_group(driver)
    _, token = driver.join(a)
    driver.member("new")
    assert driver.replies[token].error is REBALANCE


def test_classic_members_that_do_not_join_again_in_time_are_out(driver):
    a, b = classic_group(driver)
    generation = driver.generation
    new = driver.member("new")
    for _ in range(14):
        for member in (a, b):
            driver.heartbeat(member, generation)
        new.beat()
        driver.wait(5_000)
    assert set(driver.consumers.members) == {"new"}


def test_the_last_of_the_consumer_protocol_leaves_a_classic_group_behind(driver):
    a, b = classic_group(driver)
    generation = driver.generation
    new = driver.member("new")
    classics = [ClassicMember(driver, a, generation, {0, 1}), ClassicMember(driver, b, generation, {2, 3})]
    live_together(driver, [new], classics)
    assert new.leave().error is OK
    assert listed(driver) == [("Classic", "PreparingRebalance")]
    assert driver.generation == driver.group.generation_id
    assert set(driver.group.members) == {a, b}
    assert driver.heartbeat(a, driver.generation) is REBALANCE
    assert listed(driver.restarted()) == [("Classic", "Stable")]
    driver.wait(10_000)
    assert driver.group.members == {}, "their sessions are watched by the classic group"


def test_a_consumer_group_that_loses_its_last_member_of_the_protocol_by_time_downgrades_too(driver):
    a, b = classic_group(driver)
    generation = driver.generation
    new = driver.member("new")
    classics = [ClassicMember(driver, a, generation, {0, 1}), ClassicMember(driver, b, generation, {2, 3})]
    live_together(driver, [new], classics)
    for _ in range(10):
        driver.wait(5_000)
        if GROUP in driver.machine.groups:
            break
        for member in classics:
            member.live()
    assert [type_ for type_, _ in listed(driver)] == ["Classic"]


def test_a_static_member_moves_from_one_protocol_to_the_other_and_back(driver):
    classic_group(driver, 1, ("one",))
    member = driver.member("modern", "one")
    assert listed(driver) == [("Consumer", "Stable")]
    assert member.partitions == {0, 1, 2, 3}
    member.leave(-2)
    response, _ = driver.join("", "one")
    assert response.error is OK
    assert listed(driver) == [("Classic", "Stable")]
    answer, _ = driver.sync(response.member_id, driver.generation, instance_id="one")
    assert read_assignment(answer.assignment).partitions[0].partitions == (0, 1, 2, 3)


def test_a_classic_newcomer_joins_a_consumer_group_without_a_barrier(driver):
    a = driver.member("a")
    response, _ = driver.join()
    assert response.error is ErrorCode.MEMBER_ID_REQUIRED
    joined, _ = driver.join(response.member_id)
    assert (joined.error, joined.leader, joined.protocol_name) == (OK, "", "range")
    newcomer = ClassicMember(driver, response.member_id, joined.generation_id)
    live_together(driver, [a], [newcomer])
    assert (len(a.partitions), len(newcomer.owned)) == (2, 2)


@pytest.mark.parametrize(
    ("settings", "upgrades", "accepts_classic", "downgrades"),
    [
        ({}, True, True, True),
        ({"consumer_may_downgrade": False}, True, True, False),
        ({"consumer_may_upgrade": False}, False, True, True),
        ({"consumer_may_upgrade": False, "consumer_may_downgrade": False}, False, False, False),
    ],
)
def test_the_migration_policy_decides(settings, upgrades, accepts_classic, downgrades):
    driver = ConsumerDriver(**settings).load()
    classic_group(driver)
    error = ConsumerMember(driver, "new").beat().error
    assert error is (OK if upgrades else ErrorCode.GROUP_ID_NOT_FOUND)

    driver = ConsumerDriver(**settings).load()
    modern = driver.member("modern")
    response, _ = driver.join(requires_member_id=False)
    assert response.error is (OK if accepts_classic else ErrorCode.INCONSISTENT_GROUP_PROTOCOL)
    modern.leave()
    expected = "Classic" if accepts_classic and downgrades else "Consumer"
    assert [type_ for type_, _ in listed(driver)] == [expected]


def test_a_group_of_another_protocol_type_is_not_upgraded(driver):
    driver.join(protocol_type="connect", requires_member_id=False)
    refused = ConsumerMember(driver, "new").beat()
    assert (refused.error, listed(driver)[0][0]) == (ErrorCode.GROUP_ID_NOT_FOUND, "Classic")


def test_a_group_whose_assignor_keeps_data_of_its_own_is_not_upgraded(driver):
    (leader,) = driver.stable(1)
    with_data = write_assignment(1, {TOPIC: (0,)})[:-4] + b"\x00\x00\x00\x01x"
    driver.join(leader)
    driver.sync(leader, driver.generation, {leader: with_data})
    refused = ConsumerMember(driver, "new").beat()
    assert refused.error is ErrorCode.GROUP_ID_NOT_FOUND
    assert "custom assignor" in refused.error_message
    assert driver.heartbeat(leader, driver.generation) is OK


def test_an_empty_classic_group_is_taken_over_with_its_offsets(driver):
    driver.commit(7)
    member = driver.member("a")
    assert listed(driver) == [("Consumer", "Stable")]
    assert driver.committed() == 7
    assert member.partitions == {0, 1, 2, 3}
    assert listed(driver.restarted()) == [("Consumer", "Stable")]


def test_an_upgrade_that_could_not_be_written_has_not_happened(driver):
    a, _b = classic_group(driver)
    _, token = driver.join(a)
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert ConsumerMember(driver, "new").beat().error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert token not in driver.replies
    assert [type_ for type_, _ in listed(driver)] == ["Classic"]
    driver.append_error = None
    driver.member("new")
    assert driver.replies[token].error is REBALANCE


@pytest.mark.parametrize("requires_member_id", [True, False])
def test_a_classic_join_that_could_not_be_written_leaves_the_empty_consumer_group_as_it_was(driver, requires_member_id):
    driver.member("a").leave()
    driver.commit(7)
    timers = dict(driver.timers)
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    response, token = driver.join(requires_member_id=requires_member_id)
    response = driver.replies.get(token, response)
    assert (response.error, response.member_id) == (ErrorCode.COORDINATOR_NOT_AVAILABLE, "")
    assert listed(driver) == [("Consumer", "Empty")]
    assert driver.timers == timers
    driver.append_error = None
    driver.stable(1)
    for node in (driver, driver.restarted()):
        assert listed(node) == [("Classic", "Stable")]
        assert node.committed() == 7


@pytest.mark.parametrize("request_", ["heartbeat", "sync", "leave"])
def test_a_member_of_the_consumer_protocol_is_not_taken_for_a_classic_one(driver, request_):
    member = driver.member("a")
    match request_:
        case "heartbeat":
            assert driver.heartbeat("a", member.epoch) is ErrorCode.UNKNOWN_MEMBER_ID
        case "sync":
            assert driver.sync("a", member.epoch)[0].error is ErrorCode.UNKNOWN_MEMBER_ID
        case "leave":
            assert driver.leave(("nobody", None), ("a", None)) == [ErrorCode.UNKNOWN_MEMBER_ID, OK]
            assert driver.consumers.members == {}
