"""The shapes of what commands print for programs: declared once, held against what they really print."""

import inspect
import itertools
import json
import uuid
from importlib import import_module
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Producer
from tests.cli.conftest import moldau

import moldau as package
from moldau.cli import DEMOS, NOUNS, VERBS
from moldau.cli.shapes import SHAPES, complaint
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "cli_shapes.json"


@pytest.fixture(scope="module")
def cluster(servers):
    """A topic with records and a group with offsets."""
    for command, text in (
        ("topic create shapes -p 2 -c retention.ms=99999999999 --if-absent", ""),
        ("produce shapes -K : -H h=x", "a:1\nb:2\n"),
        ("quota set --every-ip --connections 100000", ""),
        ("group seek shapes --to earliest -t shapes --execute", ""),
    ):
        prepared = moldau(*command.split(), text=text, servers=servers)
        assert prepared.code == 0, prepared.err
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
    "streams describe shapes",
    "streams lag shapes --over 0",
    "streams reset shapes --input-topics shapes",
    "streams topology tests.cli.revenue:topology",
    "lag shapes --over 0",
    "quota list",
    "quota set --user nobody --produce 1000000",
    "quota unset produce --user nobody",
    "plan --peak 100 --consumers 4",
    "habits",
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


def holds(command: str, *more: str, **place) -> None:
    """Run a command that changes something, once, and hold what it prints against its shape."""
    words = command.split()
    ended = moldau(*words, *more, "-o", "json", **place)
    name = next(name for name in (" ".join(words[:2]), words[0]) if name in SHAPES)
    assert ended.json not in ([], {}), ended.err
    assert complaint(ended.json, SHAPES[name]) is None, name


def test_commands_that_can_be_carried_out_once_print_their_shapes(cluster, topic):
    group = f"of-{topic}"
    holds(f"topic create {topic} -p 1", servers=cluster)
    holds(f"produce {topic} --key k", text="1\n2\n3\n", servers=cluster)
    holds(f"topic grow {topic} 3", servers=cluster)
    holds(f"topic trim {topic} --before 1 --execute", servers=cluster)
    holds(f"topic trim {topic}", "--before", "@-1h", servers=cluster)
    holds(f"group seek {group} --to latest -t {topic} --execute", servers=cluster)
    holds(f"group delete-offsets {group} -t {topic} --yes", servers=cluster)
    holds(f"group delete {group} --yes", servers=cluster)
    holds(f"topic delete {topic} --yes", servers=cluster)


def test_commands_about_transactions_print_their_shapes(cluster, topic):
    moldau("topic", "create", topic, "-p", "1", servers=cluster)
    producer = Producer({"bootstrap.servers": cluster, "transactional.id": topic})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, "open", partition=0)
    assert producer.flush(30) == 0
    holds("txn list", servers=cluster)
    holds(f"txn describe {topic}", servers=cluster)
    # A transaction that hangs cannot be made with a client; the row of one is held against its shape in a test of it.
    assert moldau("txn", "find-hanging", "--topic", topic, "-o", "json", servers=cluster).json == []
    holds(f"txn abort {topic} 0 --start-offset 0", servers=cluster)


def test_commands_about_profiles_and_files_print_their_shapes(tmp_path):
    place = {"MOLDAU_PROFILES": str(tmp_path / "profiles.toml")}
    moldau("profile", "create", "here", "-b", "h:1", "-X", "sasl.password=x", **place)
    holds("profile list", **place)
    holds("profile show here", **place)
    file = tmp_path / "server.properties"
    file.write_text(f"log.dirs={tmp_path / 'data'}\nnum.partitons=1\n")
    holds("config check", str(file))
    file.write_text(f"log.dirs={tmp_path / 'data'}\n")
    holds("storage format --config", str(file), "-t", "MkU3OEVBNTcwNTJENDM2Qk")
    holds("storage info --config", str(file))


def test_commands_about_schemas_print_their_shapes(servers, tmp_path):
    settings = RegistrySettings(servers, port=0, topic="_schemas-shapes", group_id="shapes")
    subject = f"s-{uuid.uuid4().hex[:8]}"
    plain, more = tmp_path / "1.avsc", tmp_path / "2.avsc"
    plain.write_text('"int"')
    more.write_text('"long"')
    with RegistryThread(settings) as running:
        for file in (plain, more):
            holds(f"schema register {file} -s {subject} -r {running.url}")
        holds(f"schema list -r {running.url}")
        holds(f"schema get {subject} -r {running.url}")
        holds(f"schema diff {subject} 1 2 -r {running.url}")
        holds(f"schema compat -r {running.url}")
        plain.write_text('"string"')
        holds(f"schema check {plain} -s {subject} -r {running.url}")
        holds(f"schema delete {subject} --yes -r {running.url}")


def test_what_stands_in_log_files_has_its_shape(tmp_path):
    with package.Broker(tmp_path / "data") as broker:
        moldau("produce", "t", text="1\n", servers=broker.bootstrap_servers)
    holds("log dump", str(tmp_path / "data"), "-r")


def test_every_command_that_prints_data_has_a_shape():
    places = {**VERBS, **{f"demo {name}": place for name, place in DEMOS.items()}}
    for noun, (_text, verbs) in NOUNS.items():
        for verb, function in verbs.items():
            places[f"{noun} {verb}"] = function if ":" in function else f"moldau.cli.{noun}:{function}"
    printing = set()
    for command, place in places.items():
        module, function = place.split(":")
        if "output" in inspect.signature(getattr(import_module(module), function)).parameters:
            printing.add(command)
    assert printing == SHAPES.keys()


def kept(old, new, path: str) -> str | None:
    """Where a shape takes away or changes what programs rely on; it may have more than before."""
    if isinstance(old, dict):
        if not isinstance(new, dict):
            return path
        gone = (f"{path}.{name}" for name in old if name not in new)
        changed = (kept(one, new[name], f"{path}.{name}") for name, one in old.items() if name in new)
        return next(filter(None, itertools.chain(gone, changed)), None)
    if isinstance(old, list):
        return kept(old[0], new[0], f"{path}[]") if isinstance(new, list) else path
    return None if old == new else path


def test_names_and_types_that_programs_rely_on_stay():
    old = json.loads(GOLDEN.read_text())
    assert [place for command, shape in old.items() if (place := kept(shape, SHAPES.get(command), command))] == []
    assert old.keys() == SHAPES.keys(), f"write the new ones into {GOLDEN}"


def test_a_shape_is_shown_without_a_cluster_and_only_where_there_is_one():
    assert moldau("topic", "list", "-o", "schema").json == SHAPES["topic list"]
    assert moldau("topic", "list", "--output=schema").json == SHAPES["topic list"]
    assert moldau("storage", "random-uuid", "-o", "schema").code == 2


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({}, {"key": None, "value": None}),
        ({"key": "k", "value": "v"}, {"key": "k", "value": "v"}),
        ({"key_base64": "/w==", "value_base64": "/w=="}, {"key_base64": "/w==", "value_base64": "/w=="}),
        ({"headers": [{"name": "h", "value_base64": "/w=="}]}, {"headers": [{"name": "h", "value_base64": "/w=="}]}),
    ],
)
def test_a_record_of_any_bytes_keeps_the_shape_of_consume(cluster, topic, line, expected):
    moldau("topic", "create", topic, servers=cluster)
    moldau("produce", topic, "--json", text=json.dumps(line) + "\n", servers=cluster)
    [record] = moldau("consume", topic, "-f", "earliest", "-e", "-o", "jsonl", servers=cluster).lines
    assert expected.items() <= record.items()
    assert complaint([record], SHAPES["consume"]) is None


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


def test_a_name_that_may_be_missing_has_its_shape_when_it_is_there():
    shape = {"n": "integer", "coded?": "text"}
    assert complaint({"n": 1}, shape) is None
    assert complaint({"n": 1, "coded": "x"}, shape) is None
    assert complaint({"n": 1, "coded": 2}, shape) == ".coded is 2, not text"
    assert complaint({"coded": "x"}, shape) == "it differs in n"


def test_names_that_are_not_known_before_have_a_shape_too():
    shape = {"kind": "text", "*": "integer"}
    assert complaint({"kind": "x", "a": 1, "b": 2}, shape) is None
    assert complaint({"kind": "x", "a": "1"}, shape) == ".a is '1', not integer"
    assert complaint({"a": 1}, shape) == "it differs in kind"
