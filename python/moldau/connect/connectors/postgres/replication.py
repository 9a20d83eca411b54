"""One replication slot and the stream that is read from it, on psycopg's `pq` level.

The caller pulls (`receive`), so what is not pulled waits in the server, however large a transaction is; protocol
version 1 hands out transactions whole, in the order of their commits. While the caller is busy a thread of its own
keeps the connection alive. Only what the caller calls `confirm` is ever reported as flushed: the server may forget the
WAL before it. Facts of the protocol: the manual's "Streaming Replication Protocol".
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from struct import Struct
from typing import Final, NamedTuple, TypeAlias

import psycopg

from moldau.connect.connectors.postgres import pgoutput
from moldau.connect.connectors.postgres.connection import (
    Connection,
    Server,
    command,
    format_lsn,
    identifier,
    literal,
    long_command,
    parse_lsn,
    readable,
    rows,
)
from moldau.connect.connectors.postgres.errors import ConnectionLostError, PostgresError, SlotLostError, explained

_LOG = logging.getLogger(__name__)
_HEADER: Final = 25
_WAL_START: Final = Struct(">q").unpack_from
_KEEPALIVE: Final = Struct(">qqB")
_STATUS: Final = Struct(">cqqqqB")
# So many bytes at once, or one message that is larger: what a batch of messages may hold in memory.
RECEIVE_BYTES_MAX: Final = 8 << 20
RELEASED_WITHIN_S: Final = 5.0
WAITS_TOLD_EVERY_S: Final = 30.0
_UNDER_WAY: Final = (
    "SELECT pid, xact_start, state, query FROM pg_stat_activity WHERE backend_xid IS NOT NULL, or pg_prepared_xacts"
)


@dataclass(frozen=True)
class Slot:
    """A row of `pg_replication_slots`."""

    name: str
    plugin: str
    database: str
    active: bool
    confirmed_lsn: int
    restart_lsn: int
    wal_status: str

    @property
    def lost(self) -> bool:
        """Whether WAL that the slot needs is gone (`max_slot_wal_keep_size`)."""
        return self.wal_status == "lost"


class NewSlot(NamedTuple):
    """A slot just created: where it starts, and the snapshot that shows exactly what was committed before."""

    consistent_lsn: int
    snapshot: str


# A piece of WAL as it arrives: a header, in which its position stands, and a message of pgoutput.
WalMessage: TypeAlias = bytes


def split(wal: WalMessage) -> tuple[int, bytes]:
    """The position and the message."""
    return _WAL_START(wal, 1)[0], wal[_HEADER:]


def find_slot(connection: Connection, name: str) -> Slot | None:
    found = rows(
        connection,
        "SELECT plugin, database, active, confirmed_flush_lsn, restart_lsn, wal_status FROM pg_replication_slots"
        " WHERE slot_name = %s",
        (name,),
    )
    if not found:
        return None
    plugin, database, active, confirmed, restart, wal_status = found[0]
    return Slot(
        name,
        plugin or "",
        database or "",
        active,
        parse_lsn(confirmed) if confirmed else 0,
        parse_lsn(restart) if restart else 0,
        wal_status or "",
    )


def create_slot(
    replication: Connection,
    name: str,
    *,
    failover: bool = False,
    temporary: bool = False,
    given_up: Callable[[], bool] = lambda: False,
) -> NewSlot:
    """Creates a slot for `pgoutput`; the snapshot lives until the next command on this connection.

    The server waits until all transactions have ended that are under way: here until that is `given_up`. Raises
    `PostgresError`.
    """
    next_told_s = time.monotonic() + WAITS_TOLD_EVERY_S

    def waits_no_more() -> bool:
        nonlocal next_told_s
        if time.monotonic() >= next_told_s:
            next_told_s += WAITS_TOLD_EVERY_S
            _LOG.warning(
                "The replication slot %s is created when transactions have ended that are under way: %s",
                name,
                _UNDER_WAY,
            )
        return given_up()

    version = replication.info.server_version
    if version >= 150000:
        options = ["SNAPSHOT 'export'"] + (["FAILOVER true"] if failover and version >= 170000 else [])
        how = f"({', '.join(options)})"
    else:
        how = "EXPORT_SNAPSHOT"
    kept = " TEMPORARY" if temporary else ""
    answer = long_command(
        replication,
        f"CREATE_REPLICATION_SLOT {identifier(name)}{kept} LOGICAL pgoutput {how}",
        f"creating the replication slot {name!r}",
        waits_no_more,
    )
    return NewSlot(parse_lsn(answer[1] or "0/0"), answer[2] or "")


def drop_slot(connection: Connection, name: str) -> None:
    """Drops it. Whoever read from it may be gone before the server has noticed: for that it waits a moment."""
    deadline = time.monotonic() + RELEASED_WITHIN_S
    while (slot := find_slot(connection, name)) is not None and slot.active and time.monotonic() < deadline:
        time.sleep(0.05)
    rows(connection, "SELECT pg_drop_replication_slot(%s)", (name,), f"dropping the replication slot {name!r}")


class ReplicationStream:
    """The changes of a slot from `start_lsn` on. Use `receive` from one thread; `confirm` and `close` from any."""

    def __init__(
        self,
        server: Server,
        slot: str,
        publication: str,
        start_lsn: int,
        *,
        parameters: dict[str, str] | None = None,
        status_interval_s: float = 10.0,
        receive_bytes: int = RECEIVE_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.slot = slot
        self.received_lsn = start_lsn
        # The end of the server's WAL as it last said: what is behind is lag.
        self.server_lsn = start_lsn
        # Where it starts is what was handed on, after a reconnect: only `confirm` says what is safe. 0 says nothing.
        self._confirmed_lsn = 0
        self._status_interval_s = status_interval_s
        self._receive_bytes = receive_bytes
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._connection = server.connect_for_replication("stream")
        self._pgconn = self._connection.pgconn
        self._doing = f"reading from the replication slot {slot!r}"
        self._warning: PostgresError | None = None
        self._connection.add_notice_handler(self._noticed)
        try:
            self._start(publication, start_lsn, parameters or {})
        except BaseException:
            self._connection.close()
            raise
        self._socket = self._pgconn.socket
        self._last_status = self._clock()
        self._keeper = threading.Thread(target=self._keep_alive, name=f"postgres {slot} status", daemon=True)
        self._keeper.start()

    def _noticed(self, diagnostic: psycopg.errors.Diagnostic) -> None:
        """PostgreSQL 18 only warns that a publication is gone, and would skip its changes for good."""
        said = diagnostic.message_primary or ""
        if "skipped loading publication" in said:
            self._warning = PostgresError(
                f"{self._doing}: {said}: the publication does not exist at this point of the WAL",
                hint="it was dropped: create it again for the captured tables, or set publication.autocreate.mode;"
                " changes made without it are not in the stream, so take a new snapshot",
            )
        _LOG.warning("PostgreSQL says on slot %s: %s", self.slot, said)

    def _start(self, publication: str, start_lsn: int, parameters: dict[str, str]) -> None:
        options = {"proto_version": "1", "publication_names": identifier(publication), "messages": "true", **parameters}
        if self._connection.info.server_version < 140000:
            del options["messages"]
        told = ", ".join(f"{name} {literal(value)}" for name, value in options.items())
        command(
            self._connection,
            f"START_REPLICATION SLOT {identifier(self.slot)} LOGICAL {format_lsn(start_lsn)} ({told})",
            self._doing,
        )

    def receive(self, limit: int, timeout_s: float) -> list[WalMessage]:
        """Up to `limit` messages; empty when none comes within `timeout_s`. Raises `PostgresError`."""
        messages: list[WalMessage] = []
        size = 0
        deadline = self._clock() + timeout_s
        while True:
            with self._lock:
                size += self._take(messages, limit, self._receive_bytes - size)
            if self._warning is not None:
                raise self._warning
            if messages or self._closed.is_set():
                return messages
            left = deadline - self._clock()
            if left <= 0:
                return messages
            readable(self._socket, left)
            with self._lock:
                self._consume()

    def _take(self, messages: list[WalMessage], limit: int, bytes_max: int) -> int:
        """Moves what libpq has read into `messages`; the number of bytes."""
        get, size, add = self._pgconn.get_copy_data, 0, messages.append
        left = limit - len(messages)
        while left > 0 and size < bytes_max:
            try:
                length, view = get(1)
            except psycopg.Error as error:
                raise self._failure(error) from error
            if length <= 0:
                if length == -1:
                    self._ended()
                if not self._more():
                    break
                continue
            data = bytes(view)
            if data[0] == 0x77:  # w: a piece of WAL
                add(data)
                size += length
                left -= 1
            elif data[0] == 0x6B and len(data) == 18:  # k: a keepalive
                wal_end, _, reply = _KEEPALIVE.unpack_from(data, 1)
                self.server_lsn = max(self.server_lsn, wal_end)
                if not messages:
                    self.received_lsn = max(self.received_lsn, wal_end)
                if reply:
                    self._send_status()
            else:
                raise pgoutput.PgOutputError(f"{self._doing}: a message of the unknown kind {data[:1]!r}")
        if size:
            self.received_lsn = max(self.received_lsn, _WAL_START(messages[-1], 1)[0])
        return size

    def _more(self) -> bool:
        """Reads what the socket holds already; False when it holds nothing."""
        if not readable(self._socket, 0):
            return False
        self._consume()
        return True

    def _consume(self) -> None:
        try:
            self._pgconn.consume_input()
        except psycopg.Error as error:
            raise self._failure(error) from error

    def _ended(self) -> None:
        result = self._pgconn.get_result()
        if result is not None and result.error_message:
            raise self._failure(psycopg.errors.error_from_result(result))
        raise ConnectionLostError(f"{self._doing}: the server has ended the stream")

    def _failure(self, error: psycopg.Error) -> Exception:
        why = explained(error, self._doing)
        if "requested WAL segment" in str(error):
            return SlotLostError(str(why), hint="take a new snapshot (snapshot.mode=when_needed)")
        return why

    def confirm(self, lsn: int) -> None:
        """Everything up to `lsn` is safe with us: the server may forget it. Never goes back. Told at once."""
        with self._lock:
            if lsn <= self._confirmed_lsn or self._closed.is_set():
                return
            self._confirmed_lsn = lsn
            self._send_status()

    def _send_status(self) -> None:
        """Standby status update; the caller holds the lock."""
        lsn = self._confirmed_lsn
        sent_us = time.time_ns() // 1000 - pgoutput.POSTGRES_EPOCH_US
        try:
            self._pgconn.put_copy_data(_STATUS.pack(b"r", max(lsn, self.received_lsn), lsn, lsn, sent_us, 0))
            self._pgconn.flush()
        except psycopg.Error as error:
            raise self._failure(error) from error
        self._last_status = self._clock()

    def _keep_alive(self) -> None:
        while not self._closed.wait(min(self._status_interval_s, 1.0)):
            if self._clock() - self._last_status < self._status_interval_s:
                continue
            try:
                with self._lock:
                    if not self._closed.is_set():
                        self._send_status()
            except Exception:  # noqa: BLE001 - `receive` meets the same broken connection and says so
                return

    def close(self) -> None:
        """Tells the server what is confirmed and ends the stream. Never raises: a connection may be broken already."""
        self._closed.set()
        with self._lock:
            with contextlib.suppress(Exception):
                self._send_status()
            self._connection.close()
        self._keeper.join()
