"""`moldau schema`: against a registry beside the tests' broker."""

from __future__ import annotations

import json
import uuid

import pytest
import yaml
from tests.cli.conftest import moldau

from moldau.cli.shapes import complaint
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings

FIELDS = [{"name": "id", "type": "string"}]


@pytest.fixture(scope="module")
def url(servers):
    settings = RegistrySettings(servers, port=0, topic="_schemas-cli", group_id="cli")
    with RegistryThread(settings) as running:
        yield running.url


@pytest.fixture
def subject() -> str:
    return f"s-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def schema(tmp_path):
    def write(*more, **about) -> str:
        file = tmp_path / f"{uuid.uuid4().hex}.avsc"
        file.write_text(json.dumps({"type": "record", "name": "R", "fields": [*FIELDS, *more], **about}))
        return str(file)

    return write


def run(url: str, *words: str, **more):
    return moldau("schema", *words, "-r", url, **more)


def test_a_schema_is_registered_listed_and_shown(url, subject, schema):
    registered = run(url, "register", schema(), "-s", subject, "-o", "json")
    assert (registered.code, registered.json["version"]) == (0, 1)
    (listed,) = run(url, "list", subject, "-o", "json").json
    assert listed == {"subject": subject, "version": 1, "id": registered.json["id"], "type": "AVRO"}
    shown = run(url, "get", subject)
    assert json.loads(shown.out)["fields"] == FIELDS
    by_id = run(url, "get", "--id", str(registered.json["id"]), "-o", "json").json
    assert json.loads(by_id["schema"])["fields"] == FIELDS


def test_check_says_what_would_break_and_for_whom(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    allowed = run(url, "check", schema({"name": "region", "type": "string", "default": "US"}), "-s", subject)
    assert (allowed.code, "BACKWARD allows it" in allowed.err) == (0, True)
    refused = run(url, "check", schema({"name": "region", "type": "string"}), "-s", subject)
    assert refused.code == 1
    assert "consumers with this schema could not read what was written with version 1" in refused.out
    assert "/fields/1" in refused.out
    assert "'region'" in refused.out
    assert "BACKWARD forbids this change" in refused.err
    forward = run(url, "check", schema(), "-s", subject, "--level", "FORWARD")
    assert forward.code == 0


def test_check_of_a_new_subject_has_nothing_to_break(url, subject, schema):
    assert run(url, "check", schema(), "-s", subject).code == 0


def test_check_changes_nothing(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    run(url, "check", schema({"name": "x", "type": "int", "default": 1}), "-s", subject)
    assert run(url, "list", subject, "-o", "json").json[0]["version"] == 1


def test_old_readers_are_named_when_it_is_they_who_break(url, subject, schema):
    run(url, "compat", subject, "--set", "FORWARD")
    run(url, "register", schema({"name": "x", "type": "int"}), "-s", subject)
    refused = run(url, "check", schema(), "-s", subject)
    assert "consumers that still have version 1 could not read what is written with this schema" in refused.out


def test_a_refused_registration_points_to_the_check(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    refused = run(url, "register", schema({"name": "region", "type": "string"}), "-s", subject)
    assert (refused.code, "moldau schema check" in refused.err) == (1, True)


def test_a_broken_schema_is_told_with_its_place(url, subject, tmp_path):
    file = tmp_path / "broken.avsc"
    file.write_text('{"type": "record", "name": "R", "fields": [{"name": "a", "type": "strnig"}]}')
    for verb in ("check", "register"):
        refused = run(url, verb, str(file), "-s", subject)
        assert (refused.code, "strnig" in refused.err, "/fields/0/type" in refused.err) == (1, True, True)


def test_references_are_followed(url, subject, schema, tmp_path):
    target = f"{subject}-target"
    file = tmp_path / "target.avsc"
    file.write_text('{"type": "record", "name": "T", "fields": []}')
    run(url, "register", str(file), "-s", target)
    user = schema({"name": "t", "type": "T"})
    assert run(url, "register", user, "-s", subject, "--reference", f"T={target}:1").code == 0
    assert run(url, "check", user, "-s", subject, "--reference", f"T={target}:latest").code == 0
    assert run(url, "check", user, "-s", subject, "--reference", "T").code == 2


def test_diff_shows_the_lines_and_who_reads_whom(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    run(url, "register", schema({"name": "region", "type": "string", "default": "US"}), "-s", subject)
    shown = run(url, "diff", subject, "1", "2")
    assert '+      "name": "region",' in shown.out
    assert "version 2 can read what was written with 1" in shown.out
    assert "version 1 can read what is written with 2" in shown.out


def test_deleting_asks_first_and_is_done_in_two_steps(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    assert run(url, "delete", subject).code == 2
    assert run(url, "delete", subject, "--permanent", "-y").code == 1
    assert run(url, "delete", subject, "-y").code == 0
    assert run(url, "list", subject, "-o", "json").json == []
    assert run(url, "delete", subject, "--permanent", "-y").code == 0


def test_what_is_printed_for_programs_keeps_its_shape(url, subject, schema):
    run(url, "register", schema(), "-s", subject)
    broken = schema({"name": "region", "type": "string"})
    run(url, "register", schema({"name": "x", "type": "int", "default": 0}), "-s", subject)
    commands = [
        ["list", subject],
        ["get", subject],
        ["register", schema(), "-s", subject],
        ["check", broken, "-s", subject],
        ["diff", subject, "1", "2"],
        ["compat", subject],
        ["delete", subject, "-y"],
    ]
    for words in commands:
        shape = moldau("schema", *words, "-o", "schema").json
        printed = run(url, *words, "-o", "yaml")
        assert complaint(yaml.safe_load(printed.out), shape) is None, words


def test_nobody_there_is_no_connection():
    ended = moldau("schema", "list", "-r", "http://127.0.0.1:1")
    assert (ended.code, "moldau up" in ended.err) == (3, True)
    assert moldau("schema", "list", "-r", "nonsense").code == 2
