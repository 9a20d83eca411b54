"""What mypy knows of a topology: the types that go in come out at the end, and wrong callbacks are found."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

# mypy reads the whole package once.
pytestmark = pytest.mark.timeout(300)

ROOT = Path(__file__).resolve().parents[3]
KINDS = {
    "a dataclass": """
@dataclass(frozen=True)
class Order:
    customer: str
    amount: float
""",
    "a msgspec Struct": """
class Order(msgspec.Struct, frozen=True):
    customer: str
    amount: float
""",
    "a pydantic model": """
class Order(pydantic.BaseModel):
    customer: str
    amount: float
""",
}
IMPORTS = """
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict
import msgspec
import pydantic
from moldau.streams import Consumed, JoinWindows, KStream, SessionWindows, StreamsBuilder, tumbling
"""
TOPOLOGY = """
builder = StreamsBuilder()
orders = builder.stream("orders", value=Order)
reveal_type(orders)  # KStream[str, Order]
reveal_type(builder.stream("orders", Consumed.with_(int, Order)))  # KStream[int, Order]
reveal_type(orders.filter(lambda order: order.amount > 0))  # KStream[str, Order]
reveal_type(orders.map(lambda key, order: (len(key), order.customer)))  # KStream[int, str]
reveal_type(orders.flat_map_values(lambda order: order.customer.split()))  # KStream[str, str]
amounts = orders.map_values(lambda order: order.amount)
reveal_type(amounts)  # KStream[str, float]
reveal_type(orders.split().branch(lambda order: order.amount > 9).default_branch())  # Branches[str, Order]
by_customer = orders.group_by(lambda order: order.customer)
reveal_type(by_customer)  # KGroupedStream[str, Order]
reveal_type(by_customer.count())  # KTable[str, int]
hours = by_customer.windowed_by(tumbling("1h"))
reveal_type(hours.count())  # KTable[Windowed[str], int]
revenue = hours.aggregate(lambda: 0.0, lambda order, total: total + order.amount)
reveal_type(revenue)  # KTable[Windowed[str], float]
reveal_type(revenue.to_stream())  # KStream[Windowed[str], float]
reveal_type(revenue.to_stream(lambda window, total: window.key))  # KStream[str, float]
reveal_type(hours.count().final())  # KTable[Windowed[str], int]
sessions = by_customer.windowed_by(SessionWindows.of_inactivity_gap_with_no_grace("1h"))
reveal_type(sessions.count())  # KTable[Windowed[str], int]
spent = sessions.aggregate(lambda: 0.0, lambda order, sum: sum + order.amount, lambda one, other: one + other)
reveal_type(spent)  # KTable[Windowed[str], float]
names = builder.table("names", value=str)
reveal_type(names)  # KTable[str, str]
reveal_type(names.map_values(len))  # KTable[str, int]
reveal_type(names.group_by(lambda key, name: (len(name), key)))  # KGroupedTable[int, str]
reveal_type(names.join(by_customer.count(), lambda name, count: (name, count)))  # KTable[str, tuple[str, int]]
rows = by_customer.reduce(lambda one, other: other)
reveal_type(rows)  # KTable[str, Order]
reveal_type(rows.join(names, lambda row: row.customer, lambda row, name: row.amount))  # KTable[str, float]
near = JoinWindows.of_time_difference_with_no_grace("1m")
reveal_type(orders.join(amounts, lambda order, amount: order.amount + amount, near))  # KStream[str, float]
reveal_type(orders.join(names, lambda order, name: (name, order.amount)))  # KStream[str, tuple[str, float]]
reveal_type(orders.left_join(names, lambda order, name: name))  # KStream[str, str | None]
all_names = builder.global_table("all-names", value=str)
reveal_type(orders.join(all_names, lambda order: order.customer, lambda order, name: name))  # KStream[str, str]
reveal_type(orders.print())  # None
orders.filter(lambda order: order.amonut > 0)  # error: "Order" has no attribute "amonut"
orders.join(names, lambda order, name: order.amount + name)  # error: Unsupported operand types for +
names.map_values(lambda name: name + 1)  # error: Unsupported operand types for +
"""
DICTS = """
class Row(TypedDict):
    customer: str
    amount: float

rows = StreamsBuilder().stream("rows", value=Row)
reveal_type(rows)  # KStream[str, Row]
rich = rows.filter(lambda row: row["amount"] > 0)
reveal_type(rich.group_by(lambda row: row["customer"]).count())  # KTable[str, int]
rows.filter(lambda row: row["amonut"] > 0)  # error: TypedDict "Row" has no key "amonut"
"""
EXPRESSIONS = """
builder = StreamsBuilder()
orders = builder.stream("orders", value=dict)
paid = orders.filter(col.status.is_in(["PAID"]) & ~col.coupon.is_null() & col.name.lower().starts_with("a"))
reveal_type(paid)  # KStream[str, dict[Any, Any]]
reveal_type(col.amount.mean())  # Aggregation
reveal_type(abs(col.a - 1).between(0, col.b) | round(col.a, 2).is_not_null())  # Expression
reveal_type(paid.group_by_key().agg(mean=col.amount.mean(), n=count()))  # KTable[str, Any]
paid.group_by_key().agg(mean=col.amount)  # error: has incompatible type "Expression"; expected "Aggregation"
"x" in col.tags  # error: "Expression" has no attribute "__iter__"
[tag for tag in col.tags]  # error: "Expression" has no attribute "__iter__"
col.name.starts_with(5)  # error: incompatible type "int"
"""


PROGRAMS = {f"of_{kind.split()[1]}": IMPORTS + declared + TOPOLOGY for kind, declared in KINDS.items()}
PROGRAMS["of_typed_dict"] = IMPORTS + DICTS
PROGRAMS["of_expressions"] = "from moldau.streams import StreamsBuilder, col, count\n" + EXPRESSIONS


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], str]:
    """What mypy says of each line of each program."""
    folder = tmp_path_factory.mktemp("typing")
    for name, program in PROGRAMS.items():
        (folder / f"{name}.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary"]
    done = subprocess.run(
        [*command, "--follow-imports=silent", f"--cache-dir={folder / 'cache'}", str(folder)],
        capture_output=True,
        text=True,
        cwd=ROOT / "python",
        check=False,
    )
    heard: dict[tuple[str, int], str] = {}
    for name, number, text in re.findall(r"(\w+)\.py:(\d+): (?:note|error): (.*)", done.stdout):
        heard[name, int(number)] = heard.get((name, int(number)), "") + text + "\n"
    assert heard, done.stdout + done.stderr
    return heard


@pytest.mark.parametrize("name", PROGRAMS)
def test_types_go_through_a_topology_from_its_values_to_its_joins(name: str, said: dict[tuple[str, int], str]):
    for number, line in enumerate(PROGRAMS[name].splitlines(), start=1):
        _, _, comment = line.partition("  # ")
        heard = said.get((name, number), "")
        if comment.startswith("error: "):
            assert comment.removeprefix("error: ") in heard, (line, heard)
        elif line.startswith("reveal_type"):
            assert shown(heard) == comment, (line, heard)
        else:
            assert not heard, (line, heard)


def shown(heard: str) -> str:
    """A revealed type without the modules of its names, and a named tuple by its name."""
    found = re.search(r'Revealed type is "(.*)"', heard)
    assert found is not None, heard
    plain = re.sub(r"(?:\w+\.)+(\w+)", r"\1", found[1])
    plain = re.sub(r"tuple\[\w+, int, int, fallback=(Windowed\[\w+\])\]", r"\1", plain)
    return re.sub(r"TypedDict\((\w+), \{[^}]*\}\)", r"\1", plain)
