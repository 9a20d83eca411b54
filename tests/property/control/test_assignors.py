"""The laws of the assignors, for groups of every shape: complete, one owner, balanced, sticky, repeatable."""

from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from moldau.control.groups.consumer.assignors import MemberSpec, assign_range, assign_uniform

TOPICS = [UUID(int=number + 1) for number in range(5)]
MEMBERS = [f"member-{number}" for number in range(8)]

partition_counts = st.fixed_dictionaries({topic: st.integers(0, 12) for topic in TOPICS})
subscriptions = st.frozensets(st.sampled_from(TOPICS))


@st.composite
def groups(draw, *, equal=None):
    """Specs and partition counts; the targets are what an earlier and different group may have had."""
    counts = draw(partition_counts)
    names = draw(st.lists(st.sampled_from(MEMBERS), unique=True, min_size=1))
    is_equal = draw(st.booleans()) if equal is None else equal
    common = draw(subscriptions)
    owners = {
        (topic, partition): draw(st.sampled_from([None, *names]))
        for topic in TOPICS
        for partition in range(draw(st.integers(0, 14)))
    }
    specs = {}
    for name in names:
        target = {}
        for (topic, partition), owner in owners.items():
            if owner == name:
                target.setdefault(topic, set()).add(partition)
        instance_id = draw(st.sampled_from([None, f"instance-{name}"]))
        specs[name] = MemberSpec(common if is_equal else draw(subscriptions), instance_id, target)
    return specs, counts


def owners_of(assignment):
    return [(topic, partition) for held in assignment.values() for topic, each in held.items() for partition in each]


def subscribed(specs, counts):
    topics = set().union(*(spec.topic_ids for spec in specs.values()))
    return {(topic, partition) for topic in topics for partition in range(counts[topic])}


def check_complete_with_one_owner(specs, counts, assignment):
    owned = owners_of(assignment)
    assert len(owned) == len(set(owned)), "a partition has two owners"
    assert set(owned) == subscribed(specs, counts)
    for member_id, held in assignment.items():
        assert held.keys() <= specs[member_id].topic_ids, "a member gets what it is not subscribed to"
        assert all(held.values()), "a topic without partitions"


def again(specs, assignment):
    return {
        name: MemberSpec(spec.topic_ids, spec.instance_id, assignment.get(name, {})) for name, spec in specs.items()
    }


@given(groups())
def test_uniform_gives_every_partition_to_one_subscriber(group):
    specs, counts = group
    check_complete_with_one_owner(specs, counts, assign_uniform(specs, counts))


@given(groups())
def test_range_gives_every_partition_to_one_subscriber(group):
    specs, counts = group
    check_complete_with_one_owner(specs, counts, assign_range(specs, counts))


@given(groups(equal=True))
def test_uniform_is_balanced_when_all_are_subscribed_to_the_same(group):
    specs, counts = group
    sizes = [sum(map(len, held.values())) for held in assign_uniform(specs, counts).values()]
    assert max(sizes) - min(sizes) <= 1


@given(groups(equal=False))
def test_uniform_is_balanced_as_far_as_subscriptions_allow(group):
    specs, counts = group
    assignment = assign_uniform(specs, counts)
    sizes = {name: sum(map(len, assignment[name].values())) for name in specs}
    for giver, held in assignment.items():
        for topic in held:
            for taker, spec in specs.items():
                if topic in spec.topic_ids:
                    assert sizes[giver] - sizes[taker] <= 1, f"{giver} could give of {topic} to {taker}"


@given(groups())
def test_uniform_moves_nothing_that_is_well_where_it_is(group):
    specs, counts = group
    assignment = assign_uniform(specs, counts)
    assert assign_uniform(again(specs, assignment), counts) == assignment


@given(groups(equal=True), st.integers(0, 7))
def test_uniform_moves_only_what_a_member_that_goes_has_left(group, index):
    specs, counts = group
    before = assign_uniform(specs, counts)
    gone = sorted(specs)[index % len(specs)]
    staying = {name: spec for name, spec in again(specs, before).items() if name != gone}
    if not staying:
        return
    after = assign_uniform(staying, counts)
    for name in staying:
        for topic, held in before[name].items():
            assert held <= after[name].get(topic, set()), f"{name} lost something for nothing"


@given(groups(equal=True))
def test_uniform_takes_no_more_than_a_newcomer_needs(group):
    specs, counts = group
    before = assign_uniform(specs, counts)
    topics = next(iter(specs.values())).topic_ids
    after = assign_uniform({**again(specs, before), "newcomer": MemberSpec(topics, None, {})}, counts)
    moved = list(owners_of({"newcomer": after["newcomer"]}))
    for name in specs:
        for topic, held in after[name].items():
            assert held <= before[name].get(topic, set()), f"{name} got something from another old member"
    assert len(moved) == sum(map(len, after["newcomer"].values()))


@given(groups())
def test_range_is_consecutive_and_fair_in_each_topic(group):
    specs, counts = group
    assignment = assign_range(specs, counts)
    sizes = {topic: Counter({name: 0 for name in specs if topic in specs[name].topic_ids}) for topic in TOPICS}
    for name, held in assignment.items():
        for topic, partitions in held.items():
            assert partitions == set(range(min(partitions), max(partitions) + 1))
            sizes[topic][name] = len(partitions)
    for each in sizes.values():
        assert not each or max(each.values()) - min(each.values()) <= 1


@given(groups(equal=True))
def test_range_puts_one_partition_of_topics_of_one_size_with_one_member(group):
    specs, _ = group
    counts = dict.fromkeys(TOPICS, 7)
    for held in assign_range(specs, counts).values():
        assert len({frozenset(partitions) for partitions in held.values()}) <= 1


@given(groups())
def test_members_that_are_asked_for_in_another_order_get_the_same(group):
    specs, counts = group
    backwards = dict(reversed(specs.items()))
    assert assign_uniform(specs, counts) == assign_uniform(backwards, counts)
    assert assign_range(specs, counts) == assign_range(backwards, counts)
