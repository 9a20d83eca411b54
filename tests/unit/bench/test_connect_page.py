"""The table of Connect's benchmark: medians of the rounds, ratios, and what did not finish."""

from bench.versus.connect.measured import Measured
from bench.versus.connect.page import Row, page

FACTS = {
    "command": "c",
    "postgres": "18",
    "rounds": "3 rounds",
    "rows": 1,
    "changes": 1,
    "snapshot": 1,
    "lake": 1,
    "load_before": 0.5,
}


def test_a_row_has_medians_and_how_often_the_others_go_into_them():
    rounds = [
        {
            "moldau": Measured(1000, wall, 0.01),
            "debezium": Measured(1000, 10.0, 0.05),
            "limit": Measured(1000, 2.0, 0.001),
        }
        for wall in (1.0, 5.0, 2.0)
    ]
    line = Row("changes", "debezium", rounds).line()
    assert line == "| changes | 500 | 100 | 500 | **5.00** | **1.00** | 10.00 | 50.00 | 1.00 | **5.00** |"
    alone = Row("sink", "debezium", [{"moldau": Measured(10, 1, 1)}]).line()
    assert alone == "| sink | 10 |  |  |  |  | 100000.00 |  |  |  |"


def test_what_did_not_finish_stands_below():
    text = page([], ["snapshot did not finish: no reason"], FACTS)
    assert text.endswith("\n- snapshot did not finish: no reason\n")
