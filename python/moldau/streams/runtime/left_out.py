"""Records that the cluster refused and the handler gave up, known again when they come once more."""

from __future__ import annotations

import hashlib
from typing import Final

from moldau.streams.runtime.outcomes import ProductionError

_LEFT_OUT_MAX: Final = 100_000


class LeftOut:
    """What a thread leaves out of its transactions.

    A transaction in which a record failed cannot be committed: the work since the last commit is done again, without
    that record. A thread keeps this beyond its sessions, until the record was left out of a transaction that is
    committed; other commits may come before that one, of tasks that were restored earlier.
    """

    def __init__(self) -> None:
        self.known: dict[bytes, BaseException] = {}
        self._came: set[bytes] = set()
        """Those that were left out of the transaction that is open."""

    def add(self, topic: str, key: bytes | None, value: bytes | None, error: BaseException) -> None:
        """Leave this one out from now on, because of that."""
        if len(self.known) >= _LEFT_OUT_MAX:
            raise ProductionError(
                f"{_LEFT_OUT_MAX:,} records of one transaction after the other were refused by {topic}\n"
                "hint: production.exception.handler leaves them out one by one; mend what refuses them all"
            )
        self.known[_fingerprint(topic, key, value)] = error

    def why(self, topic: str, key: bytes | None, value: bytes | None) -> BaseException | None:
        """Why this one, which has come, is left out; None if it is not."""
        fingerprint = _fingerprint(topic, key, value)
        error = self.known.get(fingerprint)
        if error is not None:
            self._came.add(fingerprint)
        return error

    @property
    def have_come(self) -> bool:
        """Whether there are any, and each was left out of the transaction that is open."""
        return bool(self.known) and len(self._came) == len(self.known)

    def committed(self) -> None:
        """Forget what does not come again."""
        for fingerprint in self._came:
            self.known.pop(fingerprint, None)
        self._came.clear()

    def aborted(self) -> None:
        """Everything comes again."""
        self._came.clear()


def _fingerprint(topic: str, key: bytes | None, value: bytes | None) -> bytes:
    return hashlib.blake2b(repr((topic, key, value)).encode(), digest_size=16).digest()
