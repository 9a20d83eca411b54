"""Transforms, predicates and the guessing of types do what Kafka's own do: the recorded cases, one by one."""

from typing import Any

import pytest
from tests.golden.connect.cases import named
from tests.golden.connect.record import GOLDEN
from tests.golden.connect.recordings import read
from tests.unit.connect.transforms.replay import agree, by_name, outcome_of

RECORDED = read(GOLDEN)
# Where Moldau does otherwise, and why.
OTHERWISE = {
    "TimestampRouter {'timestamp.format': 'yyyy-bb'} of text": "a bad pattern is found when it is configured",
    "TimestampRouter {'timestamp.format': \"'open\"} of text": "a bad pattern is found when it is configured",
    "SetSchemaMetadata$Value {'schema.name': 'n', 'schema.version': '9'} of text": "Kafka asks a string for its fields",
}


def test_every_case_is_recorded_and_no_other():
    assert [case["name"] for case in named()] == list(RECORDED)


@pytest.mark.parametrize("case", **by_name(named()))
def test_the_outcome_is_that_of_kafka(case: dict[str, Any]):
    ours = outcome_of(case)
    assert agree(ours, RECORDED[case["name"]]) is (case["name"] not in OTHERWISE), ours
