"""The dashboard asks for names and labels that a node reports."""

from __future__ import annotations

import re

from moldau.observe.dashboard import COLUMNS, dashboard
from moldau.observe.families import ALL, Kind

NAMES = {
    name for family in ALL for name in ([f"{family.name}_bucket"] if family.kind is Kind.HISTOGRAM else [family.name])
}


def queries():
    made = dashboard()
    for panel in made["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in made["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]


def test_every_query_asks_for_what_there_is():
    for query in queries():
        asked = re.findall(r"\b((?:kafka|moldau|process)_[a-z_]+)", query)
        assert asked, query
        assert set(asked) <= NAMES, query


def test_counters_are_shown_as_rates_and_gauges_as_they_are():
    counters = {family.name for family in ALL if family.kind is Kind.COUNTER}
    for query in queries():
        for name in re.findall(r"\b((?:kafka|moldau|process)_[a-z_]+)", query):
            assert (f"rate({name}" in query) == (name in counters or name.endswith("_bucket")), query


def test_brackets_are_closed():
    for query in queries():
        for one, other in ("()", "{}", "[]"):
            assert query.count(one) == query.count(other), query


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= COLUMNS
        taken |= cells
