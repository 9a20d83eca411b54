"""What is said of a configuration beyond single settings."""

from __future__ import annotations

import pytest

from moldau.connect.plugin import Converter
from moldau.connect.plugins import Plugins
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.refusals import BadRequestError
from moldau.connect.runtime.settings import WorkerSettings
from moldau.connect.runtime.validation import Validation

SOURCE = "org.apache.kafka.connect.file.FileStreamSourceConnector"
GIVEN = {"name": "x", "connector.class": SOURCE, "topic": "t", "file": "/nothing"}
CAST = {"transforms": "c", "transforms.c.type": "Cast$Value", "transforms.c.spec": "int8"}


class Silent(Converter):
    """Does not say its settings."""

    def configure(self, configs, is_key):
        pass

    def config(self):
        raise RuntimeError("no words")

    def from_connect_data(self, topic, schema, value):
        return None

    def to_connect_data(self, topic, value):
        return None


@pytest.fixture
def validation():
    return Validation(Plugins(), WorkerSettings({"bootstrap.servers": "127.0.0.1:1"}), ConfigResolver({}))


def errors(validation, **more):
    found = validation.judge({**GIVEN, **more})["configs"]
    return {each["value"]["name"]: each["value"]["errors"] for each in found if each["value"]["errors"]}


@pytest.mark.parametrize("asked", ["4.3.1", "latest", "[4.0,5.0)", " [4.3.1] "])
def test_the_version_that_there_is_may_be_asked_for(validation, asked):
    assert errors(validation, **{"connector.plugin.version": asked}) == {}


def test_another_version_of_a_plugin_is_refused(validation):
    names = {
        "connector": SOURCE,
        "key.converter": "org.apache.kafka.connect.storage.StringConverter",
        "transforms.c": "Cast$Value",
    }
    given = {**CAST, "key.converter": names["key.converter"]}
    found = errors(validation, **given, **{f"{each}.plugin.version": "[9,)" for each in names})
    reason = "Plugin {} not found that matches the version range [9,), available versions: [4.3.1]"
    assert found == {
        **{f"{each}.plugin.version": [reason.format(name)] for each, name in names.items()},
        "connector.class": [reason.format(SOURCE)],
        "key.converter": [reason.format(names["key.converter"])],
        "transforms.c.type": [reason.format("Cast$Value")],
    }


def test_what_is_no_version_is_told_at_its_setting(validation):
    (said,) = errors(validation, **{"connector.plugin.version": "[1"})["connector.plugin.version"]
    assert said.startswith("Invalid value [1 for configuration connector.plugin.version: [1 is neither a version nor")


@pytest.mark.parametrize("kind", ["key", "value", "header"])
def test_a_version_without_a_converter_of_its_own_is_one_and_decides_nothing(validation, kind):
    setting = f"{kind}.converter.plugin.version"
    assert errors(validation, **{setting: "9"}) == {}
    (said,) = errors(validation, **{setting: "[1"})[setting]
    assert said.startswith(f"Invalid value [1 for configuration {setting}: [1 is neither a version nor")


def test_settings_of_another_version_are_not_to_be_had(validation):
    assert validation.settings_of(SOURCE, "[4,5)") == validation.settings_of(SOURCE)
    with pytest.raises(BadRequestError, match=r"not found that matches the version range \[3\.0\]"):
        validation.settings_of(SOURCE, "3.0")
    with pytest.raises(BadRequestError, match="Invalid version specification"):
        validation.settings_of(SOURCE, "[")


def test_a_converter_that_does_not_say_its_settings_is_told_in_the_log(validation, caplog):
    assert errors(validation, **{"key.converter": f"{__name__}:Silent", "key.converter.a": "b"}) == {}
    assert "Silent does not say its settings, so those below key.converter. are not judged" in caplog.text
    assert "no words" in caplog.text
