"""The group handlers in every version: kio's request in, the machine behind, bytes out that kio reads again."""

import asyncio
import dataclasses
import importlib
import io
import itertools
import random
import typing
from datetime import timedelta
from types import SimpleNamespace
from uuid import UUID

import pytest
from kio.serial import entity_reader
from tests.unit.control.groups.cluster_of_topics import ClusterOfTopics
from tests.unit.control.groups.leases_of_members import LeasesOfMembers

from moldau.control.groups.coordinator import GroupCoordinator
from moldau.control.groups.records import encode_record
from moldau.control.groups.requests import Loaded, OffsetCommit, OffsetToCommit
from moldau.control.groups.settings import GroupSettings
from moldau.control.machine import PARKED, Now, Reply, ScheduleTimer
from moldau.control.metadata.image import Topic
from moldau.errors import ApiError, ErrorCode
from moldau.server.codec import encode_response
from moldau.server.handlers import RequestContext, load
from moldau.server.refusal import refuse

ORDERS = Topic("orders", UUID(int=7), {0: None, 1: None})
SUBSCRIPTION = b"\x00\x00\x00\x00\x00\x01\x00\x06orders\xff\xff\xff\xff"
ROUTES = {key: route for key, route in load().items() if key in (8, 9, 11, 12, 13, 14, 15, 16, 42, 47, 68, 69)}
EVERY_VERSION = [
    pytest.param(key, version, id=f"{route.api.name}-{version}")
    for key, route in ROUTES.items()
    for version in range(route.api.versions[0], route.api.versions[1] + 1)
]


class Groups:
    """The machine, driven as simply as can be."""

    partition_count = 1

    def __init__(self):
        cluster = ClusterOfTopics(orders=3)
        self.machine = GroupCoordinator(
            GroupSettings(initial_rebalance_delay_ms=0), random.Random(1), cluster, LeasesOfMembers(cluster)
        )
        self.replies = {}
        asyncio.run(self.run("", Loaded()))

    async def run(self, group_id, request, token=None):
        decision = self.machine.decide(request, Now(1_000, 1_000))
        for record in decision.records:
            self.machine.apply(record)
        for effect in decision.effects:
            if isinstance(effect, Reply):
                self.replies[effect.token] = effect.response
            elif isinstance(effect, ScheduleTimer) and effect.at_ms <= 1_000:
                await self.run("", effect.event)
        return self.replies[token] if decision.response is PARKED else decision.response

    async def run_everywhere(self, request):
        return [await self.run("", request)]

    async def loaded(self):
        return None


class Node:
    def __init__(self):
        self.features = {"group.version": 1}
        self.rebalance_protocols = ("classic", "consumer")
        image = SimpleNamespace(topics={"orders": ORDERS}, topics_by_id={ORDERS.id: ORDERS}, features=self.features)
        self.groups = Groups()
        self.shell = SimpleNamespace(
            groups=self.groups,
            metadata=SimpleNamespace(machine=SimpleNamespace(image=image)),
            settings=SimpleNamespace(words=lambda name: self.rebalance_protocols),
            node_id=1,
        )
        self.tokens = itertools.count(1)

    def ask(self, key, version, **values):
        """The answer as kio reads it from our bytes."""
        route = ROUTES[key]
        module = "".join(f"_{c.lower()}" if c.isupper() else c for c in route.api.name).lstrip("_")
        request_class = message_class(module, version, "Request", route.api.name)
        context = RequestContext(
            version, 1, "client", "/127.0.0.1", "PLAINTEXT", ("127.0.0.1", 9092), next(self.tokens)
        )
        request = build(request_class, values)
        try:
            encoded = encode_response(key, version, asyncio.run(route.handle(self.shell, request, context)))
        except ApiError as error:
            encoded = refuse(key, version, request, error.code, error.message)
        body = io.BytesIO(encoded)
        response = entity_reader(message_class(module, version, "Response", route.api.name))
        parsed, size = response(body.getvalue(), 0)
        assert size == len(body.getvalue())
        return parsed


def message_class(module, version, kind, name):
    return getattr(importlib.import_module(f"kio.schema.{module}.v{version}.{kind.lower()}"), f"{name}{kind}")


def build(cls, values):
    """A kio object with what `values` has for its fields, and something harmless for the others."""
    hints = typing.get_type_hints(cls)
    return cls(**{field.name: fill(hints[field.name], values.get(field.name)) for field in dataclasses.fields(cls)})


def fill(hint, value):
    inner = next((part for part in parts_of(hint) if dataclasses.is_dataclass(part)), None)
    if inner is not None:
        return None if value is None else tuple(build(inner, each) for each in value)
    if value is not None or type(None) in typing.get_args(hint):
        return value
    if "Timedelta" in str(hint):
        return timedelta(milliseconds=-1)
    return next(candidate for name, candidate in HARMLESS.items() if name in str(hint))


def parts_of(hint):
    """The hint and everything inside it: `tuple[Topic, ...] | None` has a Topic in it."""
    yield hint
    for part in typing.get_args(hint):
        yield from parts_of(part)


HARMLESS = {"tuple": (), "bool": False, "UUID": None, "bytes": b"", "str": "", "Name": "", "GroupId": "", "i": -1}


def member(node):
    """A member alone in the group `billing`, which is Stable; returns its id."""
    values = {
        "group_id": "billing",
        "member_id": "",
        "session_timeout": timedelta(seconds=10),
        "rebalance_timeout": timedelta(seconds=10),
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": SUBSCRIPTION}],
    }
    member_id = node.ask(11, 9, **values).member_id
    node.ask(11, 9, **values | {"member_id": member_id})
    share = [{"member_id": member_id, "assignment": b"everything"}]
    names = {"protocol_type": "consumer", "protocol_name": "range"}
    node.ask(14, 5, group_id="billing", generation_id=1, member_id=member_id, assignments=share, **names)
    return member_id


def code(value):
    return ErrorCode(int(value))


@pytest.fixture
def node():
    return Node()


@pytest.mark.parametrize(("key", "version"), EVERY_VERSION)
def test_every_version_answers_a_request_about_nothing(node, key, version):
    node.ask(key, version, groups=[] if key == 9 else ("nothing",), topics=[], members=[], protocols=[], assignments=[])


@pytest.mark.parametrize("version", range(10))
def test_join_in_every_version(node, version):
    values = {
        "group_id": "billing",
        "session_timeout": timedelta(seconds=10),
        "rebalance_timeout": timedelta(seconds=20),
        "protocol_type": "consumer",
        "protocols": [{"name": "range", "metadata": SUBSCRIPTION}],
    }
    joined = node.ask(11, version, member_id="", **values)
    if version >= 4:
        assert code(joined.error_code) is ErrorCode.MEMBER_ID_REQUIRED
        assert joined.protocol_name == ("" if version < 7 else None)
        joined = node.ask(11, version, member_id=joined.member_id, **values)
    assert (joined.generation_id, joined.protocol_name, joined.leader) == (1, "range", joined.member_id)
    assert [each.metadata for each in joined.members] == [SUBSCRIPTION]
    # Version 0 has no rebalance timeout: the session's is taken.
    (stored,) = node.groups.machine.groups["billing"].members.values()
    assert stored.rebalance_timeout_ms == (20_000 if version else 10_000)


@pytest.mark.parametrize("version", range(6))
def test_sync_in_every_version(node, version):
    member_id = member(node)
    values = {"group_id": "billing", "generation_id": 1, "member_id": member_id, "assignments": []}
    names = {"protocol_type": "consumer", "protocol_name": "range"}
    assert node.ask(14, version, **values, **names).assignment == b"everything"
    unnamed = node.ask(14, version, **values)
    expected = ErrorCode.INCONSISTENT_GROUP_PROTOCOL if version >= 5 else ErrorCode.NONE
    assert code(unnamed.error_code) is expected


@pytest.mark.parametrize("version", range(5))
def test_heartbeat_in_every_version(node, version):
    member_id = member(node)
    values = {"group_id": "billing", "member_id": member_id}
    assert code(node.ask(12, version, generation_id=1, **values).error_code) is ErrorCode.NONE
    assert code(node.ask(12, version, generation_id=9, **values).error_code) is ErrorCode.ILLEGAL_GENERATION


@pytest.mark.parametrize("version", range(6))
def test_leave_in_every_version(node, version):
    member_id = member(node)
    values = {"group_id": "billing", "member_id": member_id, "members": [{"member_id": member_id}]}
    assert code(node.ask(13, version, **values).error_code) is ErrorCode.NONE
    again = node.ask(13, version, **values)
    error = again.members[0].error_code if version >= 3 else again.error_code
    assert code(error) is ErrorCode.UNKNOWN_MEMBER_ID


def topics_of(version, first_with_ids, partitions):
    known = {"topic_id": ORDERS.id} if version >= first_with_ids else {"name": "orders"}
    unknown = {"topic_id": UUID(int=9)} if version >= first_with_ids else {"name": "unknown"}
    return [{**known, **partitions}, {**unknown, **partitions}]


@pytest.mark.parametrize("version", range(2, 11))
def test_commit_in_every_version(node, version):
    partitions = {"partitions": [{"partition_index": i, "committed_offset": 40 + i} for i in (0, 1, 2)]}
    topics = topics_of(version, 10, partitions)
    answer = node.ask(8, version, group_id="billing", generation_id_or_member_epoch=-1, member_id="", topics=topics)
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    codes = [[code(each.error_code) for each in topic.partitions] for topic in answer.topics]
    assert codes == [
        [ErrorCode.NONE, ErrorCode.NONE, missing],
        [ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else missing] * 3,
    ]
    stored = node.groups.machine.offsets.get("billing", "orders", 1)
    assert (stored.offset, stored.topic_id) == (41, ORDERS.id)
    assert node.groups.machine.offsets.get("billing", "orders", 2) is None


@pytest.mark.parametrize(("version", "error"), [(8, ErrorCode.ILLEGAL_GENERATION), (9, ErrorCode.GROUP_ID_NOT_FOUND)])
def test_a_refused_commit_says_so_for_every_partition(node, version, error):
    topics = [{"name": "orders", "partitions": [{"partition_index": i, "committed_offset": 1} for i in (0, 1)]}]
    answer = node.ask(8, version, group_id="nothing", generation_id_or_member_epoch=4, member_id="m", topics=topics)
    assert [code(each.error_code) for each in answer.topics[0].partitions] == [error, error]


@pytest.mark.parametrize("version", range(1, 11))
def test_fetch_in_every_version(node, version):
    committed = [{"name": "orders", "partitions": [{"partition_index": 1, "committed_offset": 41}]}]
    node.ask(8, 9, group_id="billing", generation_id_or_member_epoch=-1, member_id="", topics=committed)
    topics = topics_of(version, 10, {"partition_indexes": (0, 1)})
    asked = {"group_id": "billing", "topics": topics}
    answer = node.ask(9, version, **({"groups": [asked]} if version >= 8 else asked))
    group = answer.groups[0] if version >= 8 else answer
    assert [[each.committed_offset for each in topic.partitions] for topic in group.topics] == [[-1, 41], [-1, -1]]
    codes = {code(each.error_code) for each in group.topics[1].partitions}
    assert codes == {ErrorCode.UNKNOWN_TOPIC_ID if version >= 10 else ErrorCode.NONE}


@pytest.mark.parametrize("version", range(1, 11))
def test_what_was_committed_for_an_older_topic_of_the_same_name_is_not_fetched(node, version):
    older = OffsetToCommit("orders", UUID(int=5), 1, 41, -1, None)
    asyncio.run(node.groups.run("billing", OffsetCommit("billing", -1, "", None, (older,))))
    asked = {"group_id": "billing", "topics": topics_of(version, 10, {"partition_indexes": (1,)})[:1]}
    answer = node.ask(9, version, **({"groups": [asked]} if version >= 8 else asked))
    group = answer.groups[0] if version >= 8 else answer
    assert [each.committed_offset for each in group.topics[0].partitions] == [-1]


@pytest.mark.parametrize("version", range(2, 11))
def test_fetch_of_everything(node, version):
    committed = [{"name": "orders", "partitions": [{"partition_index": 1, "committed_offset": 41}]}]
    node.ask(8, 9, group_id="billing", generation_id_or_member_epoch=-1, member_id="", topics=committed)
    asked = [{"group_id": group_id, "topics": None} for group_id in ("billing", "nothing")]
    answer = node.ask(9, version, **({"groups": asked} if version >= 8 else asked[0]))
    groups = answer.groups if version >= 8 else (answer,)
    if version >= 8:
        assert [group.group_id for group in groups] == ["billing", "nothing"]
    (topic,) = groups[0].topics
    assert (topic.topic_id == ORDERS.id) if version >= 10 else (topic.name == "orders")
    assert [each.committed_offset for each in topic.partitions] == [41]
    assert all(group.topics == () for group in groups[1:])


@pytest.mark.parametrize("version", range(7))
def test_describe_in_every_version(node, version):
    member_id = member(node)
    answer = node.ask(15, version, groups=("billing", "nothing"), include_authorized_operations=True)
    known, unknown = answer.groups
    assert (known.group_state, known.protocol_data) == ("Stable", "range")
    assert [(each.member_id, each.member_assignment) for each in known.members] == [(member_id, b"everything")]
    assert unknown.group_state == "Dead"
    assert code(unknown.error_code) is (ErrorCode.GROUP_ID_NOT_FOUND if version >= 6 else ErrorCode.NONE)
    if version >= 3:
        # READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS
        assert known.authorized_operations == 0b1101_0100_1000


@pytest.mark.parametrize("version", range(6))
def test_list_in_every_version(node, version):
    member(node)
    (group,) = node.ask(16, version, states_filter=("Stable",), types_filter=("classic",)).groups
    assert (group.group_id, group.protocol_type) == ("billing", "consumer")
    if version >= 4:
        assert group.group_state == "Stable"
        assert node.ask(16, version, states_filter=("Empty",), types_filter=()).groups == ()


@pytest.mark.parametrize("version", range(3))
def test_delete_in_every_version(node, version):
    member(node)
    results = node.ask(42, version, groups_names=("billing", "nothing", "billing")).results
    assert {each.group_id: code(each.error_code) for each in results} == {
        "billing": ErrorCode.NON_EMPTY_GROUP,
        "nothing": ErrorCode.GROUP_ID_NOT_FOUND,
    }


def join_consumer(node, version, **changes):
    values = {
        "group_id": "modern",
        "member_id": "m",
        "member_epoch": 0,
        "rebalance_timeout": timedelta(seconds=10),
        "subscribed_topic_names": ("orders",),
        "topic_partitions": (),
    }
    return node.ask(68, version, **values | changes)


@pytest.mark.parametrize("version", range(2))
def test_consumer_heartbeat_in_every_version(node, version):
    joined = join_consumer(node, version)
    assert (joined.member_id, joined.member_epoch, joined.heartbeat_interval) == ("m", 2, timedelta(seconds=5))
    (topic,) = joined.assignment.topic_partitions
    assert topic.partitions == (0, 1, 2)
    values = {"group_id": "modern", "member_id": "m"}
    again = node.ask(68, version, member_epoch=2, **values)
    assert (code(again.error_code), again.assignment) == (ErrorCode.NONE, None)
    refused = node.ask(68, version, member_epoch=7, **values)
    assert code(refused.error_code) is ErrorCode.FENCED_MEMBER_EPOCH
    assert "must abandon all its partitions" in refused.error_message
    assert node.ask(68, version, member_epoch=-1, **values).member_epoch == -1


def test_a_member_chooses_its_own_id_from_version_1_on(node):
    assert len(join_consumer(node, 0, member_id="").member_id) == 22
    refused = join_consumer(node, 1, member_id="")
    assert code(refused.error_code) is ErrorCode.INVALID_REQUEST


def test_a_regular_expression_comes_with_version_1(node):
    join_consumer(node, 1, subscribed_topic_names=None, subscribed_topic_regex="ord.*")
    assert node.groups.machine.consumer_groups["modern"].members["m"].topic_regex == "ord.*"


@pytest.mark.parametrize("version", range(2))
def test_consumer_describe_in_every_version(node, version):
    join_consumer(node, 0, server_assignor="range", rack_id="r")
    member(node)
    answer = node.ask(69, version, group_ids=("modern", "billing", "nothing"), include_authorized_operations=True)
    known, classic, unknown = answer.groups
    assert (known.group_state, known.group_epoch, known.assignment_epoch) == ("Stable", 2, 2)
    assert (known.assignor_name, known.authorized_operations) == ("range", 0b1101_0100_1000)
    (described,) = known.members
    assert (described.member_id, described.rack_id, described.subscribed_topic_names) == ("m", "r", ("orders",))
    (topic,) = described.assignment.topic_partitions
    assert (topic.topic_name, topic.partitions) == ("orders", (0, 1, 2))
    assert described.target_assignment == described.assignment
    if version >= 1:
        assert described.member_type == 1
    for missing, words in ((classic, "is not a consumer group"), (unknown, "not found")):
        assert code(missing.error_code) is ErrorCode.GROUP_ID_NOT_FOUND
        assert words in missing.error_message


@pytest.mark.parametrize("version", range(9, 11))
def test_a_member_fetches_offsets_in_its_epoch(node, version):
    join_consumer(node, 1)
    asked = {"group_id": "modern", "member_id": "m", "topics": None}
    for epoch, error in ((2, ErrorCode.NONE), (1, ErrorCode.STALE_MEMBER_EPOCH)):
        (group,) = node.ask(9, version, groups=[asked | {"member_epoch": epoch}]).groups
        assert code(group.error_code) is error


@pytest.mark.parametrize("switched_off", ["feature", "protocol"])
@pytest.mark.parametrize("key", [68, 69])
def test_the_consumer_protocol_can_be_switched_off(node, key, switched_off):
    if switched_off == "feature":
        node.features["group.version"] = 0
    else:
        node.rebalance_protocols = ("classic",)
    answer = node.ask(key, 0, group_ids=("modern",))
    refused = answer if key == 68 else answer.groups[0]
    assert code(refused.error_code) is ErrorCode.UNSUPPORTED_VERSION


def test_offset_delete(node):
    member(node)
    topics = [{"name": name, "partitions": [{"partition_index": i} for i in (0, 5)]} for name in ("orders", "unknown")]
    answer = node.ask(47, 0, group_id="billing", topics=topics)
    missing = ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
    codes = [[code(each.error_code) for each in topic.partitions] for topic in answer.topics]
    assert codes == [[ErrorCode.GROUP_SUBSCRIBED_TO_TOPIC, missing], [missing, missing]]
    assert code(node.ask(47, 0, group_id="nothing", topics=[]).error_code) is ErrorCode.GROUP_ID_NOT_FOUND


async def turns_of(node, key, request):
    """How often something else had its turn while `request` was handled; and the answer."""
    context = RequestContext(0, 1, "client", "/127.0.0.1", "PLAINTEXT", ("127.0.0.1", 9092), next(node.tokens))
    handled = asyncio.ensure_future(ROUTES[key].handle(node.shell, request, context))
    turns = 0
    while not handled.done():
        await asyncio.sleep(0)
        turns += 1
    return turns, handled.result()


def commit_for(node, group_ids, partitions):
    for group_id in group_ids:
        offsets = tuple(OffsetToCommit("orders", ORDERS.id, partition, 1, 0, "") for partition in partitions)
        asyncio.run(node.groups.run(group_id, OffsetCommit(group_id, -1, "", None, offsets)))


def test_others_have_their_turn_while_groups_are_deleted():
    node = Node()
    commit_for(node, ["one", "two"], range(10_000))
    turns, answer = asyncio.run(turns_of(node, 42, SimpleNamespace(groups_names=("one", "two", "one"))))
    assert answer == {"results": [{"group_id": each, "error_code": 0} for each in ("one", "two")]}
    assert turns > 5
    assert not list(node.groups.machine.offsets.everything())


def test_others_have_their_turn_while_offsets_are_deleted():
    node = Node()
    partitions = range(10_000)
    node.shell.metadata.machine.image.topics["orders"] = SimpleNamespace(name="orders", partitions=partitions)
    commit_for(node, ["one"], partitions)
    batches = []
    decide = node.groups.machine.decide

    def decide_and_count(request, now):
        decision = decide(request, now)
        batches.append(sum(len(encode_record(record)[0]) for record in decision.records))
        return decision

    node.groups.machine.decide = decide_and_count
    asked = [SimpleNamespace(partition_index=each) for each in (*partitions, 10_000)]
    request = SimpleNamespace(group_id="one", topics=[SimpleNamespace(name="orders", partitions=asked)])
    turns, answer = asyncio.run(turns_of(node, 47, request))
    (topic,) = answer["topics"]
    codes = [each["error_code"] for each in topic["partitions"]]
    assert codes == [*10_000 * [ErrorCode.NONE], ErrorCode.UNKNOWN_TOPIC_OR_PARTITION]
    assert (turns > 5, max(batches) < 50_000) == (True, True)
    assert not list(node.groups.machine.offsets.everything())


def test_a_group_is_asked_though_no_offset_is_to_be_deleted():
    node = Node()
    request = SimpleNamespace(group_id="nothing", topics=[])
    _, answer = asyncio.run(turns_of(node, 47, request))
    assert answer == {"error_code": ErrorCode.GROUP_ID_NOT_FOUND, "topics": []}
