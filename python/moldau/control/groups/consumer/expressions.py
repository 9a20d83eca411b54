"""Subscriptions by regular expression: when they are resolved, and what follows.

The coordinator matches, not the client: a member brings an expression, and the group remembers, durably, which topics
it stood for when it was last looked at. Looking is an event of its own, ordered for "now" by the heartbeat that
found it due, so that no member waits for it; the topics come with a later heartbeat.
Source: GroupMetadataManager.maybeUpdateRegularExpressions of Apache Kafka 4.3, KIP-848.
"""

from __future__ import annotations

import enum
from typing import Final

from moldau.control.access.authorizer import Client
from moldau.control.groups.consumer.change import Change
from moldau.control.groups.consumer.cluster import metadata_hash
from moldau.control.groups.consumer.member import ConsumerMember
from moldau.control.groups.consumer.records import RegularExpressionRecord, RegularExpressionValue
from moldau.control.groups.requests import ExpressionsToResolve
from moldau.errors import ApiError, ErrorCode

LOOKS_APART_MS: Final = 10_000
"""However many members and topics come, a group looks no more often than this."""


class Expression(enum.Enum):
    """What a heartbeat has done to the expression of its member."""

    SAME = enum.auto()
    CHANGED = enum.auto()
    """Its topics are not known yet: the group epoch goes up when they are."""
    CHANGED_AND_KNOWN = enum.auto()


def update_expression(
    change: Change, former: ConsumerMember | None, member: ConsumerMember, client: Client | None
) -> Expression:
    """Take back an expression that nobody needs any more, order a look at those that are due for one, with the eyes of
    `client`.

    Raises:
        ApiError: INVALID_REGULAR_EXPRESSION.
    """
    group = change.group
    old = (former.topic_regex if former is not None else None) or None
    new = member.topic_regex or None
    outcome = Expression.SAME
    if old != new:
        outcome = Expression.CHANGED
        if old is not None and group.subscribers_of(old) == 1:
            change.turn.write(RegularExpressionRecord(group.group_id, old, None))
        if new is None:
            outcome = Expression.CHANGED_AND_KNOWN
        elif group.subscribers_of(new) == 0:
            _check(change, new)
        elif new in group.resolved:
            outcome = Expression.CHANGED_AND_KNOWN
    wanted = {name for name, count in group.expressions.items() if not (name == old and count == 1)}
    if new is not None:
        wanted.add(new)
    if wanted and _is_due(change, wanted):
        event = ExpressionsToResolve(group.group_id, client)
        change.turn.schedule(("expressions", group.group_id), change.turn.steady_ms, event)
    return outcome


def resolve_expressions(change: Change, client: Client | None) -> None:
    """Match every expression of the group against all topics that `client` may describe; if that gives other topics,
    the group is another one.
    """
    group, cluster = change.group, change.cluster
    found = {name: cluster.topics_matching(name, client) for name in group.expressions}
    for name, topics in found.items():
        value = RegularExpressionValue(tuple(sorted(topics)), cluster.version, change.turn.wall_ms)
        change.turn.write(RegularExpressionRecord(group.group_id, name, value))
    known = {name: group.resolved[name].topics for name in found if name in group.resolved}
    differ = any(topics != known.get(name, frozenset()) for name, topics in found.items())
    names = {name for member in group.members.values() for name in member.topic_names}
    change.raise_epoch(metadata_hash(cluster, names.union(*found.values())), bump=differ)


def _is_due(change: Change, wanted: set[str]) -> bool:
    group = change.group
    last = next(iter(group.resolved.values()), None)
    if last is None:
        return True
    # Less than nothing: the clock has been set back since, and nobody shall wait until it is there again.
    since_ms = change.turn.wall_ms - last.timestamp_ms
    if 0 <= since_ms <= LOOKS_APART_MS:
        return False
    return (
        wanted != group.resolved.keys()
        or last.version < change.cluster.version_of_new_topics
        or not 0 <= since_ms <= change.turn.settings.expressions_refresh_interval_ms
    )


def _check(change: Change, expression: str) -> None:
    problem = change.cluster.problem_with(expression)
    if problem is not None:
        raise ApiError(
            ErrorCode.INVALID_REGULAR_EXPRESSION,
            f"SubscribedTopicRegex `{expression}` is not a valid regular expression: {problem}",
        )
