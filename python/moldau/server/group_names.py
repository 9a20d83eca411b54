"""What a group may be called. Kafka looks at the name before it looks for a coordinator, for some requests only."""

from __future__ import annotations

from moldau.errors import ApiError, ErrorCode


def check_named(group_id: str) -> None:
    """Refuse a group without a name.

    Raises:
        ApiError: INVALID_GROUP_ID.
    """
    if not group_id:
        raise ApiError(ErrorCode.INVALID_GROUP_ID, "the group id is empty")
