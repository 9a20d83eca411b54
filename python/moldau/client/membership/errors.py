"""What a group says no with, as exceptions."""

from __future__ import annotations

from moldau.errors import ErrorCode, MoldauError


class GroupError(MoldauError):
    """The group, or the way to it, refuses us; `code` is Kafka's, None when it is not the group that speaks.

    `poll` raises it once. Polling again tries to join again: after a change of rights, or with a free place.
    """

    def __init__(self, message: str, code: ErrorCode | None = None) -> None:
        super().__init__(message)
        self.code = code


class FencedMemberError(GroupError):
    """Another process has come with our `group.instance.id`: this one must not go on, and holds nothing any more."""


class CommitRefusedError(GroupError):
    """The offsets were not committed, because we are not, or not in that generation, a member any more."""


class RebalanceInProgressError(GroupError):
    """The offsets were not committed, because the group is about to divide its work anew; poll, then commit again."""
