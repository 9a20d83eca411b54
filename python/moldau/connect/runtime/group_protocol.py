"""What the workers of a group tell each other, in Kafka's bytes (KIP-415, KIP-507). Pure.

A worker that joins says where it is reached, how far it has read the configurations and, in the protocols that move
only what has to be moved, what it has (`WorkerState`). The leader answers everybody with `Given`. Three protocols are
told apart by their names in JoinGroup; of those that all members know the first one counts:

- `sessioned` (version 2): as the next, and requests between workers are signed;
- `compatible` (1): a worker keeps what it has through a rebalance, until it is revoked;
- `default` (0), the setting `connect.protocol=eager`: everybody stops everything before each rebalance.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from moldau.connect.errors import ConnectError
from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.work import NOTHING, Work

PROTOCOL_TYPE: Final = "connect"
EAGER: Final = "default"
COMPATIBLE: Final = "compatible"
SESSIONED: Final = "sessioned"
OFFERED: Final = {
    "sessioned": (SESSIONED, COMPATIBLE, EAGER),
    "compatible": (COMPATIBLE, EAGER),
    "eager": (EAGER,),
}
"""By the setting `connect.protocol`: what a worker offers, the preferred first."""
CONFIG_MISMATCH: Final = 1
"""The leader knows less of the configurations than a member does: read them, and join again."""
_VERSIONS: Final = {EAGER: 0, COMPATIBLE: 1, SESSIONED: 2}
_THE_CONNECTOR: Final = -1
"""Among the numbers of a connector's tasks: the connector itself."""


class GroupProtocolError(ConnectError):
    """A member of the group says something that is not Kafka Connect's protocol."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a worker gets, or has: `offset` is the one of the configurations for which that was decided.

    In an answer of the leader `assigned` is what comes to what the worker has (in the `default` protocol: all there is
    for it), `revoked` what it has to stop. In what a worker brings `assigned` is all it has.
    """

    error: int
    leader: str
    leader_url: str
    offset: int
    assigned: Work = NOTHING
    revoked: Work = NOTHING
    delay_ms: int = 0
    """After this time the worker shall join again: work is kept back for somebody who may come back."""


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a worker brings."""

    url: str
    offset: int
    has: Given | None = None


def write_state(state: WorkerState, protocol: str) -> bytes:
    """What goes into JoinGroup."""
    content = struct.pack(">h", _VERSIONS[protocol]) + _string(state.url) + struct.pack(">q", state.offset)
    if protocol == EAGER:
        return content
    has = None if state.has is None else write_given(state.has, protocol)
    return content + (struct.pack(">i", -1) if has is None else struct.pack(">i", len(has)) + has)


def read_state(data: bytes) -> WorkerState:
    """What a member brings. Raises GroupProtocolError."""
    reader = _Reader(data)
    reader.version()
    state = WorkerState(reader.string(), reader.number(">q"))
    if reader.at_end:
        return state
    has = reader.data()
    return state if has is None else replace(state, has=read_given(has))


def write_given(given: Given, protocol: str) -> bytes:
    """What goes into SyncGroup."""
    parts = [
        struct.pack(">hh", _VERSIONS[protocol], given.error),
        _string(given.leader),
        _string(given.leader_url),
        struct.pack(">q", given.offset),
        _work(given.assigned),
    ]
    if protocol != EAGER:
        parts += (_work(given.revoked), struct.pack(">i", given.delay_ms))
    return b"".join(parts)


def read_given(data: bytes) -> Given:
    """What the leader says. Raises GroupProtocolError."""
    reader = _Reader(data)
    reader.version()
    given = Given(
        reader.number(">h"),
        reader.string(),
        reader.string(),
        reader.number(">q"),
        NOTHING if reader.at_end else reader.work(),
    )
    if reader.at_end:
        return given
    return replace(given, revoked=reader.work(), delay_ms=0 if reader.at_end else reader.number(">i"))


def _string(text: str) -> bytes:
    content = text.encode()
    return struct.pack(">h", len(content)) + content


def _work(work: Work) -> bytes:
    numbers: dict[str, list[int]] = {name: [_THE_CONNECTOR] for name in sorted(work.connectors)}
    for task in sorted(work.tasks):
        numbers.setdefault(task.connector, []).append(task.task)
    entries = (_string(name) + struct.pack(f">i{len(row)}i", len(row), *row) for name, row in numbers.items())
    return struct.pack(">i", len(numbers)) + b"".join(entries)


class _Reader:
    """Fields one after the other; no length is believed before it is compared with what is there."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        """A later version may have more, an earlier one has less."""
        return self._at >= len(self._data)

    def number(self, kind: str) -> int:
        size = struct.calcsize(kind)
        (value,) = struct.unpack(kind, self._take(size))
        return int(value)

    def version(self) -> None:
        """Whatever comes after the ones that we know begins as they do."""
        version = self.number(">h")
        if version < 0:
            raise GroupProtocolError(f"a worker of the group speaks version {version} of the connect protocol")

    def string(self) -> str:
        content = self._take(self.number(">h"))
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise GroupProtocolError(f"a text of a worker of the group is not UTF-8: {error}") from error

    def data(self) -> bytes | None:
        size = self.number(">i")
        return None if size < 0 else self._take(size)

    def work(self) -> Work:
        connectors: list[str] = []
        tasks: list[TaskId] = []
        for _ in self._count():
            name = self.string()
            for _ in self._count():
                number = self.number(">i")
                if number == _THE_CONNECTOR:
                    connectors.append(name)
                else:
                    tasks.append(TaskId(name, number))
        return Work(frozenset(connectors), frozenset(tasks))

    def _count(self) -> Iterable[int]:
        """Of an array; none is written as -1, and each element takes at least four bytes."""
        return range(max(0, self.number(">i")))

    def _take(self, size: int) -> bytes:
        end = self._at + size
        if size < 0 or end > len(self._data):
            raise GroupProtocolError(
                f"a worker of the group says something that is cut off: {size} bytes at {self._at} of {len(self._data)}"
            )
        taken = self._data[self._at : end]
        self._at = end
        return taken
