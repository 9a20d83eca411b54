"""Bugs planted on purpose in a worker: they show that the verdict would see such a bug."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any


def commit_before_the_upload() -> None:
    """The sink commits what it has taken, not what is in files that are complete."""
    from moldau.connect.connectors.s3.rotation import PartitionWriter

    def committable(self: Any) -> int | None:
        return self._next_offset  # type: ignore[no-any-return]

    PartitionWriter.committable = committable


def keep_offsets_of_what_is_on_its_way() -> None:
    """The source keeps the offset of what it has sent, not of what has arrived."""
    from moldau.connect.connectors.postgres.acknowledged import Acknowledged
    from moldau.connect.runtime.assembly import Assembly
    from moldau.connect.runtime.submitted import Submitted, SubmittedRecords

    submit, sent, settings = SubmittedRecords.submit, Acknowledged.sent, Assembly._producer_settings

    def lingering(self: Assembly, *of: Any) -> dict[str, Any]:
        # On its way for long enough for a kill to fall in between.
        return {**settings(self, *of), "linger.ms": 1000}

    def acknowledged(self: SubmittedRecords, *where: Any) -> Submitted:
        submitted = submit(self, *where)
        submitted.acknowledged = True
        return submitted

    def arrived(self: Acknowledged, records: Any) -> None:
        sent(self, records)
        for record in records:
            self.arrived(record)

    Assembly._producer_settings = lingering
    SubmittedRecords.submit = acknowledged
    Acknowledged.sent = arrived


def begin_again_at_the_open_file() -> None:
    """After a failure in the middle of a rotation the sink goes on behind the files that are complete."""
    from moldau.connect.connectors.s3.rotation import PartitionWriter

    def restart_offset(self: Any) -> int | None:
        return min((file.start_offset for file in self._open.values()), default=self._next_offset)

    PartitionWriter.restart_offset = restart_offset


def keep_offsets_behind_the_transaction() -> None:
    """Exactly once: the offsets are written when the transaction of the records is committed, not in it."""
    from moldau.connect.runtime.exactly_once_task import ExactlyOnceSourceTask

    commit = ExactlyOnceSourceTask._commit

    def commit_records_first(self: Any) -> None:
        entries = list(self._offsets.values())
        self._offsets.clear()
        commit(self)
        if entries:
            # Long enough for a kill to fall in between.
            time.sleep(0.3)
            self.parts.offsets.put(self.id.connector, entries)

    ExactlyOnceSourceTask._commit = commit_records_first


def send_two_of_a_key_in_the_wrong_order() -> None:
    """Of each batch two records of one key change places, as retries without idempotence make them."""
    from moldau.connect.runtime.source_task import SourceTaskRunner

    send_each = SourceTaskRunner._send_each

    def send_swapped(self: Any, records: Sequence[Any]) -> bool:
        swapped, places = list(records), dict[Any, int]()
        for at, record in enumerate(records):
            first = places.setdefault((record.topic, str(record.key)), at)
            if first != at:
                swapped[first], swapped[at] = swapped[at], swapped[first]
                break
        return send_each(self, swapped)

    SourceTaskRunner._send_each = send_swapped


BUGS = {
    "send-two-of-a-key-in-the-wrong-order": send_two_of_a_key_in_the_wrong_order,
    "keep-offsets-behind-the-transaction": keep_offsets_behind_the_transaction,
    "commit-before-the-upload": commit_before_the_upload,
    "keep-offsets-of-what-is-on-its-way": keep_offsets_of_what_is_on_its_way,
    "begin-again-at-the-open-file": begin_again_at_the_open_file,
}
