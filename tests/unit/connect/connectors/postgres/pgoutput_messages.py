"""Messages of pgoutput as PostgreSQL writes them, for tests of what reads them."""

from __future__ import annotations

from struct import pack

from moldau.connect.connectors.postgres.pgoutput import POSTGRES_EPOCH_US, UNCHANGED, RawRow


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def row(columns: RawRow) -> bytes:
    parts = [pack(">h", len(columns))]
    for column in columns:
        if column is None:
            parts.append(b"n")
        elif column is UNCHANGED:
            parts.append(b"u")
        else:
            parts.append(b"t" + pack(">i", len(column)) + column)
    return b"".join(parts)


def begin(final_lsn: int, commit_us: int, xid: int) -> bytes:
    return b"B" + pack(">qqI", final_lsn, commit_us - POSTGRES_EPOCH_US, xid)


def commit(commit_lsn: int, end_lsn: int, commit_us: int) -> bytes:
    return b"C" + pack(">Bqqq", 0, commit_lsn, end_lsn, commit_us - POSTGRES_EPOCH_US)


def relation(oid: int, schema: str, table: str, identity: str, columns: list[tuple[str, int, int, bool]]) -> bytes:
    parts = [b"R", pack(">I", oid), text(schema), text(table), identity.encode(), pack(">h", len(columns))]
    for name, type_oid, modifier, in_identity in columns:
        parts += [pack(">B", in_identity), text(name), pack(">Ii", type_oid, modifier)]
    return b"".join(parts)


def insert(oid: int, new: RawRow) -> bytes:
    return b"I" + pack(">I", oid) + b"N" + row(new)


def update(oid: int, old: RawRow | None, only_key: bool, new: RawRow) -> bytes:
    before = b"" if old is None else (b"K" if only_key else b"O") + row(old)
    return b"U" + pack(">I", oid) + before + b"N" + row(new)


def delete(oid: int, old: RawRow, only_key: bool) -> bytes:
    return b"D" + pack(">I", oid) + (b"K" if only_key else b"O") + row(old)


def truncate(oids: list[int], options: int) -> bytes:
    return b"T" + pack(">iB", len(oids), options) + b"".join(pack(">I", oid) for oid in oids)


def message(transactional: bool, lsn: int, prefix: str, content: bytes) -> bytes:
    return b"M" + pack(">Bq", transactional, lsn) + text(prefix) + pack(">i", len(content)) + content


def origin(lsn: int, name: str) -> bytes:
    return b"O" + pack(">q", lsn) + text(name)


def type_name(oid: int, schema: str, name: str) -> bytes:
    return b"Y" + pack(">I", oid) + text(schema) + text(name)
