"""What a broker remembers of what we read from it, so that it need not be told with each Fetch. (KIP-227)

The first Fetch names all partitions, and its answer may bring the number of a session. From then on a Fetch names what
is not as the last one said, and its answer has only partitions of which there is something to say. Whoever loses count
begins anew: the broker forgets the old session when a Fetch with its number and the epoch 0 comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from moldau.client.fetching.reading import Reading
from moldau.client.protocol.partitions import Partition
from moldau.errors import ErrorCode

_NO_SESSION: Final = 0
_FULL: Final = 0
_EPOCH_MAX: Final = 2**31 - 1


class Wanted(NamedTuple):
    """From where on a partition is read, and under which leader."""

    offset: int
    leader_epoch: int
    reading: Reading
    """Who reads it. One that has just begun knows nothing of what the broker has said before."""


class Asked(NamedTuple):
    """What a Fetch has to say."""

    session_id: int
    session_epoch: int
    changed: Mapping[Partition, Wanted]
    forgotten: tuple[Partition, ...]


class FetchSession:
    """The session with one broker, which is asked for one thing at a time."""

    def __init__(self) -> None:
        self._id = _NO_SESSION
        self._epoch = _FULL
        self._remembered: Mapping[Partition, Wanted] = {}
        self.empty_answers = 0
        """How many answers in a row had no records."""

    @property
    def is_full(self) -> bool:
        """Whether the Fetch in flight, or else the next one, names everything; so does its answer then."""
        return self._epoch == _FULL

    def ask(self, wanted: Mapping[Partition, Wanted]) -> Asked:
        """What to say for the broker to read these, and no others."""
        known = self._remembered
        if any(place in known and one.reading is not known[place].reading for place, one in wanted.items()):
            # Of a partition that it remembers it would not tell the end again, however often that is named.
            self._epoch = _FULL
        before = {} if self.is_full else self._remembered
        self._remembered = wanted
        changed = {place: one for place, one in wanted.items() if before.get(place) != one}
        return Asked(self._id, self._epoch, changed, tuple(place for place in before if place not in wanted))

    def answered(self, code: ErrorCode, session_id: int) -> None:
        """What an answer says of the session."""
        if code is not ErrorCode.NONE:
            self._epoch = _FULL
            if code is ErrorCode.FETCH_SESSION_ID_NOT_FOUND:
                self._id = _NO_SESSION
        elif session_id == _NO_SESSION:
            # There is none, or none any more.
            self._id, self._epoch = _NO_SESSION, _FULL
        else:
            self._id, self._epoch = session_id, 1 if self._epoch == _EPOCH_MAX else self._epoch + 1

    def lost(self) -> None:
        """Nobody knows what the broker has heard."""
        self._epoch = _FULL
