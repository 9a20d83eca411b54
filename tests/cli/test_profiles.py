"""Named clusters: what wins over what, and that secrets stay secret."""

import stat

import pytest
from tests.cli.conftest import moldau


@pytest.fixture
def file(tmp_path):
    return tmp_path / "config" / "profiles.toml"


def test_a_profile_says_where_the_cluster_is_unless_a_flag_or_a_variable_does(servers, file):
    place = {"MOLDAU_PROFILES": str(file)}
    assert moldau("profile", "create", "here", "-b", servers, **place).code == 0
    assert moldau("profile", "create", "nowhere", "-b", "localhost:1", **place).code == 0
    assert moldau("topic", "list", **place).code == 3
    assert moldau("topic", "list", "--profile", "here", **place).code == 0
    assert moldau("topic", "list", MOLDAU_PROFILE="here", **place).code == 0
    assert moldau("topic", "list", servers=servers, **place).code == 0
    assert moldau("topic", "list", "-b", servers, **place).code == 0
    assert moldau("profile", "use", "here", **place).code == 0
    assert moldau("topic", "list", **place).code == 0
    listed = moldau("profile", "list", "-o", "json", **place).json
    assert [(one["profile"], one["current"]) for one in listed] == [("here", True), ("nowhere", False)]


def test_a_setting_of_the_flags_wins_over_one_of_the_profile(servers, file):
    place = {"MOLDAU_PROFILES": str(file)}
    moldau("profile", "create", "tls", "-b", servers, "-X", "security.protocol=ssl", **place)
    assert moldau("topic", "list", "--timeout", "2", **place).code != 0
    assert moldau("topic", "list", "-X", "security.protocol=plaintext", **place).code == 0


def test_secrets_are_not_shown_and_only_the_owner_can_read_the_file(file, tmp_path):
    place = {"MOLDAU_PROFILES": str(file)}
    (tmp_path / "password").write_text('p"\\\n')
    settings = ("-X", f"sasl.password=@{tmp_path / 'password'}", "-X", "sasl.username=me")
    moldau("profile", "create", 'odd "name"', *settings, **place)
    shown = moldau("profile", "show", "-o", "json", **place)
    assert {one["setting"]: one["value"] for one in shown.json["settings"]} == {
        "sasl.password": "(hidden)",
        "sasl.username": "me",
    }
    assert shown.json["profile"] == 'odd "name"'
    assert 'p"' not in shown.out + shown.err
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    file.chmod(0o644)
    assert "chmod 600" in moldau("profile", "list", **place).err


def test_a_profile_that_is_not_there_is_wrong_usage(file, servers):
    for command in (["topic", "list", "--profile", "x"], ["profile", "use", "x"], ["profile", "show"]):
        assert moldau(*command, servers=servers, MOLDAU_PROFILES=str(file)).code == 2


def test_a_file_that_is_none_of_ours_is_named(file, servers):
    file.parent.mkdir()
    file.write_text("current = [")
    ended = moldau("topic", "list", servers=servers, MOLDAU_PROFILES=str(file))
    assert ended.code == 2
    assert str(file) in ended.err


def test_a_profile_is_deleted_when_it_is_confirmed(file):
    place = {"MOLDAU_PROFILES": str(file)}
    moldau("profile", "create", "x", "-b", "localhost:1", **place)
    assert moldau("profile", "delete", "x", **place).code == 2
    assert moldau("profile", "delete", "x", "--yes", **place).code == 0
    assert moldau("profile", "list", "-o", "json", **place).json == []
