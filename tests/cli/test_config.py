"""Settings from the command line: shown with their origin, changed, explained, and checked in a file."""

import pytest
from tests.cli.conftest import moldau


def shown(servers, *what):
    ended = moldau("config", "show", *what, "-o", "json", servers=servers)
    assert ended.code == 0, ended.err
    return {one["setting"]: (one["value"], one["source"]) for one in ended.json}


def test_a_setting_of_a_topic_is_set_shown_with_its_origin_and_unset(servers, topic):
    moldau("topic", "create", topic, servers=servers)
    assert shown(servers, "topic", topic) == {}
    assert moldau("config", "set", "topic", topic, "retention.ms=9223372036854775807", servers=servers).code == 0
    assert shown(servers, "topic", topic) == {"retention.ms": ("9223372036854775807", "topic")}
    assert shown(servers, "topic", topic, "--all")["cleanup.policy"] == ("delete", "default")
    assert moldau("config", "unset", "topic", topic, "retention.ms", servers=servers).code == 0
    assert shown(servers, "topic", topic) == {}


def test_a_setting_of_all_brokers_is_one_of_the_cluster(servers):
    assert moldau("config", "set", "broker", "default", "log.cleaner.threads=2", servers=servers).code == 0
    assert shown(servers, "broker", "default")["log.cleaner.threads"] == ("2", "cluster, changed")
    assert moldau("config", "set", "broker", "1", "log.cleaner.threads=3", servers=servers).code == 0
    assert shown(servers, "broker", "1")["log.cleaner.threads"] == ("3", "broker, changed")
    for name in ("1", "default"):
        assert moldau("config", "unset", "broker", name, "log.cleaner.threads", servers=servers).code == 0
    assert "log.cleaner.threads" not in shown(servers, "broker", "1")


def test_a_group_has_settings_of_its_own(servers, topic):
    assert moldau("config", "set", "group", topic, "consumer.session.timeout.ms=46000", servers=servers).code == 0
    assert shown(servers, "group", topic)["consumer.session.timeout.ms"] == ("46000", "group")


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["set", "broker", "default", "log.cleaner.threads=x"], 1, "Invalid value x"),
        (["set", "topic", "nothing-here", "retention.ms=1"], 1, "UNKNOWN_TOPIC_OR_PART"),
        (["set", "topic", "t", "retention.ms"], 2, "key=value"),
        (["set", "topic", "t"], 2, "nothing to set"),
        (["unset", "topic", "t"], 2, "nothing to unset"),
        (["show", "galaxy", "t"], 2, "galaxy"),
    ],
)
def test_what_cannot_be_done_is_said(servers, arguments, code, text):
    ended = moldau("config", *arguments, servers=servers)
    assert ended.code == code
    assert text in ended.err


def test_a_misspelt_setting_of_brokers_is_told_also_where_it_is_taken(servers):
    ended = moldau("config", "set", "broker", "default", "log.cleaner.threds=2", servers=servers)
    assert "did you mean log.cleaner.threads?" in ended.err
    # Apache Kafka takes what it does not know, in case a plug-in reads it. Moldau has no plug-ins.
    shown = moldau("config", "show", "broker", "default", "-o", "json", servers=servers).json
    assert ended.code == (0 if "log.cleaner.threds" in {one["setting"] for one in shown} else 1)


def test_a_key_is_explained_in_every_scope_that_has_it():
    (retention,) = moldau("config", "explain", "retention.ms", "-o", "json").json
    assert (retention["type"], retention["default"], retention["scope"]) == ("long", "604800000", "topic")
    assert retention["default_from"][0] == "log.retention.ms"
    (threads,) = moldau("config", "explain", "num.io.threads", "-o", "json").json
    assert threads["here"] == "accepted without effect"
    assert threads["instead"]
    both = moldau("config", "explain", "min.insync.replicas", "-o", "json").json
    assert {one["scope"] for one in both} == {"broker", "topic"}


def test_a_key_that_is_none_is_answered_with_the_nearest():
    ended = moldau("config", "explain", "retenton.ms")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "error: retenton.ms is no setting of Kafka 4.3\nhint: did you mean retention.ms?\n"


PROPERTIES = """\
# a comment
log.dirs=/tmp/x
num.partitons=3
log.retention.ms=x
num.io.threads=16
"""
TOML = """\
log.dirs = "/tmp/x"
"num.partitons" = 3
[log.retention]
ms = "x"
[num]
io.threads = 16
"""


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("server.properties", PROPERTIES, [3, 4]),
        ("moldau.toml", TOML, [2, 4]),
        ("pyproject.toml", '[project]\nname = "x"\n[tool.moldau]\n' + TOML.replace("[", "[tool.moldau."), [5, 7]),
    ],
)
def test_every_mistake_of_a_file_is_told_with_its_line(tmp_path, name, text, lines):
    file = tmp_path / name
    file.write_text(text)
    ended = moldau("config", "check", str(file), "-o", "json")
    assert ended.code == 1
    assert [one["line"] for one in ended.json] == lines
    assert "did you mean num.partitions?" in ended.json[0]["problem"]
    assert "Invalid value x for configuration log.retention.ms" in ended.json[1]["problem"]
    assert f"{file}:{lines[0]}: error: num.partitons" in moldau("config", "check", str(file)).out


@pytest.mark.parametrize("name", ["server.properties", "moldau.toml"])
def test_a_file_without_mistakes_is_fine_with_a_warning_for_what_has_no_effect(tmp_path, name):
    file = tmp_path / name
    text = "log.dirs=/tmp/x\nnum.io.threads=16\n"
    file.write_text(text if name.endswith("properties") else 'log.dirs = ["/tmp/x"]\n"num.io.threads" = 16\n')
    ended = moldau("config", "check", str(file), "-o", "json")
    assert (ended.code, [one["severity"] for one in ended.json]) == (0, ["warning"])
    assert "num.io.threads" in ended.json[0]["problem"]


def test_a_file_that_is_no_toml_is_told_with_the_place(tmp_path):
    file = tmp_path / "moldau.toml"
    file.write_text("log.dirs = \n")
    ended = moldau("config", "check", str(file))
    assert ended.code == 1
    assert "line 1" in ended.out
    assert moldau("config", "check", str(tmp_path / "none")).code == 2
