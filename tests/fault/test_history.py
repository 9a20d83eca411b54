"""The checker itself: each anomaly in a history written by hand that has it, and beside it one that nearly has it."""

import itertools
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.fault.history.anomalies import ANOMALIES
from tests.fault.history.operations import (
    Assign,
    Note,
    Poll,
    ReadToEnd,
    Record,
    Seek,
    Send,
    Transaction,
    merged,
    read_history,
    write_history,
)
from tests.fault.history.verdict import judge

P, Q = "orders-0", "orders-1"
OPEN_A, OPEN_B = "transfer|books|0|0|100|100|t1", "transfer|books|0|1|100|100|t1"
TAKE, GIVE = "transfer|books|1|0|-7|93|t2", "transfer|books|1|1|7|107|t2"


_began = itertools.count()


def send(at, value, offset=None, *, partition=P, process="p1", outcome="ok", transaction=None):
    return Send(
        at=at,
        began=next(_began),
        process=process,
        partition=partition,
        value=value,
        outcome=outcome,
        offset=offset,
        transaction=transaction,
    )


def poll(at, *records, process="c1", reader=None, isolation="read_committed", transaction=None):
    """Records as `(offset, value)` of P, or `(partition, offset, value)`."""
    found = tuple(Record(*record) if len(record) == 3 else Record(P, *record) for record in records)
    return Poll(
        at=at,
        process=process,
        reader=reader or process,
        isolation=isolation,
        records=found,
        transaction=transaction,
    )


def end(at, offset, *, partition=P, process="c1", reader=None):
    return ReadToEnd(
        at=at,
        began=at,
        process=process,
        reader=reader or process,
        isolation="read_committed",
        partition=partition,
        offset=offset,
    )


def transaction(at, name, outcome, committing=None, process="p1"):
    return Transaction(at=at, process=process, name=name, outcome=outcome, committing=committing)


HAS_IT = {
    "lost write: acknowledged, read past": [send(1, "a", 0), send(2, "b", 1), poll(3, (1, "b"))],
    "lost write: acknowledged at the end of the log": [send(1, "a", 0), send(2, "b", 1), poll(3, (0, "a")), end(4, 1)],
    "lost write: acknowledged without an offset": [send(1, "a"), end(2, 0)],
    "lost write: seen once and never again": [
        send(1, "a", 0, outcome="unknown"),
        poll(2, (0, "a"), process="early"),
        end(4, 1),
    ],
    "lost write: seen once, and its offset given to another": [
        send(1, "a", 0),
        poll(2, (0, "a"), process="early"),
        send(3, "b", 0),
        poll(4, (0, "b")),
        end(5, 1),
    ],
    "lost write: of a committed transaction": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "committed", 2),
        end(4, 2),
    ],
    "duplicate: a retry taken for new": [send(1, "a", 0), poll(2, (0, "a"), (1, "a"))],
    "duplicate: an effect in two partitions": [
        send(1, "copy", 0, transaction="t1"),
        transaction(2, "t1", "committed", 2),
        send(3, "copy", 0, partition=Q, transaction="t2"),
        transaction(4, "t2", "committed", 4),
        poll(5, (0, "copy"), (Q, 0, "copy")),
    ],
    "inconsistent offset: two readers": [
        send(1, "a", 0),
        send(2, "b"),
        poll(3, (0, "a")),
        poll(4, (0, "b"), process="c2"),
    ],
    "inconsistent offset: producer and reader": [send(1, "a", 5), send(2, "b"), poll(3, (5, "b"))],
    "inconsistent offset: two producers": [send(1, "a", 5), send(2, "b", 5, process="p2")],
    "aborted read: of an aborted transaction": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        poll(3, (0, "a")),
    ],
    "aborted read: the first attempt of two": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        send(3, "a", 2, transaction="t2"),
        transaction(4, "t2", "committed", 4),
        poll(5, (0, "a")),
    ],
    "aborted read: of a send that failed": [send(1, "a", outcome="failed"), poll(3, (0, "a"))],
    "aborted read: of a record that nobody sent": [poll(3, (0, "a"))],
    "uncommitted read": [
        send(1, "a", 0, transaction="t1"),
        poll(2, (0, "a")),
        transaction(4, "t1", "committed", committing=3),
    ],
    "torn transaction: committed": [
        send(1, "a", 0, transaction="t1"),
        send(2, "b", 0, partition=Q, transaction="t1"),
        transaction(3, "t1", "committed", 3),
        poll(4, (0, "a")),
        end(5, 2),
        end(6, 2, partition=Q),
    ],
    "torn transaction: nobody knows how it ended": [
        send(1, "a", outcome="unknown", transaction="t1"),
        send(2, "b", outcome="unknown", transaction="t1"),
        transaction(3, "t1", "unknown", 3),
        poll(4, (1, "b")),
        end(5, 3),
    ],
    "skipped poll: by one consumer": [
        *(send(number, str(number), number) for number in range(3)),
        poll(4, (0, "0"), (1, "1"), (2, "2"), process="other"),
        poll(5, (0, "0")),
        poll(6, (2, "2")),
    ],
    "skipped poll: by a group": [
        *(send(number, str(number), number) for number in range(2)),
        poll(4, (0, "0"), (1, "1"), process="other"),
        poll(5, (1, "1"), reader="billing"),
        end(6, 2, reader="billing"),
    ],
    "non-monotonic poll: goes back": [
        *(send(number, str(number), number) for number in range(2)),
        poll(5, (0, "0"), (1, "1")),
        poll(6, (0, "0")),
    ],
    "non-monotonic poll: the same again": [send(1, "a", 0), poll(5, (0, "a"), (0, "a"))],
    "non-monotonic send": [send(1, "a", 7), send(2, "b", 6)],
    "read cycle": [
        send(1, "a", 0, transaction="t1"),
        send(2, "b", 0, partition=Q, transaction="t2", process="p2"),
        poll(3, (Q, 0, "b"), transaction="t1"),
        poll(4, (0, "a"), process="c2", transaction="t2"),
        transaction(5, "t1", "committed"),
        transaction(6, "t2", "committed", process="p2"),
    ],
    "skipped poll: what a group read was aborted, its offsets were not": [
        send(1, "a", 0),
        send(2, "copy", partition=Q, outcome="unknown", transaction="t1"),
        poll(3, (0, "a"), reader="billing", transaction="t1"),
        transaction(4, "t1", "aborted"),
        poll(5, (0, "a"), process="other"),
        end(6, 1, reader="billing"),
    ],
    "money not conserved: half of a transfer": [
        *(send(1, value) for value in (OPEN_A, OPEN_B, TAKE)),
        poll(2, (0, OPEN_A), (1, TAKE), (Q, 0, OPEN_B)),
    ],
    "money not conserved: a balance that comes from nowhere": [
        *(send(1, value) for value in (OPEN_A, "transfer|books|1|0|0|93|t2")),
        poll(2, (0, OPEN_A), (1, "transfer|books|1|0|0|93|t2")),
    ],
}

NEARLY = {
    "lost write: nobody knows if it was written": [
        send(1, "a", outcome="unknown"),
        send(2, "b", 1),
        poll(3, (1, "b")),
        end(4, 2),
    ],
    "lost write: nobody has read that far": [send(1, "a", 0), send(2, "b", 1), poll(3, (0, "a"))],
    "lost write: acknowledged after the end was asked for": [send(5, "a", 0), end(4, 0)],
    "lost write: its transaction was aborted": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        end(4, 2),
    ],
    "lost write: read uncommitted, and then aborted": [
        send(1, "a", 0, transaction="t1"),
        poll(2, (0, "a"), process="hasty", isolation="read_uncommitted"),
        transaction(3, "t1", "aborted"),
        end(4, 2),
    ],
    "duplicate: two readers of one record": [send(1, "a", 0), poll(2, (0, "a")), poll(3, (0, "a"), process="c2")],
    "duplicate: seen uncommitted, sent again after the abort": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        send(3, "a", 2, transaction="t2"),
        transaction(4, "t2", "committed", 4),
        poll(5, (0, "a"), (2, "a"), isolation="read_uncommitted"),
    ],
    "inconsistent offset: the same offset of two partitions": [
        send(1, "a", 5),
        send(2, "b", 5, partition=Q),
        poll(3, (5, "a"), (Q, 5, "b")),
    ],
    "aborted read: the second attempt of two": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        send(3, "a", 2, transaction="t2"),
        transaction(4, "t2", "committed", 4),
        poll(5, (2, "a")),
    ],
    "aborted read: asked for with read_uncommitted": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "aborted"),
        poll(3, (0, "a"), isolation="read_uncommitted"),
    ],
    "aborted read: nobody knows how the transaction ended": [
        send(1, "a", 0, transaction="t1"),
        transaction(2, "t1", "unknown", 2),
        poll(3, (0, "a")),
    ],
    "uncommitted read: the commit had been asked for": [
        send(1, "a", 0, transaction="t1"),
        poll(3, (0, "a")),
        transaction(4, "t1", "committed", committing=2),
    ],
    "torn transaction: one reader is not done with the other partition": [
        send(1, "a", 0, transaction="t1"),
        send(2, "b", 0, partition=Q, transaction="t1"),
        transaction(3, "t1", "committed", 3),
        poll(4, (0, "a")),
        end(5, 2),
    ],
    "torn transaction: unknown, and all of it is missing": [
        send(1, "a", outcome="unknown", transaction="t1"),
        send(2, "b", outcome="unknown", transaction="t1"),
        transaction(3, "t1", "unknown", 3),
        end(5, 3),
    ],
    "torn transaction: unknown, gone, and sent again in part to the same partition": [
        send(1, "a", 0, transaction="t1"),
        send(2, "b", 0, partition=Q, transaction="t1"),
        transaction(3, "t1", "unknown", 3),
        send(4, "a", 2, process="p2", transaction="t2"),
        send(5, "b", 3, process="p2", transaction="t2"),
        transaction(6, "t2", "committed", 6, process="p2"),
        poll(7, (2, "a"), (3, "b")),
        end(8, 5),
        end(9, 2, partition=Q),
    ],
    "skipped poll: what lies between was aborted": [
        send(0, "0", 0),
        send(1, "1", 1, transaction="t1"),
        transaction(2, "t1", "aborted"),
        send(3, "3", 3),
        poll(5, (0, "0")),
        poll(6, (3, "3")),
    ],
    "skipped poll: after a seek": [
        *(send(number, str(number), number) for number in range(3)),
        poll(4, (0, "0"), (1, "1"), (2, "2"), process="other"),
        poll(5, (0, "0")),
        Seek(at=6, process="c1", partition=P, offset=2),
        poll(7, (2, "2")),
    ],
    "skipped poll: another member of the group got it": [
        *(send(number, str(number), number) for number in range(2)),
        poll(4, (0, "0"), process="member-1", reader="billing"),
        poll(5, (1, "1"), process="member-2", reader="billing"),
        end(6, 2, reader="billing"),
    ],
    "non-monotonic poll: after a new assignment": [
        *(send(number, str(number), number) for number in range(2)),
        poll(5, (0, "0"), (1, "1")),
        Assign(at=6, process="c1", partitions=(P,)),
        poll(7, (0, "0"), (1, "1")),
    ],
    "non-monotonic send: of two producers": [send(1, "a", 7), send(2, "b", 6, process="p2")],
    "non-monotonic send: of two partitions": [send(1, "a", 7), send(2, "b", 6, partition=Q)],
    "read cycle: in one direction only": [
        send(1, "a", 0, transaction="t1"),
        send(2, "b", 0, partition=Q, transaction="t2", process="p2"),
        transaction(3, "t1", "committed"),
        poll(4, (0, "a"), process="c2", transaction="t2"),
        transaction(6, "t2", "committed", process="p2"),
    ],
    "skipped poll: what a group read was aborted, and came again": [
        send(1, "a", 0),
        poll(3, (0, "a"), reader="billing", transaction="t1"),
        transaction(4, "t1", "aborted"),
        Seek(at=5, process="c1", partition=P, offset=0),
        poll(6, (0, "a"), reader="billing", transaction="t2"),
        transaction(7, "t2", "committed", 7),
        end(8, 1, reader="billing"),
    ],
    "skipped poll: nobody knows if it was committed, but it shows": [
        send(1, "a", 0),
        send(2, "copy", partition=Q, outcome="unknown", transaction="t1"),
        poll(3, (0, "a"), reader="billing", transaction="t1"),
        transaction(4, "t1", "unknown", 4),
        poll(5, (Q, 0, "copy"), process="other"),
        end(6, 1, reader="billing"),
    ],
    "money not conserved: a whole transfer": [
        *(send(1, value) for value in (OPEN_A, OPEN_B, TAKE, GIVE)),
        poll(2, (0, OPEN_A), (1, TAKE), (Q, 0, OPEN_B), (Q, 1, GIVE)),
    ],
}


@pytest.mark.parametrize("case", HAS_IT)
def test_a_history_with_the_anomaly_is_found_out_by_its_name(case: str):
    verdict = judge(HAS_IT[case])
    assert case.split(":", maxsplit=1)[0] in verdict.names(), verdict.report()


@pytest.mark.parametrize("case", NEARLY)
def test_a_history_that_nearly_has_it_is_clean(case: str):
    verdict = judge(NEARLY[case])
    assert not verdict.anomalies, verdict.report()


def test_every_anomaly_has_a_history_with_it_and_one_that_nearly_has_it():
    assert {case.split(":")[0] for case in HAS_IT} == set(ANOMALIES)
    assert {case.split(":")[0] for case in NEARLY} == set(ANOMALIES)


INTERLEAVED = [
    send(1, "a", 0, transaction="t1"),
    send(2, "b", 1, transaction="t2", process="p2"),
    send(3, "c", 0, partition=Q, transaction="t2", process="p2"),
    send(4, "d", 1, partition=Q, transaction="t1"),
    transaction(5, "t1", "committed", 5),
    transaction(6, "t2", "committed", 6, process="p2"),
    poll(7, (0, "a"), (1, "b"), (Q, 0, "c"), (Q, 1, "d")),
]


def test_interleaved_writes_are_counted_and_are_no_anomaly():
    verdict = judge(INTERLEAVED)
    assert verdict.write_cycles == 1
    assert not verdict.anomalies
    assert "1 write cycles" in verdict.report()


def test_one_transaction_after_the_other_is_no_write_cycle():
    assert judge([*INTERLEAVED[:2], *INTERLEAVED[4:6], poll(7, (0, "a"), (1, "b"))]).write_cycles == 0


def test_a_history_comes_back_from_its_file_in_order_of_time(tmp_path: Path):
    file = tmp_path / "run.jsonl"
    history = [operation for case in (*HAS_IT.values(), *NEARLY.values()) for operation in case]
    history.append(Note(at=99, process="nemesis", text="kill -9"))
    write_history(file, reversed(history))
    found = read_history(file)
    assert [operation.at for operation in found] == sorted(operation.at for operation in found)
    assert sorted(map(repr, found)) == sorted(map(repr, merged(reversed(history))))


def test_the_last_word_about_a_send_and_a_transaction_counts():
    begun = send(1, "a", transaction="t1", outcome="unknown")
    told = msgspec.structs.replace(begun, at=5, outcome="ok", offset=0)
    open_, closed = transaction(1, "t1", "aborted"), transaction(6, "t1", "committed", 5)
    assert merged([begun, open_, told, closed]) == [told, closed]
    assert merged([begun, open_]) == [begun, open_]


def test_a_line_that_is_no_operation_is_named(tmp_path: Path):
    file = tmp_path / "run.jsonl"
    write_history(file, [send(1, "a", 0)])
    with file.open("a") as appended:
        appended.write('{"type":"send","at":1}\n')
    with pytest.raises(ValueError, match=r"run\.jsonl:2"):
        read_history(file)


def test_a_history_can_be_looked_at_again_from_the_command_line(tmp_path: Path):
    clean, broken = tmp_path / "clean.jsonl", tmp_path / "broken.jsonl"
    write_history(clean, [send(1, "a", 0), Note(at=2, process="nemesis", text="kill -9"), poll(3, (0, "a")), end(4, 1)])
    write_history(broken, HAS_IT["torn transaction: committed"])
    seen = look_at(clean)
    assert (seen.returncode, "no anomaly" in seen.stdout, "nemesis: kill -9" in seen.stdout) == (0, True, True)
    seen = look_at(clean, broken)
    assert (seen.returncode, "torn transaction: 1" in seen.stdout) == (1, True)
    seen = look_at(tmp_path / "none.jsonl")
    assert (seen.returncode, "none.jsonl" in seen.stderr, "Traceback" in seen.stderr) == (1, True, False)


def look_at(*files: Path) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.fault.history", *map(str, files)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
