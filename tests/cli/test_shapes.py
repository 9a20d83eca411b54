"""The shapes of what commands print for programs: declared once, held against what they really print."""

import json

import pytest
import yaml
from tests.cli.conftest import moldau

from moldau.cli.shapes import SHAPES, complaint


@pytest.fixture(scope="module")
def cluster(servers):
    """A topic with records and a group with offsets."""
    moldau("topic", "create", "shapes", "-p", "2", "-c", "retention.ms=99999999999", servers=servers)
    moldau("produce", "shapes", "-K", ":", "-H", "h=x", text="a:1\nb:2\n", servers=servers)
    moldau("quota", "set", "--every-ip", "--connections", "100000", servers=servers)
    moldau("group", "seek", "shapes", "--to", "earliest", "-t", "shapes", "--execute", servers=servers)
    return servers


COMMANDS = [
    "api-versions",
    "topic list",
    "topic describe shapes",
    "topic config shapes",
    "topic create shapes --validate-only shapes-2",
    "topic offsets shapes",
    "topic trim shapes --before 0",
    "cluster describe",
    "cluster quorum",
    "cluster features",
    "config show topic shapes",
    "config show broker 1",
    "config show broker default",
    "config set topic shapes segment.ms=1000000",
    "config unset topic shapes segment.ms",
    "config explain retention.ms",
    "doctor",
    "consume shapes -f earliest -e",
    "group list",
    "group describe shapes",
    "group seek shapes --to latest",
    "lag shapes --over 0",
    "quota list",
    "quota set --user nobody --produce 1000000",
    "quota unset produce --user nobody",
    "plan --peak 100 --consumers 4",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_prints_its_shape_in_every_format(cluster, command):
    words = command.split()
    shape = json.loads(moldau(*words, "-o", "schema").out)
    ended = moldau(*words, "-o", "json", servers=cluster)
    printed = ended.lines if words[0] == "consume" else ended.json
    assert printed not in ([], {})
    assert complaint(printed, shape) is None
    documents = list(yaml.safe_load_all(moldau(*words, "-o", "yaml", servers=cluster).out))
    assert complaint(documents if words[0] == "consume" else documents[0], shape) is None
    lines = moldau(*words, "-o", "jsonl", servers=cluster).lines
    assert all(complaint(line, shape[0] if isinstance(shape, list) else shape) is None for line in lines)


def test_a_shape_is_shown_without_a_cluster_and_only_where_there_is_one():
    assert moldau("topic", "list", "-o", "schema").json == SHAPES["topic list"]
    assert moldau("storage", "random-uuid", "-o", "schema").code == 2


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([{"n": 1}], None),
        ([], None),
        ({"n": 1}, "it is no list"),
        ([{"n": True}], "[0].n is True, not integer"),
        ([{"n": "1"}], "[0].n is '1', not integer"),
        ([{"n": None}], "[0].n is None, not integer"),
        ([{"n": 1, "more": 2}], "[0] differs in more"),
        ([{}], "[0] differs in n"),
    ],
)
def test_a_shape_that_is_not_kept_is_told_with_the_place(value, expected):
    assert complaint(value, [{"n": "integer"}]) == expected
