"""What is done for the first members of a group in a short way is what the long way does."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from moldau.control.groups.consumer.gathering import Gathering
from moldau.control.groups.consumer.heartbeat import as_told, newcomer
from moldau.control.groups.consumer.member import ConsumerMember, newly_told
from moldau.control.groups.consumer.reconcile import Goal, first_step, reconcile
from moldau.control.groups.requests import ConsumerGroupHeartbeat
from moldau.control.groups.settings import GroupSettings
from moldau.control.groups.turn import Turn
from moldau.control.machine import Now, Token

TOPICS = [UUID(int=number + 1) for number in range(5)]
texts = st.none() | st.sampled_from(["", "one", "two"])
targets = st.dictionaries(st.sampled_from(TOPICS), st.sets(st.integers(0, 20)))


@st.composite
def joins(draw):
    return ConsumerGroupHeartbeat(
        "billing",
        draw(st.sampled_from(["", "a", "b", "c", "d"])),
        0,
        "client",
        "/127.0.0.1",
        instance_id=draw(texts),
        rack_id=draw(texts),
        rebalance_timeout_ms=draw(st.sampled_from([-1, 300_000])),
        topic_names=draw(st.none() | st.sets(st.sampled_from(["orders", "other"])).map(tuple)),
        topic_regex=draw(texts),
        assignor=draw(texts),
        token=Token(draw(st.integers(1, 1000))),
    )


@given(target=targets, epoch=st.integers(1, 9))
def test_the_first_step_of_a_first_member_is_that_of_any(target, epoch):
    member = ConsumerMember("a")
    goal = Goal(epoch, target, frozenset(TOPICS), lambda _topic: {})
    assert first_step(member, epoch, target) == reconcile(member, goal, {}, subscription_changed=True)


@given(request=joins())
def test_a_newcomer_is_who_it_says(request):
    told = as_told(ConsumerMember("a"), request)
    assert newcomer("a", request) == told
    record = told.to_record("billing").value
    assert newly_told("a", record) == ConsumerMember("a").told(record)


def is_the_same(one, other):
    if one.instance_id is not None and one.instance_id == other.instance_id:
        return True
    return one.member_id != "" and one.member_id == other.member_id


@given(requests=st.lists(joins(), max_size=12))
def test_who_comes_again_is_found_among_those_who_wait(requests):
    gathering, turn = Gathering(), Turn(Now(0, 0), GroupSettings(), None, iter(()))
    waiting = []
    for request in requests:
        place = next((index for index, other in enumerate(waiting) if is_the_same(request, other)), None)
        assert gathering.park(turn, request, 5) == (place is None)
        if place is None:
            waiting.append(request)
        elif request.member_id and request.member_id == waiting[place].member_id:
            fields = {name: getattr(request, name) for name in request.__slots__}
            waiting[place] = ConsumerGroupHeartbeat(**fields | {"token": waiting[place].token})
    assert gathering.end("billing") == waiting
    assert gathering.end("billing") == []
