"""ConsumerGroupHeartbeat: joining, sharing, fencing, sessions; one table for what each member hears in each state."""

import pytest
from tests.unit.control.groups.consumer.members import ConsumerDriver, ConsumerMember
from tests.unit.control.groups.driver import GROUP, TOPIC

from moldau.control.groups.consumer.records import CurrentMemberRecord, TopicMetadataRecord
from moldau.control.groups.records import decode_record, encode_record
from moldau.errors import ErrorCode

OK = ErrorCode.NONE
UNKNOWN = ErrorCode.UNKNOWN_MEMBER_ID
FENCED = ErrorCode.FENCED_MEMBER_EPOCH
EMPTY, ASSIGNING, RECONCILING, STABLE = "Empty", "Assigning", "Reconciling", "Stable"


@pytest.fixture
def driver():
    return ConsumerDriver().load()


def group_in(state):
    """A driver with a group in `state`, and two members `a` and `b` that were stable before."""
    driver = ConsumerDriver().load()
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    match state:
        case "Empty":
            a.leave()
            b.leave()
        case "Assigning":
            driver.cluster.assignment_interval = 60_000
            driver.member("c")
        case "Reconciling":
            driver.member("c")
    assert driver.consumers.state == state
    return driver, a, b


@pytest.mark.parametrize("state", [EMPTY, ASSIGNING, RECONCILING, STABLE])
@pytest.mark.parametrize("who", ["current", "older", "newer", "repeats", "stranger", "joins again", "leaves"])
def test_what_a_member_hears_in_each_state(state, who):
    driver, a, _ = group_in(state)
    is_known = state != EMPTY
    epoch = a.epoch if is_known else 4
    expected, fenced = (OK, FENCED) if is_known else (UNKNOWN, UNKNOWN)
    match who:
        case "current":
            assert driver.beat("a", epoch).error is expected
        case "older":
            assert driver.beat("a", epoch - 2).error is fenced
        case "newer":
            assert driver.beat("a", epoch + 1).error is fenced
        case "repeats":
            # Its last answer got lost: with the epoch before, and nothing that it should not own, it is let through.
            previous = driver.consumers.members["a"].previous_member_epoch if is_known else 3
            assert previous < epoch
            assert driver.beat("a", previous, owned=((driver.cluster.id_of(TOPIC), (0, 1, 2, 3)),)).error is fenced
            assert driver.beat("a", previous).error is fenced
            assert driver.beat("a", previous, owned=()).error is expected
        case "stranger":
            assert driver.beat("nobody", epoch).error is UNKNOWN
        case "joins again":
            assert ConsumerMember(driver, "a").beat().error is OK
        case "leaves":
            assert a.leave().error is expected
            assert driver.beat("a", epoch).error is UNKNOWN


def test_a_single_member_gets_everything_with_its_first_answer(driver):
    member = driver.member("a")
    assert member.partitions == {0, 1, 2, 3}
    assert (member.epoch, driver.consumers.state) == (2, STABLE)
    # Nothing new is not said again.
    assert member.beat().assignment is None


def test_a_partition_is_given_up_before_it_is_given_away(driver):
    a, b = driver.member("a"), driver.member("b")
    assert b.partitions == set()
    assert (b.epoch, driver.consumers.members["b"].state.name) == (3, "UNRELEASED_PARTITIONS")
    topic_id = driver.cluster.id_of(TOPIC)
    told = driver.beat("a", a.epoch, owned=((topic_id, (0, 1, 2, 3)),))
    assert (told.member_epoch, told.assignment) == (2, ((topic_id, (0, 1)),))
    b.beat()
    assert b.partitions == set(), "nobody has said yet that the partitions are free"
    assert driver.beat("a", 2, owned=((topic_id, (0, 1)),)).member_epoch == 3
    b.beat()
    assert b.partitions == {2, 3}
    assert driver.consumers.state == STABLE


def test_what_a_member_leaves_behind_goes_to_the_others(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    assert a.leave().member_epoch == -1
    driver.settled(b)
    assert b.partitions == {0, 1, 2, 3}


def test_a_silent_member_is_out_after_its_session_timeout(driver):
    _a, b = driver.settled(driver.member("a"), driver.member("b"))
    for _ in range(10):
        driver.wait(4_000)
        b.beat()
    assert set(driver.consumers.members) == {"a", "b"}
    driver.wait(6_000)
    assert set(driver.consumers.members) == {"b"}
    driver.settled(b)
    assert b.partitions == {0, 1, 2, 3}


def test_a_member_that_does_not_give_up_partitions_in_time_is_out(driver):
    a = driver.member("a")
    b = driver.member("b")
    topic_id = driver.cluster.id_of(TOPIC)
    for _ in range(13):
        driver.beat("a", a.epoch, owned=((topic_id, (0, 1, 2, 3)),))
        b.beat()
        driver.wait(5_000)
    assert set(driver.consumers.members) == {"b"}
    assert driver.beat("a", a.epoch).error is UNKNOWN
    driver.settled(b)
    assert b.partitions == {0, 1, 2, 3}


def test_a_member_that_has_given_up_in_time_is_not_fenced_later(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    for _ in range(20):
        driver.wait(5_000)
        a.beat()
        b.beat()
    assert set(driver.consumers.members) == {"a", "b"}


def test_assignments_keep_their_distance(driver):
    driver.cluster.assignment_interval = 1_000
    a = driver.member("a")
    b, c = driver.member("b"), driver.member("c")
    assert (driver.consumers.epoch, driver.consumers.assignment_epoch, driver.consumers.state) == (4, 2, ASSIGNING)
    driver.wait(1_000)
    driver.settled(a, b, c)
    assert driver.consumers.assignment_epoch == 4
    assert sorted(map(len, (a.partitions, b.partitions, c.partitions))) == [1, 1, 2]


# Topics come, grow and go


def test_a_topic_that_grows_is_noticed_with_the_next_heartbeat(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    driver.cluster.grow(TOPIC, 6)
    driver.settled(a, b)
    a.beat()
    assert a.partitions | b.partitions == set(range(6))
    assert len(a.partitions) == len(b.partitions) == 3


def test_a_topic_that_is_created_after_the_subscription_is_noticed(driver):
    member = driver.member("a", topic_names=("later", TOPIC))
    later = driver.cluster.create("later", 2)
    driver.settled(member)
    assert member.owned[later] == (0, 1)


def test_what_is_left_of_a_deleted_topic_is_taken_away(driver):
    driver.cluster.create("brief", 3)
    member = driver.member("a", topic_names=("brief", TOPIC))
    assert len(member.owned) == 2
    driver.cluster.delete("brief")
    driver.settled(member)
    member.beat()
    assert set(member.owned) == {driver.cluster.id_of(TOPIC)}


def test_another_topic_in_the_cluster_changes_nothing(driver):
    member = driver.member("a")
    driver.cluster.create("unrelated", 3)
    size = len(driver.log)
    assert member.beat().assignment is None
    assert (len(driver.log), driver.consumers.epoch) == (size, 2)


def test_a_member_that_changes_its_subscription_gives_up_at_once_what_it_does_not_want(driver):
    other = driver.cluster.create("returns", 2)
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    driver.cluster.assignment_interval = 60_000
    response = a.beat(topic_names=("returns",))
    assert response.assignment == ()
    driver.cluster.assignment_interval = 0
    driver.settled(a, b)
    b.beat()
    assert (a.owned, b.partitions) == ({other: (0, 1)}, {0, 1, 2, 3})


# Refusals


@pytest.mark.parametrize(
    ("epoch", "changes", "error"),
    [
        (0, {"rebalance_timeout_ms": -1}, ErrorCode.INVALID_REQUEST),
        (0, {"owned": None}, ErrorCode.INVALID_REQUEST),
        (0, {"topic_names": None}, ErrorCode.INVALID_REQUEST),
        (0, {"member_id": ""}, ErrorCode.INVALID_REQUEST),
        (0, {"instance_id": ""}, ErrorCode.INVALID_REQUEST),
        (0, {"rack_id": ""}, ErrorCode.INVALID_REQUEST),
        (0, {"group_id": ""}, ErrorCode.INVALID_REQUEST),
        (0, {"assignor": "sticky"}, ErrorCode.UNSUPPORTED_ASSIGNOR),
        (-2, {}, ErrorCode.INVALID_REQUEST),
        (-3, {}, ErrorCode.INVALID_REQUEST),
        (5, {}, ErrorCode.GROUP_ID_NOT_FOUND),
        (-1, {}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_leaves_nothing(driver, epoch, changes, error):
    fields = {"rebalance_timeout_ms": 1_000, "topic_names": (TOPIC,), "owned": ()} if epoch == 0 else {}
    response = driver.beat(changes.pop("member_id", "a"), epoch, **(fields | changes))
    assert response.error is error
    assert response.error_message
    assert (driver.log, driver.machine.consumer_groups._groups) == ([], {})


def test_a_group_has_no_more_members_than_it_may(driver):
    driver = ConsumerDriver(consumer_max_size=2).load()
    a, b = driver.member("a"), driver.member("b")
    refused = ConsumerMember(driver, "c").beat()
    assert refused.error is ErrorCode.GROUP_MAX_SIZE_REACHED
    driver.settled(a, b)


def test_a_member_without_an_id_gets_one_in_version_0(driver):
    fields = {"rebalance_timeout_ms": 1_000, "topic_names": (TOPIC,), "owned": ()}
    response = driver.beat("", 0, chooses_member_id=False, **fields)
    assert response.error is OK
    assert list(driver.consumers.members) == [response.member_id]


# Assignors


def test_the_assignor_that_most_members_want_assigns(driver):
    driver.cluster.create("returns", 4)
    members = [driver.member(name, topic_names=(TOPIC, "returns"), assignor="range") for name in "ab"]
    members.append(driver.member("c", topic_names=(TOPIC, "returns"), assignor="uniform"))
    driver.settled(*members)
    assert driver.describe_consumers().assignor == "range"
    # Ranges of both topics are the same, whereas a uniform assignment has no reason for that.
    assert [set(member.owned.values()) for member in members] == [{(0, 1)}, {(2,)}, {(3,)}]


# What survives


def test_a_group_goes_on_after_a_restart_where_it_was(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b", "instance-b"))
    before = driver.describe_consumers()
    restarted = driver.restarted()
    restarted.__class__ = ConsumerDriver
    assert restarted.describe_consumers() == before
    a.driver = b.driver = restarted
    size = len(restarted.log)
    assert a.beat().assignment is None
    assert len(restarted.log) == size
    restarted.wait(45_000)
    assert restarted.consumers.state == EMPTY


def test_a_member_that_was_to_give_up_is_watched_again_after_a_restart(driver):
    a = driver.member("a")
    driver.member("b")
    a.beat()
    restarted = driver.restarted()
    restarted.__class__ = ConsumerDriver
    for _ in range(13):
        restarted.beat("a", 2)
        restarted.wait(5_000)
    assert "a" not in restarted.consumers.members


def test_a_change_that_could_not_be_written_has_not_happened(driver):
    a, b = driver.settled(driver.member("a"), driver.member("b"))
    before = driver.describe_consumers()
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    assert ConsumerMember(driver, "c").beat().error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert a.leave().error is ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert driver.describe_consumers() == before
    driver.append_error = None
    assert a.beat().error is b.beat().error is OK
    driver.wait(45_000)
    assert driver.consumers.state == EMPTY, "sessions are watched all the same"


def test_a_member_whose_end_could_not_be_written_gets_another_session(driver):
    driver.member("a")
    driver.append_error = ErrorCode.NOT_ENOUGH_REPLICAS
    driver.wait(45_000)
    assert set(driver.consumers.members) == {"a"}
    driver.append_error = None
    driver.wait(45_000)
    assert driver.consumers.state == EMPTY


def test_topic_metadata_that_an_older_kafka_wrote_is_taken_back_with_the_next_change(driver):
    driver.member("a")
    old = [*driver.log, encode_record(TopicMetadataRecord(GROUP, b"\x01\x00"))]
    upgraded = ConsumerDriver(old, driver.cluster).load()
    upgraded.member("b")
    assert encode_record(TopicMetadataRecord(GROUP, None)) in upgraded.log


def test_what_kafka_before_4_2_wrote_without_epochs_is_read(driver):
    driver.member("a")
    rewritten = []
    for key, value in driver.log:
        record = decode_record(key, value)
        if isinstance(record, CurrentMemberRecord):
            owned = tuple(type(each)(each.topic_id, each.partitions) for each in record.value.assigned_partitions)
            fields = (record.value.member_epoch, record.value.previous_member_epoch, record.value.state, owned, ())
            record = CurrentMemberRecord(record.group, record.member_id, type(record.value)(*fields))
        rewritten.append(encode_record(record))
    member = ConsumerDriver(rewritten, driver.cluster).load().consumers.members["a"]
    assert member.epoch_of(driver.cluster.id_of(TOPIC), 0) == member.member_epoch


@pytest.mark.parametrize("hours", [-24, 24])
def test_a_member_has_its_session_however_the_clock_is_set(driver, hours):
    driver.settled(driver.member("a"))
    driver.clock_ahead_ms = hours * 3_600_000
    driver.wait(44_999)
    assert set(driver.consumers.members) == {"a"}
    driver.wait(1)
    assert driver.consumers.state == EMPTY


def test_a_clock_that_was_set_back_holds_no_assignment_up(driver):
    driver.cluster.assignment_interval = 60_000
    a = driver.settled(driver.member("a"))[0]
    driver.clock_ahead_ms = -24 * 3_600_000
    b = driver.member("b")
    driver.settled(a, b)
    assert a.partitions | b.partitions == {0, 1, 2, 3}
    assert b.partitions
