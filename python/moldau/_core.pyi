"""The compiled heart: logs on disk, sockets, and the requests that never take the GIL.

Only `moldau.server`, `moldau.client.serdes` for Avro, `moldau.client.fetching` and `moldau.streams` for blocks of
records and `moldau.connect` for rows of PostgreSQL import this module.
One `Core` is one node, opened in two steps so that the metadata log can say which partitions exist before they are
loaded:

    core = Core(directories, durable=True, recovery_threads=2)    # locks the directories
    core.open_metadata_log(settings, now_ms)                      # __cluster_metadata-0, alone
    records = core.read("__cluster_metadata", 0, 0, 1 << 20)      # replayed by the control plane
    core.load_partitions(specs, now_ms)                           # everything else, in parallel
    core.put_broker(...); core.put_topic(...)                     # the cluster image
    endpoints = core.start(server_settings)                       # listeners open, requests arrive

Every method may be called from any thread. Methods that touch a disk release the GIL. Offsets, epochs and ids are
plain integers here; times are milliseconds since the epoch.
"""

from collections.abc import Callable, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Any, Final, final
from uuid import UUID

from moldau.server.core_types import (
    AccessRules,
    AppendOrigin,
    CleanerSettings,
    ClientQuota,
    DirectoryStatus,
    Endpoint,
    FaultKind,
    FutureStatus,
    LoadFailure,
    LogSettings,
    LogStatus,
    MetricFamily,
    PartitionSpec,
    PartitionState,
    ProducerStatus,
    ServerSettings,
    StoredRecord,
)
from moldau.wire.layout import StructLayout

__all__ = [
    "AggregateTable",
    "AvroDecoder",
    "AvroEncoder",
    "AvroError",
    "ChangeStream",
    "ChangeTable",
    "ColumnProgram",
    "ColumnRun",
    "Core",
    "CoreError",
    "Leases",
    "LookupTable",
    "MessageCodec",
    "ProducerBatch",
    "RecordAccumulator",
    "RecordBlock",
    "Request",
    "TopicPattern",
    "decode_batches",
    "decompress",
    "encode_batch",
    "take_log_lines",
    "version",
    "xxh3_64",
]

version: Final[str]
"""Version of the compiled crate; equal to the package's."""

def take_log_lines() -> list[tuple[int, str, str]]:
    """What Rust has logged since the last call, in this whole process: level as in `logging`, logger name, message."""

def xxh3_64(data: bytes) -> int:
    """The XXH3 hash of `data` with seed 0, as a signed 64-bit number."""

@final
class TopicPattern:
    """A regular expression over topic names, in RE2's syntax; it never backtracks."""

    def __new__(cls, expression: str) -> TopicPattern:
        """Compile `expression`.

        Raises:
            ValueError: it is no regular expression, or a compiled one would be larger than a megabyte.
        """
    def matching(self, names: list[str]) -> list[str]:
        """Those of `names` that the expression matches as a whole, in their order."""

def decompress(codec: int, stored: bytes) -> bytes:
    """The records section of a batch, unfolded. `codec` is the number in the batch's attributes, 0 to 4.

    Raises:
        ValueError: the codec does not exist, the bytes are not what it writes, or they unfold to more than 256 MiB.
    """

def encode_batch(
    records: Sequence[tuple[bytes | None, bytes | None]],
    base_offset: int,
    leader_epoch: int,
    timestamp_ms: int,
    *,
    control: bool,
) -> bytes:
    """`records` (key, value) as one uncompressed batch, for a file that is written by hand."""

def decode_batches(content: bytes) -> list[StoredRecord]:
    """The records of a whole file of batches, decompressed, control records among them.

    Raises:
        ValueError: it is torn, or the checksum of a batch is wrong.
    """

class AvroError(ValueError):
    """A value that cannot be read or written: what is wrong, at which path, and at which byte when it was read."""

    path: str
    """As `items[3].price`; empty for the value itself."""
    offset: int | None
    """The byte of the data at which it was seen; None for a value that was to be written."""

@final
class AvroEncoder:
    """Writes values of one Avro schema; compiled once, for use by any thread."""

    def __new__(cls, schema: str, *, references: Sequence[str] = ...) -> AvroEncoder:
        """Compile `schema`, which may use the names of `references`, each of those after the ones that it needs.

        Raises:
            ValueError: one of them is no Avro schema.
        """
    def encode(self, value: Any, prefix: bytes = ...) -> bytes:
        """`prefix`, and behind it the value in Avro's binary encoding.

        Raises:
            AvroError: the value is none of the schema's.
        """

@final
class RecordBlock:
    """The records that a Fetch answer has for one partition, decoded once; for use by any thread."""

    next_offset: int
    """The offset to ask for next: behind the last batch, whether anybody may see its records or not."""
    leader_epochs: list[tuple[int, int]]
    """Under which leaders the batches were written: an offset, and the epoch from there on. (KIP-320)"""
    size_bytes: int
    """How much memory it takes."""

    def __new__(cls, answer: bytes, offset: int, aborted: Sequence[tuple[int, int]] | None) -> RecordBlock:
        """Read the batches of `answer`, from the records at `offset` on, up to the first that is damaged.

        Args:
            answer: record batches (message format 2), the last of which may be cut off.
            offset: what was asked for.
            aborted: producer and first offset of each aborted transaction, as the answer says; None to see all records.

        Raises:
            ValueError: the first batch is damaged; the offset is in the message.
        """
    def __len__(self) -> int: ...
    def offset(self, place: int) -> int:
        """The offset of a record by its place in the block.

        Raises:
            IndexError: there is none.
        """
    def timestamp(self, place: int) -> int:
        """The timestamp (ms) of a record by its place.

        Raises:
            IndexError: there is none.
        """
    def until(self, start: int, stop: int, moment_ms: int) -> int:
        """The place of the first record from `start` on that is not older than a moment, `stop` if all are."""
    def records(
        self, start: int, stop: int
    ) -> list[tuple[int, int, bytes | None, bytes | None, Sequence[tuple[str, bytes | None]]]]:
        """Records by their place in the block, each as offset, timestamp (ms), key, value, headers."""

@final
class RecordAccumulator:
    """What a producer was given and has not sent, in batches; for use by any thread."""

    size_bytes: int
    """How much is in batches: those here, and those that were taken and are not done with."""
    has_room: bool
    """Whether that is less than it may be."""

    def __new__(
        cls, batch_bytes: int, batch_records: int, record_bytes: int, room_bytes: int, *, transactional: bool = False
    ) -> RecordAccumulator: ...
    def add_topic(self) -> int:
        """One more topic, without partitions; its number."""
    def set_partitions(self, topic: int, count: int) -> None:
        """A topic has so many partitions now."""
    def append(
        self,
        topic: int,
        partition: int,
        key: bytes | None,
        value: bytes | None,
        timestamp_ms: int,
        headers: Sequence[tuple[str, bytes | None]] | None,
        now: float,
    ) -> int:
        """Take a record, for this partition or, with -1, for the one that Kafka's Java clients would choose.

        Returns:
            0 if it was taken, 1 if there is something for `take_news`, 2 if it is too large, 3 if there is no room.

        Raises:
            IndexError: there is no such topic or partition.
            ValueError: the topic has no partitions yet.
        """
    def append_run(self, topic: int, run: ColumnRun, output: int, now: float) -> list[int]:
        """Take all records of an output, whether there is room or not; the places of those that are too large."""
    def take_news(self) -> list[tuple[int, int]]:
        """Topic and partition of each batch that was begun or closed since the last time."""
    def first(self, topic: int, partition: int) -> tuple[float, bool] | None:
        """When the first record of the first batch was given, and whether that batch takes no more."""
    def take(self, topic: int, partition: int) -> ProducerBatch | None:
        """Take that batch out."""

@final
class ProducerBatch:
    """Records that are sent together."""

    since: float
    """When the first of them was given, s."""
    size_bytes: int
    """Before compression."""

    def __len__(self) -> int: ...
    def encode(
        self, compression: str, level: int | None, producer_id: int, producer_epoch: int, base_sequence: int
    ) -> bytes:
        """As a record batch (message format 2); -1, -1, -1 for a producer that is not idempotent.

        Raises:
            ValueError: there is no such compression.
        """
    def records(self) -> list[tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]]:
        """Each as timestamp (ms), key, value, headers."""
    def release(self) -> None:
        """It is done with, whoever still has it: the accumulator counts it no more."""
    def halves(self) -> tuple[ProducerBatch, ProducerBatch]:
        """The same records in two batches, which are as old.

        Raises:
            ValueError: there is only one.
        """

@final
class AggregateTable:
    """The groups of one aggregate of a `ColumnProgram` in one task, above a store that is told of them at times."""

    stream_time_ms: int
    """The greatest time of the records that came to the aggregate, -1 before the first."""

    def __new__(
        cls,
        load: Callable[[bytes, int], tuple[tuple[Any, ...], int] | None],
        names: Sequence[bytes] | None,
        retention_ms: int | None,
        groups_max: int,
        update_bytes: int,
        value_bytes: int,
    ) -> AggregateTable:
        """`load(key, start)` asks the store for the parts of a group and its time; without windows the start is 0.

        `names` has what stands before each part in an object (`"name":`); without, the only part is 8 bytes. A store
        without windows has no `retention_ms`. No more than `groups_max` groups are kept when all were handed over. An
        update counts `update_bytes`, the bytes of the key, and `value_bytes` for the value and for an old one.
        """
    def __len__(self) -> int: ...
    def limit(self, groups_max: int) -> None:
        """Keep no more groups than that from now on, when all were handed over."""
    def begin(self, stream_time_ms: int, store_time_ms: int) -> None:
        """Go on to these times of the aggregate and of its store, if they are later."""
    def take_dropped(self) -> tuple[int, int]:
        """How many records were dropped since the last time: for what is null, and (counted by windows) as late."""
    def hand_over(
        self,
    ) -> list[tuple[bytes, int, tuple[Any, ...], int, tuple[int, int, int, tuple[tuple[str, bytes | None], ...]]]]:
        """The groups that changed since the last time, in the order of their first changes.

        Each as key, start, parts, time, and the last update: its number, and offset, time and headers of its record.
        """
    def rows(self) -> list[tuple[bytes, bytes, int, int, tuple[tuple[str, bytes | None], ...]]] | None:
        """The same as it is written: place (key and in windows 8 bytes of start), value, time (ms).

        Then the number and headers of the last update.

        None, and nothing is handed over, if something in it has to be written by somebody else.
        """
    def rows_with_parts(
        self,
    ) -> list[tuple[bytes, int, tuple[Any, ...], bytes, bytes, int, int, tuple[tuple[str, bytes | None], ...]]] | None:
        """The same behind what a store keeps of a group: key, start and parts."""
    def forget(self, place: bytes) -> None:
        """Forget a group that somebody else changes, by key and (in windows) 8 bytes of start."""

@final
class LookupTable:
    """The rows of a table that the records of a `ColumnProgram` are joined with, as far as they were looked up."""

    def __new__(cls, load: Callable[[bytes | None], Sequence[Any] | None], rows_max: int) -> LookupTable:
        """`load(key)` asks for what is computed with of a row, None if there is none; of None for what stands for a row
        that is not there. No more than `rows_max` rows are kept.
        """
    def __len__(self) -> int: ...
    def limit(self, rows_max: int) -> None:
        """Keep no more rows than that from now on."""
    def take_dropped(self) -> int:
        """How many records were dropped since the last time for what is null."""
    def forget(self, keys: Sequence[bytes | None]) -> None:
        """Forget rows that somebody else changes."""

@final
class ColumnProgram:
    """A topology of expressions over fields of values; compiled once, for use by any thread.

    `moldau.streams.columns` says what the parts of a program are.
    """

    def __new__(
        cls,
        key: str,
        value: str | Sequence[tuple[str, str, bool, tuple[Any, ...]]],
        registers: int,
        nodes: Sequence[tuple[Any, ...]],
        roots: Sequence[int],
        outputs: int,
        tables: int,
        lookups: int = 0,
    ) -> ColumnProgram:
        """Take the program.

        Raises:
            ValueError: it names something that there is not.
        """
    def run(
        self,
        block: RecordBlock,
        start: int,
        stop: int,
        tables: Sequence[AggregateTable] = ...,
        room_bytes: int = ...,
        lookups: Sequence[LookupTable] = ...,
    ) -> ColumnRun:
        """Take the records from `start` on through the topology, up to `stop` or the first that is unusual.

        It stops behind a record, too, when the updates in the tables take more than `room_bytes`.

        Raises:
            ValueError: there are not as many tables, or lookups, as in the program.
        """

@final
class ColumnRun:
    """What a `ColumnProgram` made of a run of records."""

    stop: int
    """The first record that was not taken."""
    latest_ms: int
    """The greatest timestamp of those that were, -1 of none."""
    full: bool
    """Whether it stopped because the tables have to be handed over."""

    def count(self, output: int) -> int:
        """How many records there are for an output."""
    def records(self, output: int) -> list[tuple[bytes | None, bytes | None, int, Sequence[tuple[str, bytes | None]]]]:
        """The records for an output, each as key, value, timestamp (ms), headers."""

@final
class ChangeTable:
    """How rows of a PostgreSQL table become the keys and values of records; for use by any thread.

    A program is a list of parts: `("literal", bytes)`, `("column", index, kernel, present, null, unchanged)`,
    `("fact", name, present, absent)`, `("before", present, absent)` and `("after", present, absent)`. `present` stands
    before what is there, the others are what stands for something that is not. A kernel is a pair of its name and a
    number, or a function from a text to bytes.
    """

    def __new__(
        cls,
        columns: int,
        formats: tuple[str, str],
        key: Sequence[tuple[Any, ...]] | None,
        row: Sequence[tuple[Any, ...]],
        value: Sequence[tuple[Any, ...]],
        key_columns: Sequence[int],
        *,
        tombstones: bool,
    ) -> ChangeTable:
        """Take the programs. `formats` are "json" or "avro", of keys and of values.

        Raises:
            ValueError: a format, part, kernel or fact is unknown.
        """
    def rows(
        self,
        lines: bytes,
        start: int,
        position: tuple[int, int, int, int, int | None, int, int],
        now_ns: int,
        xmin: int | None,
        mark: str,
    ) -> tuple[list[dict[str, bytes | None]], int, int]:
        """Go through the lines of a COPY in text from the byte `start` on, up to the first that is not as usual.

        `mark` is what a row is in its snapshot, `position` as in `ChangeStream.run`.

        Returns:
            The records, the byte behind the last line that was gone through, and the size of keys and values.
        """

@final
class ChangeStream:
    """Runs of messages of a replication stream (`pgoutput`, protocol version 1)."""

    def __new__(cls) -> ChangeStream: ...
    def put(self, oid: int, table: ChangeTable | None) -> None:
        """Rows of this relation go through `table`; with None they are passed over."""
    def remove(self, oid: int) -> None:
        """A run ends in front of rows of this relation."""
    def run(
        self,
        messages: list[bytes],
        start: int,
        position: tuple[int, int, int, int, int | None, int, int],
        now_ns: int,
        xmin: int | None,
        origin: tuple[str, int] | None,
        watched_from: int | None,
    ) -> tuple[
        int,
        tuple[int, int, int, int, int | None, int, int],
        tuple[int, int, int, int, int | None, int, int] | None,
        bool | None,
        int,
        dict[int, list[dict[str, bytes | None]]],
        tuple[int, int, int, int, int],
        list[int],
    ]:
        """Go through messages from the place `start` on, up to the first that is not as usual.

        Nor is the beginning of the transaction `watched_from`, or of one with a later number.

        A position is: lsn, the one wholly handed on, the end of the last transaction, events at lsn, transaction, its
        time in microseconds, and the kind of the message.

        Returns:
            How many messages, the position behind them, that of the last event, whether a transaction is under way (if
            one has begun or ended), the number of records, the records by relation, and how many rows were created,
            updated and deleted, how many changes passed over, and how many transactions ended; and the numbers of the
            transactions that began.
        """

@final
class AvroDecoder:
    """Reads values of one Avro schema, as another sees them when it is given; compiled once, for use by any thread."""

    def __new__(
        cls,
        schema: str,
        *,
        references: Sequence[str] = ...,
        reader: str | None = None,
        reader_references: Sequence[str] = ...,
        shapes: Mapping[str, tuple[type, str, dict[str, str], bool]] | None = None,
        symbols: Mapping[str, dict[str, object]] | None = None,
        named_branches: bool = False,
    ) -> AvroDecoder:
        """Compile what `schema` writes as `reader` sees it.

        Args:
            shapes: by a record's full name the class to make, how ("slots", "attributes" or "call"), its attribute for
                each field, and whether it has a `__post_init__` (`moldau.client.serdes.shapes` makes them).
            symbols: by an enum's full name the object for each symbol.
            named_branches: give a record that was a union's branch as a pair of its full name and itself.

        Raises:
            ValueError: one of them is no Avro schema, or a shape does not fit its class.
        """
    def decode(self, data: bytes, start: int = 0) -> Any:
        """The value at `start` of `data`; what stands behind it is not looked at.

        Raises:
            AvroError: the bytes are no such value.
        """

class CoreError(Exception):
    """What the log or the server refused, with the Kafka error code that says why."""

    code: int
    """Kafka's error code (`moldau.errors.ErrorCode`)."""
    message: str

@final
class MessageCodec:
    """One message of the protocol in one version, to kio's objects and back (`moldau.server.codec`)."""

    def __new__(cls, layout: StructLayout) -> MessageCodec:
        """Take over what the layout says; it is not looked at again."""

    def decode(self, body: bytes) -> Any:
        """The object at the beginning of `body`; what is behind it is ignored. Raises ValueError if there is none."""

    def encode(self, answer: Mapping[str, Any]) -> bytes:
        """The bytes of `answer`; a field that it does not name has its default. Raises ValueError: it does not fit."""

@final
class Request:
    """One request that Rust did not answer. Exactly one of `respond`, `serve_hot` and `close` ends it.

    A request that is dropped unanswered closes its connection: a client sees a broken connection, never a hang.
    """

    @property
    def connection_id(self) -> int: ...
    @property
    def listener(self) -> str: ...
    @property
    def principal(self) -> str | None:
        """Type and name of the user, as in `User:alice`; None when it is the node itself that asks."""
    @property
    def client_host(self) -> str:
        """Address of the peer, without a port."""
    @property
    def client_port(self) -> int: ...
    @property
    def advertised_host(self) -> str:
        """Host by which this client should be told to reach this node."""
    @property
    def advertised_port(self) -> int: ...
    @property
    def api_key(self) -> int: ...
    @property
    def api_version(self) -> int: ...
    @property
    def correlation_id(self) -> int: ...
    @property
    def client_id(self) -> str | None: ...
    @property
    def client_software_name(self) -> str | None:
        """From this connection's ApiVersions request, if it sent one."""
    @property
    def client_software_version(self) -> str | None: ...
    @property
    def refusal(self) -> int:
        """The error code to refuse this request with, because a test asked for it; 0 for none."""
    @property
    def body(self) -> bytes:
        """What follows the request header; a fresh copy at every access."""
    def respond(self, body: bytes, throttle_ms: int = 0) -> None:
        """Send `body` with its length and response header, then do not listen to the client for `throttle_ms`.

        Raises:
            RuntimeError: the request was already ended.
        """
    def serve_hot(self) -> None:
        """Let the Rust handler answer from the cluster image as it is now, creating nothing.

        Raises:
            RuntimeError: the request was already ended.
        """
    def close(self) -> None:
        """Close the connection without an answer.

        Raises:
            RuntimeError: the request was already ended.
        """

@final
class Leases:
    """The members of groups whose heartbeats are answered in Rust (`moldau.control.groups.leases`)."""

    def grant(self, group_id: str, member_id: str, instance_id: str | None, generation_id: int) -> None:
        """Answer heartbeats of this member of a classic group in this generation with NONE."""
    def grant_consumer(
        self,
        group_id: str,
        member_id: str,
        instance_id: str | None,
        member_epoch: int,
        *,
        client_id: str,
        client_host: str,
        heartbeat_interval_ms: int,
    ) -> None:
        """The same for a member of the consumer protocol, until `cluster_changed`."""
    def end(self, group_id: str, member_id: str | None = None) -> dict[str, int]:
        """End the lease of a member, or of all members of a group; nothing is answered under it any more.

        Returns how many milliseconds ago members were seen under a lease that is ended by this.
        """
    def cluster_changed(self) -> None:
        """Answer no member of the consumer protocol before its lease is granted again."""

@final
class Core:
    """One node: its log directories, its listeners and its copy of the cluster image."""

    def __new__(cls, directories: Sequence[str], *, durable: bool = True, recovery_threads: int = 1) -> Core:
        """Create what is missing of `directories` and lock each of them; read the checkpoints, load no partition.

        Args:
            durable: `False` skips every fsync: for a broker whose directory is thrown away.
            recovery_threads: how many threads load partitions, per directory.

        Raises:
            CoreError: no directory is usable, or another process has locked one.
        """
    @property
    def wake_fd(self) -> int:
        """A descriptor that is readable while there is something to poll. The core owns it: do not close it."""

    @property
    def leases(self) -> Leases:
        """The leases of this node's group members."""

    # Boot

    def open_metadata_log(self, settings: LogSettings, now_ms: int) -> None:
        """Open or create `__cluster_metadata-0`, recovering it when needed.

        Raises:
            CoreError: it cannot be read or created.
        """
    def load_partitions(self, partitions: Sequence[PartitionSpec], now_ms: int) -> list[LoadFailure]:
        """Open every partition that belongs to this node, in parallel, creating those without a folder.

        Folders that are in no spec are renamed to `…-stray`. A partition that fails is reported and stays offline.
        """
    def start(self, settings: ServerSettings) -> list[Endpoint]:
        """Bind the listeners and begin to serve. Returns where each of them really listens, in the order given.

        Raises:
            CoreError: an address cannot be bound; the message names it. Nothing is left bound.
            RuntimeError: it was started before.
        """
    def stop_serving(self, grace_ms: int) -> None:
        """Stop accepting, and wait at most `grace_ms` for running requests. Appends by this node still work."""
    def shutdown(self, now_ms: int) -> None:
        """Stop serving at once if that was not done, flush, write checkpoints, unlock. Idempotent."""

    def abandon(self) -> None:
        """Stop as a killed process does: connections are cut, nothing is flushed, written or marked as clean."""

    # Faults that tests ask for

    def add_fault(self, api_key: int, kind: FaultKind, value: int, times: int | None) -> int:
        """Do something to the next `times` requests of an API, to all if None. Returns what names the fault.

        Args:
            kind: "refuse" answers with the error code `value`; "delay" waits `value` milliseconds first;
                "drop-before" closes the connection and does nothing, "drop-after" does it instead of answering.

        Raises:
            RuntimeError: the node does not serve.
        """
    def remove_fault(self, fault: int) -> None:
        """Raises RuntimeError when the node does not serve."""
    def fault_met(self, fault: int) -> int | None:
        """How many requests a fault has met; None if it was removed. Raises RuntimeError as `add_fault` does."""
    def set_paused(self, *, paused: bool) -> None:
        """Accept connections, but take no request and send no answer until resumed.

        Raises:
            RuntimeError: the node does not serve.
        """

    # Events

    def poll_requests(self, limit: int) -> list[Request]:
        """Take up to `limit` waiting requests, oldest first; clears `wake_fd` when nothing is left."""
    def poll_committed(self) -> list[int]:
        """Take the tokens of `when_committed` whose records are committed by now."""
    def poll_closed(self) -> list[int]:
        """Take the ids of the connections that ended since the last call."""

    # Records of internal partitions

    def append(
        self,
        topic: str,
        partition: int,
        records: Sequence[tuple[bytes | None, bytes | None]],
        timestamp_ms: int,
        origin: AppendOrigin,
        producer: tuple[int, int, int | None] | None = None,
    ) -> int:
        """Append `records` (key, value) as one batch: all of them are there after a crash, or none.

        Returns the offset of the last record. The batch is in the page cache, not necessarily on disk: `flush`.
        `producer` makes it part of a transaction: producer id, epoch, and the guard of `begin_verification`.

        Raises:
            CoreError: the partition is unknown, offline, or the batch is too large.
            ValueError: `records` is empty.
        """
    def append_marker(
        self,
        topic: str,
        partition: int,
        producer: tuple[int, int],
        coordinator_epoch: int,
        committed: bool,
        transaction_version: int,
        timestamp_ms: int,
    ) -> int:
        """End the transaction of `producer` (id, epoch) in one partition with a control batch; returns its offset.

        From `transaction_version` 2 on the epoch must be newer than the transaction's.

        Raises:
            CoreError: a newer producer or coordinator has been here, or the partition is unknown or offline.
        """
    def begin_verification(
        self, topic: str, partition: int, producer: tuple[int, int], adds_partitions: bool, now_ms: int
    ) -> int | None:
        """The guard under which a transactional batch may be appended once the coordinator has said yes (KIP-890).

        None when the transaction of `producer` (id, epoch) has begun in this partition. `adds_partitions` says that
        each transaction of this producer has an epoch of its own.

        Raises:
            CoreError: the epoch is older than what the partition has seen, or the partition has no log here.
        """
    def when_committed(self, topic: str, partition: int, offset: int, token: int) -> None:
        """Hand `token` to `poll_committed` once the high watermark is above `offset`; at once if it is already.

        Raises:
            CoreError: the partition is unknown.
        """
    def read(self, topic: str, partition: int, from_offset: int, max_bytes: int) -> list[StoredRecord]:
        """Read records from `from_offset` up to the high watermark, decompressed, control records among them.

        At least one record is read when there is one, however large its batch: an empty list means the end. To
        replay, call again with the last offset plus one.

        Raises:
            CoreError: the partition is unknown, or `from_offset` is outside of the log.
        """
    def flush(self, topic: str, partition: int) -> None:
        """Force everything appended so far to the disk (nothing to do when the core is not durable).

        Raises:
            CoreError: the disk refused; the partition is offline from here on.
        """
    def log_start_offset(self, topic: str, partition: int) -> int:
        """Raises CoreError when the partition has no log here."""
    def high_watermark(self, topic: str, partition: int) -> int:
        """Raises CoreError when the partition has no log here."""
    def log_end_offset(self, topic: str, partition: int) -> int:
        """Raises CoreError when the partition has no log here."""
    def latest_leader_epoch(self, topic: str, partition: int) -> int | None:
        """The newest epoch in the log's epoch cache. Raises CoreError when the partition has no log here."""
    def begin_leader_epoch(self, topic: str, partition: int, leader_epoch: int) -> None:
        """From here on records of this partition carry `leader_epoch`; only the metadata log needs to be told.

        Other partitions take theirs from `put_topic`. Raises CoreError when the partition has no log here.
        """

    # Partitions

    def create_partitions(self, partitions: Sequence[PartitionSpec], now_ms: int) -> list[LoadFailure]:
        """Create the logs of new partitions; they serve once `put_topic` names this node as their leader."""
    def delete_partitions(self, topic: str, partitions: Sequence[int], now_ms: int) -> list[LoadFailure]:
        """Take partitions out of service and rename their folders; the files go with a later `housekeeping`."""
    def set_log_settings(self, topic: str, partitions: Sequence[int], settings: LogSettings, now_ms: int) -> None:
        """Apply `settings` to these partitions of `topic`; those that are not here are left out.

        Retention and compaction act on them at once, the rest with the next append.
        """
    def delete_records(self, topic: str, partition: int, before_offset: int) -> int:
        """Move the log start up to `before_offset` (-1: the high watermark) and return it, the new low watermark.

        Raises:
            CoreError: unknown partition, or OFFSET_OUT_OF_RANGE.
        """

    # The cluster image

    def put_broker(self, node_id: int, epoch: int, endpoints: Sequence[Endpoint], rack: str | None) -> None: ...
    def remove_broker(self, node_id: int) -> None: ...
    def set_controller(self, node_id: int) -> None: ...
    def put_topic(
        self,
        name: str,
        topic_id: UUID,
        internal: bool,
        min_insync_replicas: int,
        partitions: Sequence[PartitionState],
    ) -> None:
        """Replace what the image says about one topic; local partitions that this node leads begin to serve."""
    def set_features(self, finalized: Sequence[tuple[str, int]], epoch: int) -> None:
        """The finalized feature levels that ApiVersions tells, and the metadata offset at which they changed."""
    def set_auto_create_topics(self, *, enabled: bool) -> None:
        """Whether a Metadata request for an unknown topic is passed on, so that the topic can be created."""
    def set_quotas(
        self, clients: Sequence[ClientQuota], connections: Sequence[tuple[IPv4Address | IPv6Address | None, float]]
    ) -> None:
        """All client quotas there are, and the new connections per second of addresses (None: of each other one).

        Raises:
            ValueError: a quota is for something that no client uses.
        """
    def set_access(self, access: AccessRules) -> None:
        """Let these rules count for the hot requests, all of them at once. Before, everybody may do everything."""
    def limits_requests(self) -> bool:
        """Whether anybody is limited in time: only then `charge_time` needs to be told."""
    def charge_time(self, client_id: str | None, busy_ns: int) -> int:
        """The control plane worked so long for this client; how many milliseconds the client has to wait."""
    def limits_mutations(self) -> bool:
        """Whether anybody is limited in changes of topics."""
    def charge_mutations(self, client_id: str | None, partitions: int, *, strict: bool) -> int:
        """This client wants to create or delete partitions; how many milliseconds it has to wait.

        Args:
            strict: a client that has to wait is charged nothing, because it is refused.
        """
    def set_verify_transactions(self, *, enabled: bool) -> None:
        """Whether the coordinator is asked about partitions that are new to a transaction."""
    def remove_topic(self, name: str) -> None:
        """Forget a topic; requests for it are answered with UNKNOWN_TOPIC_OR_PARTITION from here on."""

    # Work in the background

    def set_cleaner_settings(self, settings: CleanerSettings) -> None:
        """Begin to compact on threads of its own, or go on with other settings. `shutdown` ends it.

        Raises:
            CoreError: the system grants no more threads.
        """

    # Periodic work

    def housekeeping(self, now_ms: int) -> None:
        """Retention, time-based rolls and flushes, deletion of removed files, expiry of idle producers."""
    def flush_due(self, now_ms: int) -> int:
        """Force to disk every partition whose `flush_ms` has passed; returns how many. Failures are logged."""
    def checkpoint(self) -> None:
        """Write the recovery-point, log-start-offset and high-watermark checkpoint files.

        Raises:
            CoreError: a directory cannot be written.
        """

    # Looking in

    def set_move_limit(self, bytes_per_second: float) -> None:
        """Move partitions between directories no faster than this, from the first call to `shutdown`.

        Raises:
            CoreError: the system grants no more threads.
        """

    def move_partition(self, topic: str, partition: int, directory: Path) -> None:
        """Begin to move a partition to `directory`, one of `log.dirs`; one that is not here will be made there.

        Raises:
            CoreError: LOG_DIR_NOT_FOUND; KAFKA_STORAGE_ERROR, a directory is offline; REPLICA_NOT_AVAILABLE, the
                partition is not here.
        """

    def futures(self) -> list[FutureStatus]:
        """The copies of partitions that are being moved."""
    def moves_done(self) -> int:
        """Partitions that have changed their directory since the start."""
    def directories(self) -> list[DirectoryStatus]:
        """Every log directory with its state and space."""
    def logs(self, partitions: Sequence[tuple[str, int]] | None = None) -> list[LogStatus]:
        """Every local partition with its size and offsets, or those of `partitions` (topic, index) that are local."""
    def producers(self, topic: str, partition: int) -> list[ProducerStatus]:
        """The producers that a partition remembers. Raises CoreError when the partition has no log here."""
    def counters(self) -> dict[str, int]:
        """Totals since the start, by the names of `moldau.observe.metrics`."""
    REQUEST_TIME_BOUNDS_US: Final[list[int]]
    """Upper bounds of the buckets of `request_times`, in microseconds; one more bucket holds what took longer."""
    def request_times(self) -> list[tuple[int, list[int], int]]:
        """How long requests took since the start: API key, requests in each bucket, and all times added up in µs.

        A time goes from when a request was read until its answer is written down, waiting included.
        """
    def render_metrics(
        self,
        metric_families: Sequence[MetricFamily],
        groups: Sequence[tuple[str, Sequence[tuple[str, int, int]]]],
        limit: int,
    ) -> tuple[bytes, int]:
        """Everything about partitions, topics and groups in Prometheus' text format, rendered without the GIL.

        Args:
            groups: what each group has committed: topic, partition, offset.
            limit: how many partitions are shown, and how many committed offsets.

        Returns the text, which is empty before `start`, and how many of both were left out.

        Raises:
            ValueError: a family measures something that there is not.
        """
