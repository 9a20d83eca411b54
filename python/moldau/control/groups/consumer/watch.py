"""The timers of members of consumer groups, and what of them is kept in memory.

A heartbeat moves a deadline and nothing else: the timer that is set fires when the deadline was, sees that it has
moved, and sets itself again. Nothing of this is durable; after a restart every session begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from moldau.control.groups.consumer.cluster import Cluster
from moldau.control.groups.consumer.group import ConsumerGroup
from moldau.control.groups.consumer.member import ConsumerMember, MemberState
from moldau.control.groups.requests import ClassicMemberTimedOut, ConsumerSessionExpired, RevocationTimedOut
from moldau.control.groups.turn import Turn

SESSION: Final = "session"
REVOCATION: Final = "revocation"
CLASSIC_JOIN: Final = "consumer-join"
CLASSIC_SYNC: Final = "consumer-sync"
KINDS: Final = (SESSION, REVOCATION, CLASSIC_JOIN, CLASSIC_SYNC)


@dataclass(slots=True)
class _Session:
    deadline_ms: int
    timeout_ms: int
    timer_at_ms: int | None = None


class Watch:
    """The sessions of every member of every consumer group, and who was told to join again."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._sessions: dict[str, dict[str, _Session]] = {}
        self._must_join: set[tuple[str, str]] = set()

    def renew(self, turn: Turn, group_id: str, member: ConsumerMember) -> None:
        """The member has shown itself."""
        if member.classic is not None:
            timeout_ms = member.classic.session_timeout_ms
        else:
            timeout_ms = self._cluster.session_timeout_ms(group_id)
        deadline_ms = turn.steady_ms + timeout_ms
        sessions = self._sessions.setdefault(group_id, {})
        session = sessions.get(member.member_id)
        if session is None:
            session = sessions[member.member_id] = _Session(deadline_ms, timeout_ms)
        session.deadline_ms, session.timeout_ms = deadline_ms, timeout_ms
        if session.timer_at_ms is None or session.timer_at_ms > deadline_ms:
            self._arm(turn, group_id, member.member_id, session)

    def seen(self, group_id: str, seen_ms: Mapping[str, int]) -> None:
        """Members have shown themselves at these times: nobody's session ends before its timeout from then."""
        sessions = self._sessions.get(group_id, {})
        for member_id, at_ms in seen_ms.items():
            session = sessions.get(member_id)
            if session is not None:
                session.deadline_ms = max(session.deadline_ms, at_ms + session.timeout_ms)

    def session_is_over(self, turn: Turn, event: ConsumerSessionExpired) -> bool:
        """Whether the timer that fired was right; if not, it is set again."""
        session = self._sessions.get(event.group_id, {}).get(event.member_id)
        if session is None:
            return False
        session.timer_at_ms = None
        if session.deadline_ms > turn.steady_ms:
            self._arm(turn, event.group_id, event.member_id, session)
            return False
        return True

    def forget(self, turn: Turn, group_id: str, members: Iterable[str]) -> None:
        sessions = self._sessions.get(group_id, {})
        for member_id in members:
            sessions.pop(member_id, None)
            self._must_join.discard((group_id, member_id))
            for kind in KINDS:
                turn.cancel((kind, group_id, member_id))
        if not sessions:
            self._sessions.pop(group_id, None)

    def begin_anew(self, turn: Turn, group_id: str, group: ConsumerGroup | None) -> None:
        """Nothing that was ordered for this group holds: every member gets a new session. None: there is no group."""
        self.forget(turn, group_id, list(self._sessions.get(group_id, ())))
        for member in [] if group is None else group.members.values():
            self.renew(turn, group_id, member)
            self.watch_revocation(turn, group_id, member)

    def watch_revocation(self, turn: Turn, group_id: str, member: ConsumerMember) -> None:
        """A member of the consumer protocol that must give up partitions has its rebalance timeout to do so."""
        key = (REVOCATION, group_id, member.member_id)
        if member.state is MemberState.UNREVOKED_PARTITIONS and not member.uses_classic_protocol:
            event = RevocationTimedOut(group_id, member.member_id, member.member_epoch)
            turn.schedule(key, turn.steady_ms + member.rebalance_timeout_ms, event)
        else:
            turn.cancel(key)

    # Members that use the classic protocol

    def expect_join(self, turn: Turn, group_id: str, member: ConsumerMember) -> None:
        """It was told to join again; saying so again gives it no more time."""
        who = (group_id, member.member_id)
        if who not in self._must_join:
            self._must_join.add(who)
            turn.schedule(
                (CLASSIC_JOIN, *who), turn.steady_ms + member.rebalance_timeout_ms, ClassicMemberTimedOut(*who)
            )

    def joined(self, turn: Turn, group_id: str, member: ConsumerMember) -> None:
        """It has joined, and must ask for what it owns."""
        who = (group_id, member.member_id)
        self._must_join.discard(who)
        turn.cancel((CLASSIC_JOIN, *who))
        turn.schedule((CLASSIC_SYNC, *who), turn.steady_ms + member.rebalance_timeout_ms, ClassicMemberTimedOut(*who))
        self.renew(turn, group_id, member)

    def synced(self, turn: Turn, group_id: str, member: ConsumerMember) -> None:
        turn.cancel((CLASSIC_SYNC, group_id, member.member_id))
        self.renew(turn, group_id, member)

    def _arm(self, turn: Turn, group_id: str, member_id: str, session: _Session) -> None:
        session.timer_at_ms = session.deadline_ms
        event = ConsumerSessionExpired(group_id, member_id)
        turn.schedule((SESSION, group_id, member_id), session.deadline_ms, event)
