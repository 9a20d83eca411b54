"""Variables in settings: put in late, from files, folders and the environment, and only there."""

import pytest

from moldau.connect.errors import ConfigError
from moldau.connect.runtime.config_provider import ConfigResolver, providers_of, with_variables_of


@pytest.fixture
def resolver():
    return ConfigResolver(providers_of({}))


def test_a_value_comes_from_a_properties_file(resolver, tmp_path):
    secrets = tmp_path / "db.properties"
    secrets.write_text("# the database\nuser = me\npassword: s\\u00e9cret=1\n")

    resolved = resolver.resolve({"password": f"${{file:{secrets}:password}}", "url": f"//${{file:{secrets}:user}}@db"})

    assert resolved == {"password": "sécret=1", "url": "//me@db"}


def test_a_value_comes_from_a_folder_with_a_file_per_key(resolver, tmp_path):
    (tmp_path / "token").write_text("abc")

    assert resolver.resolve({"a": f"${{dir:{tmp_path}:token}}"}) == {"a": "abc"}


def test_a_key_does_not_lead_out_of_its_folder(resolver, tmp_path):
    (tmp_path / "outside").write_text("abc")
    inside = tmp_path / "inside"
    inside.mkdir()
    asked = f"${{dir:{inside}:../outside}}"

    assert resolver.resolve({"a": asked}) == {"a": asked}


def test_a_value_comes_from_the_environment(resolver, monkeypatch):
    monkeypatch.setenv("CONNECT_TOKEN", "abc")

    assert resolver.resolve({"a": "${env:CONNECT_TOKEN}"}) == {"a": "abc"}


def test_what_a_transform_means_is_left_alone(resolver):
    config = {"a": "outbox.event.${routedByValue}", "b": "${vault:secret/db:password}", "c": None, "d": "$1"}

    assert resolver.resolve(config) == config


def test_a_key_that_is_not_there_leaves_the_variable_as_it_is(resolver, tmp_path):
    secrets = tmp_path / "db.properties"
    secrets.write_text("user=me\n")

    assert resolver.resolve({"a": f"${{file:{secrets}:password}}"}) == {"a": f"${{file:{secrets}:password}}"}


def test_a_file_that_is_not_there_is_an_error_with_its_name(resolver):
    with pytest.raises(ConfigError, match=r"/no/such\.properties"):
        resolver.resolve({"a": "${file:/no/such.properties:b}"})


def test_paths_outside_of_the_allowed_ones_are_refused(tmp_path):
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside.properties").write_text("a=b")
    settings = {
        "config.providers": "mine",
        "config.providers.mine.class": "org.apache.kafka.common.config.provider.FileConfigProvider",
        "config.providers.mine.param.allowed.paths": str(inside),
    }
    resolver = ConfigResolver(providers_of(settings))

    with pytest.raises(ConfigError, match="allowed"):
        resolver.resolve({"a": f"${{mine:{inside}/../outside.properties:a}}"})


def test_variables_that_match_no_allowlist_stay(monkeypatch):
    monkeypatch.setenv("OPEN_DOOR", "1")
    monkeypatch.setenv("SECRET_DOOR", "2")
    settings = {
        "config.providers": "env",
        "config.providers.env.class": "org.apache.kafka.common.config.provider.EnvVarConfigProvider",
        "config.providers.env.param.allowlist.pattern": "OPEN_.*",
    }
    resolver = ConfigResolver(providers_of(settings))

    assert resolver.resolve({"a": "${env:OPEN_DOOR}", "b": "${env:SECRET_DOOR}"}) == {
        "a": "1",
        "b": "${env:SECRET_DOOR}",
    }


def test_a_provider_of_java_that_we_have_not_is_refused_at_the_start():
    with pytest.raises(ConfigError, match="VaultConfigProvider"):
        providers_of({"config.providers": "v", "config.providers.v.class": "com.VaultConfigProvider"})


def test_task_configurations_are_stored_with_their_variables():
    raw = {"password": "${file:/s:p}", "topic": "a"}

    assert with_variables_of(raw, [{"password": "secret", "topic": "a", "n": "1"}]) == [
        {"password": "${file:/s:p}", "topic": "a", "n": "1"}
    ]
