"""The messages of PostgreSQL's `pgoutput` plugin, protocol version 1, from bytes to tuples of raw column texts.

What a column's text means is said elsewhere (`types.py`); a relation is named by its OID as in the message. The format
is that of the manual's "Logical Replication Message Formats". A message that is torn, too long or of an unknown kind is
a `PgOutputError` that says where: nothing is guessed, no length is trusted before it is checked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct, error
from typing import Final, TypeAlias

from moldau.connect.connectors.postgres.errors import PostgresError

# Microseconds between 1970 and 2000, the epoch of PostgreSQL.
POSTGRES_EPOCH_US: Final = 946_684_800_000_000


class PgOutputError(PostgresError):
    """A message of the replication stream is not what the protocol says."""


class _Unchanged:
    """Stands for a TOASTed value that an update did not touch and that PostgreSQL therefore did not send."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNCHANGED"


UNCHANGED: Final = _Unchanged()

# A column as it arrives: its text, NULL, or not sent at all.
RawColumn: TypeAlias = "bytes | _Unchanged | None"
RawRow: TypeAlias = "list[RawColumn]"


@dataclass(frozen=True, slots=True)
class Begin:
    """A transaction starts; all messages up to its `Commit` belong to it. `commit_us` counts from 1970."""

    final_lsn: int
    commit_us: int
    xid: int


@dataclass(frozen=True, slots=True)
class Commit:
    commit_lsn: int
    end_lsn: int
    commit_us: int


@dataclass(frozen=True, slots=True)
class Origin:
    lsn: int
    name: str


@dataclass(frozen=True, slots=True)
class RelationColumn:
    name: str
    type_oid: int
    type_modifier: int
    in_identity: bool


@dataclass(frozen=True, slots=True)
class Relation:
    """What a table looks like for the rows that follow. `replica_identity` is d, n, f or i as in `pg_class`."""

    oid: int
    schema: str
    table: str
    replica_identity: str
    columns: tuple[RelationColumn, ...]


@dataclass(frozen=True, slots=True)
class TypeName:
    oid: int
    schema: str
    name: str


@dataclass(slots=True)
class Insert:
    relation: int
    new: RawRow


@dataclass(slots=True)
class Update:
    """`old` is the whole old row (identity FULL), the old key with NULL elsewhere (`only_key`), or None."""

    relation: int
    old: RawRow | None
    only_key: bool
    new: RawRow


@dataclass(slots=True)
class Delete:
    relation: int
    old: RawRow
    only_key: bool


@dataclass(frozen=True, slots=True)
class Truncate:
    relations: tuple[int, ...]
    cascade: bool
    restart_identity: bool


@dataclass(frozen=True, slots=True)
class LogicalMessage:
    transactional: bool
    lsn: int
    prefix: str
    content: bytes


Message = Begin | Commit | Origin | Relation | TypeName | Insert | Update | Delete | Truncate | LogicalMessage

_BEGIN = Struct(">qqI")
_COMMIT = Struct(">Bqqq")
_INT16 = Struct(">h")
_INT32 = Struct(">i")
_UINT32 = Struct(">I")
_INT64 = Struct(">q")
_COLUMN = Struct(">Ii")
_TRUNCATE = Struct(">iB")
_MESSAGE = Struct(">Bq")
_LENGTH_AT = Struct(">i").unpack_from
_OID_AT = Struct(">I").unpack_from
_COUNT_AT = Struct(">h").unpack_from

_TEXT, _NULL, _NOT_SENT, _BINARY = b"tnub"
_NEW, _OLD, _KEY = b"NOK"


def decode(data: bytes) -> Message:
    """One message. Raises `PgOutputError` when it is not one, with its kind, its length and where it breaks."""
    kind = data[:1]
    reader = _READERS.get(kind)
    if reader is None:
        raise PgOutputError(
            f"a message of the replication stream has the unknown kind {kind!r} ({len(data)} bytes)",
            hint="the stream is read with pgoutput, protocol version 1; is another plugin's slot named in slot.name?",
        )
    try:
        return reader(data)
    except (error, IndexError, UnicodeDecodeError) as why:
        raise _broken(data, f"it ends early or is no text: {why}") from why


def _broken(data: bytes, why: str) -> PgOutputError:
    return PgOutputError(
        f"a {data[:1].decode()!r} message of {len(data)} bytes in the replication stream is broken: {why}"
    )


def _whole(data: bytes, position: int) -> None:
    if position != len(data):
        raise _broken(data, f"its parts end at byte {position}")


def _row(data: bytes, position: int) -> tuple[RawRow, int]:
    """The columns of a tuple. Where it ends is checked by the caller: a slice past the end is then seen as well."""
    count = _COUNT_AT(data, position)[0]
    position += 2
    row: RawRow = []
    add = row.append
    for _ in range(count):
        kind = data[position]
        if kind == _TEXT:
            start = position + 5
            length = _LENGTH_AT(data, position + 1)[0]
            if length < 0:
                raise _broken(data, f"a column at byte {position} has the length {length}")
            position = start + length
            add(data[start:position])
        elif kind == _NULL:
            position += 1
            add(None)
        elif kind == _NOT_SENT:
            position += 1
            add(UNCHANGED)
        else:
            what = "a binary value, which was not asked for" if kind == _BINARY else f"the kind {kind:#04x}"
            raise _broken(data, f"a column at byte {position} has {what}")
    return row, position


def _text(data: bytes, position: int) -> tuple[str, int]:
    end = data.find(b"\0", position)
    if end < 0:
        raise _broken(data, f"a name at byte {position} does not end")
    return data[position:end].decode(), end + 1


def _begin(data: bytes) -> Begin:
    _whole(data, 21)
    final_lsn, committed, xid = _BEGIN.unpack_from(data, 1)
    return Begin(final_lsn, committed + POSTGRES_EPOCH_US, xid)


def _commit(data: bytes) -> Commit:
    _whole(data, 26)
    _, commit_lsn, end_lsn, committed = _COMMIT.unpack_from(data, 1)
    return Commit(commit_lsn, end_lsn, committed + POSTGRES_EPOCH_US)


def _origin(data: bytes) -> Origin:
    (lsn,) = _INT64.unpack_from(data, 1)
    name, end = _text(data, 9)
    _whole(data, end)
    return Origin(lsn, name)


def _relation(data: bytes) -> Relation:
    (oid,) = _UINT32.unpack_from(data, 1)
    schema, position = _text(data, 5)
    table, position = _text(data, position)
    identity = chr(data[position])
    (count,) = _INT16.unpack_from(data, position + 1)
    position += 3
    columns = []
    for _ in range(count):
        flags = data[position]
        name, position = _text(data, position + 1)
        type_oid, modifier = _COLUMN.unpack_from(data, position)
        position += 8
        columns.append(RelationColumn(name, type_oid, modifier, bool(flags & 1)))
    _whole(data, position)
    # An empty name stands for pg_catalog (manual, "Relation").
    return Relation(oid, schema or "pg_catalog", table, identity, tuple(columns))


def _type(data: bytes) -> TypeName:
    (oid,) = _UINT32.unpack_from(data, 1)
    schema, position = _text(data, 5)
    name, position = _text(data, position)
    _whole(data, position)
    return TypeName(oid, schema or "pg_catalog", name)


def _insert(data: bytes) -> Insert:
    if data[5] != _NEW:
        raise _broken(data, f"a new row was expected at byte 5, not {data[5]:#04x}")
    row, end = _row(data, 6)
    if end != len(data):
        _whole(data, end)
    return Insert(_OID_AT(data, 1)[0], row)


def _update(data: bytes) -> Update:
    old: RawRow | None = None
    kind, position = data[5], 5
    if kind in (_KEY, _OLD):
        old, position = _row(data, 6)
    if data[position] != _NEW:
        raise _broken(data, f"a new row was expected at byte {position}, not {data[position]:#04x}")
    new, end = _row(data, position + 1)
    if end != len(data):
        _whole(data, end)
    return Update(_OID_AT(data, 1)[0], old, kind == _KEY, new)


def _delete(data: bytes) -> Delete:
    kind = data[5]
    if kind not in (_KEY, _OLD):
        raise _broken(data, f"an old row or key was expected at byte 5, not {kind:#04x}")
    old, end = _row(data, 6)
    _whole(data, end)
    return Delete(_OID_AT(data, 1)[0], old, kind == _KEY)


def _truncate(data: bytes) -> Truncate:
    count, options = _TRUNCATE.unpack_from(data, 1)
    _whole(data, 6 + 4 * count)
    relations = tuple(_OID_AT(data, 6 + 4 * index)[0] for index in range(count))
    return Truncate(relations, bool(options & 1), bool(options & 2))


def _message(data: bytes) -> LogicalMessage:
    flags, lsn = _MESSAGE.unpack_from(data, 1)
    prefix, position = _text(data, 10)
    (length,) = _INT32.unpack_from(data, position)
    _whole(data, position + 4 + length)
    return LogicalMessage(bool(flags & 1), lsn, prefix, data[position + 4 :])


_READERS: Final[dict[bytes, Callable[[bytes], Message]]] = {
    b"B": _begin,
    b"C": _commit,
    b"D": _delete,
    b"I": _insert,
    b"M": _message,
    b"O": _origin,
    b"R": _relation,
    b"T": _truncate,
    b"U": _update,
    b"Y": _type,
}
