"""Groups of the protocols that are not served here (share, streams), as far as a log that Kafka wrote shows them.

Their members and assignments are not served here, but they must not be trampled on: a group id belongs to one
protocol at a time. So their records are remembered by key; a classic join is refused while such a group has members,
and takes an empty one over by taking back its records, as Kafka does.
"""

from __future__ import annotations

from typing import Final

from moldau.control.groups.records import GROUP_DECLARATIONS, OtherRecord
from moldau.control.groups.responses import ListedGroup

MEMBER_RECORDS: Final = {10, 19}
"""ShareGroupMemberMetadata, StreamsGroupMemberMetadata."""
PROTOCOL_TYPES: Final = {"Share": "share", "Streams": "streams"}


class OtherGroups:
    """Group id to the keys that are in the log for it, each with its record type."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[bytes, int]] = {}

    def apply(self, record: OtherRecord) -> None:
        keys = self._groups.setdefault(record.group, {})
        if record.value is None:
            keys.pop(record.key, None)
        else:
            keys[record.key] = record.record_type
        if not keys:
            del self._groups[record.group]

    def type_of(self, group_id: str) -> str | None:
        """Kafka's name of the group's type; None when no such protocol claims the group id."""
        keys = self._groups.get(group_id)
        if keys is None:
            return None
        return next((GROUP_DECLARATIONS[type_] for type_ in keys.values() if type_ in GROUP_DECLARATIONS), None)

    def has_members(self, group_id: str) -> bool:
        return any(type_ in MEMBER_RECORDS for type_ in self._groups.get(group_id, {}).values())

    def tombstones(self, group_id: str) -> list[OtherRecord]:
        """The records that end the group; last the one that says that there is none."""
        keys = sorted(self._groups.get(group_id, {}).items(), key=lambda each: each[1] in GROUP_DECLARATIONS)
        return [OtherRecord(type_, group_id, key, None) for key, type_ in keys]

    def listed(self) -> list[ListedGroup]:
        listed = []
        for group_id in self._groups:
            group_type = self.type_of(group_id)
            if group_type is not None:
                state = "Unknown" if self.has_members(group_id) else "Empty"
                listed.append(ListedGroup(group_id, PROTOCOL_TYPES[group_type], state, group_type))
        return listed
