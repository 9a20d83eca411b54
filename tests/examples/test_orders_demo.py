"""The demo proves what it says, and fails when it cannot."""

import json
import signal
import subprocess
import sys
from array import array
from pathlib import Path

import pytest

from moldau.cli import run
from moldau.cli.demo import orders as source
from moldau.cli.demo import pipeline
from moldau.cli.demo.lag import draw
from moldau.cli.demo.processed import check_processed, check_replay, checksum
from moldau.cli.outcome import UsageError

ROOT = Path(__file__).resolve().parent.parent.parent


def entry(sequence, value=b"x", partition=0, offset=None):
    return [sequence, checksum(value), partition, sequence if offset is None else offset]


def failed(sent, *entries):
    found = check_processed(array("I", map(checksum, sent)), array("I", [n for one in entries for n in one]))
    return [finding.text.partition(":")[0] for finding in found if not finding.passed]


def test_orders_that_arrived_once_pass():
    assert failed([b"x", b"x"], entry(0), entry(1)) == []


def test_a_lost_order_and_one_that_came_twice_do_not_cancel_out():
    assert failed([b"x", b"x"], entry(0), entry(0, offset=5)) == ["lost", "twice", "order"]


def test_a_changed_order_is_noticed():
    assert failed([b"x"], entry(0, b"y")) == ["changed"]


def test_a_record_that_nobody_sent_is_noticed():
    assert failed([b"x"], entry(0), entry(9)) == ["strange"]


def test_an_order_that_overtook_another_is_noticed_within_its_partition():
    assert failed([b"x", b"x"], entry(0, offset=1), entry(1, offset=0)) == ["order"]
    assert failed([b"x", b"x"], entry(0, offset=1), entry(1, partition=1, offset=0)) == []


@pytest.mark.parametrize("replayed", [[1], [1, 2, 2], [0, 1, 2]])
def test_a_replay_that_is_not_exact_fails(replayed):
    assert not check_replay({1, 2}, replayed).passed
    assert check_replay({1, 2}, [2, 1]).passed


def test_the_sample_is_the_same_every_time_and_is_json():
    sample = source.generate(1000)
    assert sample == source.generate(1000)
    assert sample != source.generate(1000, seed=1)
    order = json.loads(sample[-1].value)
    assert order["order_id"] == "order-00000999"
    assert order["customer_id"].encode() == sample[-1].key


@pytest.mark.parametrize("name", ["orders.csv", "orders.jsonl"])
def test_orders_are_read_from_csv_and_from_json_lines(tmp_path, name):
    file = tmp_path / name
    if name.endswith("csv"):
        file.write_text('order_id,customer_id,note\n1,a,"x, y"\n2,b,é\n')
    else:
        file.write_text('{"order_id": 9007199254740993, "customer_id": "a"}\n\n{"customer_id": "b", "n": 1.10}\n')
    orders, column = source.read(file, None)
    assert column == "customer_id"
    assert [order.key for order in orders] == [b"a", b"b"]
    if name.endswith("csv"):
        assert json.loads(orders[0].value) == {"order_id": "1", "customer_id": "a", "note": "x, y"}
    else:
        assert orders[1].value == b'{"customer_id": "b", "n": 1.10}'
    assert source.read(file, "customer_id")[0] == orders


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "has no orders"),
        ("a,b\n", "has no orders"),
        ('{"a":1}\n{"b":2}\n', "order 2 has no a"),
        ('{"a":1}\nnonsense\n', "orders:2: no JSON"),
        ('{"a":1}\n[1]\n', "an order is a JSON object"),
        ("a,b\n1\n", "more or fewer columns"),
        ("a,b\n1,2,3\n", "more or fewer columns"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path, text, complaint):
    file = tmp_path / "orders"
    file.write_text(text)
    with pytest.raises(UsageError, match=complaint):
        source.read(file, None)


def test_a_column_that_is_not_there_is_refused(tmp_path):
    file = tmp_path / "orders.csv"
    file.write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column customer"):
        source.read(file, "customer")
    with pytest.raises(UsageError, match="cannot read"):
        source.read(tmp_path / "nothing", None)


def test_the_picture_of_the_lag_fits_a_terminal():
    lines = draw({partition: partition * 999_999 // 23 for partition in range(24)})
    assert len(lines) == 4
    assert max(map(len, lines)) <= 71


def test_the_demo_runs_on_its_own_node_with_a_file_of_the_user():
    done = subprocess.run(
        [sys.executable, "-m", "moldau", "demo", "orders", str(ROOT / "examples" / "orders" / "orders.csv")],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "60 orders sent, 60 processed exactly once" in done.stdout
    assert done.stdout.count("check    ok") == 12
    assert max(len(line) for line in done.stdout.splitlines()[1:]) <= 80
    assert [line for line in done.stdout.splitlines() if line.startswith("restart ")][2].startswith(
        "restart  processor-3"
    )


def test_a_demo_that_is_told_to_stop_leaves_nothing_running():
    demo = subprocess.Popen(
        [sys.executable, "-m", "moldau", "demo", "orders"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in demo.stdout:
        if line.startswith("group "):
            break
    children = {int(pid) for pid in Path(f"/proc/{demo.pid}/task/{demo.pid}/children").read_text().split()}
    assert len(children) == 4
    demo.send_signal(signal.SIGTERM)
    _out, err = demo.communicate(timeout=60)
    assert (demo.returncode, err) == (130, "")
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


def test_the_demo_fails_when_an_order_is_missing(servers, monkeypatch, capsys):
    whole = pipeline.read_entries
    monkeypatch.setattr(pipeline, "read_entries", lambda files: whole(files)[:-4])
    assert run(["demo", "orders", "-n", "2000", "--rate", "0", "--topic", "torn", "-b", servers]) == 1
    captured = capsys.readouterr()
    assert "FAIL lost: 1 of 2,000 orders were never processed" in captured.out
    assert captured.err == "error: 1 of 12 checks failed\n"


def test_the_demo_does_not_touch_a_topic_that_is_there(servers, capsys):
    assert run(["topic", "create", "taken", "-b", servers]) == 0
    assert run(["demo", "orders", "-n", "10", "--topic", "taken", "-b", servers]) == 1
    assert "TOPIC_ALREADY_EXISTS" in capsys.readouterr().err
