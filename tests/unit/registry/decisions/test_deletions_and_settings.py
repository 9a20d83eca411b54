"""Deleting in two steps, and settings that fall back from subject to context to everything."""

from __future__ import annotations

import pytest
from tests.unit.registry.core import Core, record

from moldau.registry.decisions import configs, deletions, modes
from moldau.registry.errors import RegistryError
from moldau.registry.records import BadRecordError

ONE = record(("a", "int"))
TWO = record(("a", "int"), ("b", "int", 0))


@pytest.fixture
def core() -> Core:
    core = Core()
    core.register("s", ONE)
    core.register("s", TWO)
    return core


def refused(code: int):
    return pytest.raises(RegistryError, check=lambda error: error.code == code)


def test_a_subject_is_deleted_softly_and_then_permanently(core):
    state = core.state
    with refused(40405):
        deletions.delete_subject(state, "s", permanent=True)
    assert core.carry_out(deletions.delete_subject(state, "s", permanent=False)) == [1, 2]
    assert state.subjects() == []
    assert state.subjects(deleted=True) == state.subjects(deleted_only=True) == ["s"]
    assert state.by_id(".", 1)
    with refused(40404):
        deletions.delete_subject(state, "s", permanent=False)
    assert core.carry_out(deletions.delete_subject(state, "s", permanent=True)) == [1, 2]
    with refused(40401):
        deletions.delete_subject(state, "s", permanent=True)
    assert not state.by_id(".", 1)


def test_a_version_is_deleted_softly_and_then_permanently(core):
    state = core.state
    with refused(40407):
        deletions.delete_version(state, "s", 1, permanent=True)
    assert core.carry_out(deletions.delete_version(state, "s", 1, permanent=False)) == 1
    with refused(40406):
        deletions.delete_version(state, "s", 1, permanent=False)
    assert core.carry_out(deletions.delete_version(state, "s", 1, permanent=True)) == 1
    with refused(40402):
        deletions.delete_version(state, "s", 1, permanent=True)
    with refused(40401):
        deletions.delete_version(state, "nobody", 1, permanent=False)
    assert core.carry_out(deletions.delete_version(state, "s", None, permanent=False)) == 2


def test_the_number_of_a_deleted_version_is_not_given_again_while_it_is_known(core):
    core.carry_out(deletions.delete_version(core.state, "s", 2, permanent=False))
    assert core.register("s", record(("a", "int"), ("z", "int", 0))).version == 3


def test_settings_of_a_subject_go_with_it(core):
    core.carry_out(configs.set_config(core.state, "s", {"compatibility": "FULL"}))
    core.carry_out(deletions.delete_subject(core.state, "s", permanent=False))
    core.carry_out(deletions.delete_subject(core.state, "s", permanent=True))
    assert core.state.config("s") is None


def test_a_context_with_schemas_is_not_deleted(core):
    core.register(":.ctx:s", ONE)
    with refused(42211):
        deletions.delete_context(core.state, ".ctx")
    core.carry_out(deletions.delete_subject(core.state, ":.ctx:s", permanent=False))
    core.carry_out(deletions.delete_subject(core.state, ":.ctx:s", permanent=True))
    core.carry_out(deletions.delete_context(core.state, ".ctx"))
    assert core.state.contexts == set()


def test_settings_fall_back_from_subject_to_context_to_everything(core):
    state = core.state

    def level(subject: str | None) -> str:
        return state.config_in_scope(subject)["compatibilityLevel"]

    assert level("s") == level(":.ctx:s") == level(None) == "BACKWARD"
    core.carry_out(configs.set_config(state, None, {"compatibility": "full"}))
    assert (level("s"), level(":.ctx:s")) == ("FULL", "BACKWARD")
    core.carry_out(configs.set_config(state, ":.__GLOBAL:", {"compatibility": "NONE"}))
    assert (level("s"), level(":.ctx:s")) == ("FULL", "NONE")
    core.carry_out(configs.set_config(state, ":.ctx:", {"compatibility": "FORWARD"}))
    assert level(":.ctx:s") == "FORWARD"
    core.carry_out(configs.set_config(state, "s", {"normalize": True}))
    assert state.config_in_scope("s") == {"compatibilityLevel": "FULL", "normalize": True}
    with refused(40408):
        configs.get_config(state, "t", in_scope=False)
    core.carry_out(configs.delete_config(state, "s"))
    with refused(40401):
        configs.delete_config(state, "s")


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"compatibility": "SIDEWAYS"}, 42203),
        ({"compatibility": 1}, 42203),
        ({"normalize": "yes"}, 422),
        ({"overrideMetadata": 1}, 422),
        ({"defaultRuleSet": {"domainRules": [{"name": "1"}]}}, 42210),
    ],
)
def test_settings_that_make_no_sense_are_refused(core, given, code):
    with refused(code):
        configs.set_config(core.state, None, given)


def test_null_takes_a_setting_back_and_the_rest_stays(core):
    core.carry_out(configs.set_config(core.state, "s", {"compatibility": "FULL", "normalize": True}))
    answer = core.carry_out(configs.set_config(core.state, "s", {"normalize": None}))
    assert answer == {"compatibility": "FULL"}


def test_modes_fall_back_and_are_deleted(core):
    state = core.state
    assert modes.get_mode(state, None, in_scope=False) == {"mode": "READWRITE"}
    with refused(40409):
        modes.get_mode(state, "s", in_scope=False)
    core.carry_out(modes.set_mode(state, None, "readonly", force=False))
    assert modes.get_mode(state, "s", in_scope=True) == {"mode": "READONLY"}
    assert core.carry_out(modes.delete_mode(state, None, recursive=False)) == {"mode": "READONLY"}
    with refused(40401):
        modes.delete_mode(state, "s", recursive=False)
    with refused(42204):
        modes.set_mode(state, None, "UPSIDEDOWN", force=False)


def test_importing_empties_what_was_deleted_softly(core):
    core.carry_out(deletions.delete_subject(core.state, "s", permanent=False))
    core.carry_out(modes.set_mode(core.state, None, "IMPORT", force=False))
    assert core.state.subjects(deleted=True) == []
    assert core.state.next_id(".") == 3


def test_a_record_that_takes_the_id_of_another_schema_changes_nothing(core):
    key = b'{"keytype":"SCHEMA","subject":"t","version":1,"magic":1}'
    with pytest.raises(BadRecordError, match="claims the id 1"):
        core.write(key, b'{"subject":"t","version":1,"id":1,"schema":"\\"int\\""}')
    assert core.state.subjects() == ["s"]
    with pytest.raises(BadRecordError):
        core.write(b'{"keytype":"MODE","magic":0}', b"{}")
    with pytest.raises(BadRecordError):
        core.write(b'{"keytype":"DELETE_SUBJECT","subject":"s","magic":0}', b'{"subject":"s"}')
