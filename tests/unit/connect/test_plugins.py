"""What a configuration may name is there, is what it is listed as, and has Java's name."""

import pytest

from moldau.connect.plugins import BASES, TABLE, TRANSFORMS, java_name, load


@pytest.mark.parametrize("plugin", TABLE, ids=lambda plugin: f"{plugin.kind}:{plugin.simple_name}")
def test_every_plugin_can_be_made_and_is_of_its_kind(plugin):
    made = load(plugin.place)()
    assert isinstance(made, BASES[plugin.kind])
    assert java_name(type(made)) == plugin.name


def test_all_transforms_and_predicates_of_kafka_are_there():
    listed = {plugin.simple_name.partition("$")[0] for plugin in TABLE if plugin.name.startswith(TRANSFORMS)}
    assert listed == {
        *("Cast", "DropHeaders", "ExtractField", "Filter", "Flatten", "HasHeaderKey", "HeaderFrom", "HoistField"),
        *("InsertField", "InsertHeader", "MaskField", "RecordIsTombstone", "RegexRouter", "ReplaceField"),
        *("SetSchemaMetadata", "TimestampConverter", "TimestampRouter", "TopicNameMatches", "ValueToKey"),
    }
