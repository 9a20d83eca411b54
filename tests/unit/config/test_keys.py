"""The tables and what is done with one key at a time."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau import config
from moldau.config import ConfigError, ConfigType, Dynamic, Scope, Support
from moldau.config.key import NonEmpty, row

EVERY_KEY = [key for keys in config.KEYS.values() for key in keys.values()]


def key(name: str, scope: Scope = Scope.BROKER) -> config.ConfigKey:
    found = config.find(scope, name)
    assert found is not None
    return found


@pytest.mark.parametrize("row", EVERY_KEY, ids=lambda row: f"{row.scope.value}:{row.name}")
def test_a_row_is_complete_and_its_default_is_valid(row):
    assert row.doc.endswith((".", "?"))
    assert "\n" not in row.doc
    assert (row.support is Support.HONOURED) == (row.reason == "")
    if row.default is not None:
        written = config.render(row.default)
        assert config.parse(row, written) == row.default
    if row.scope is not Scope.BROKER:
        assert row.dynamic is Dynamic.READ_ONLY
    for synonym in row.synonyms:
        assert synonym.name in config.BROKER_KEYS


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("num.partitions", "0", "Value must be at least 1"),
        ("num.partitions", "many", "Not a number of type INT"),
        ("num.partitions", "2147483648", "Not a number of type INT"),
        ("num.partitions", "1_000", "Not a number of type INT"),
        ("num.partitions", "9" * 100_000, "Not a number of type INT"),
        ("num.partitions", "", "Not a number of type INT"),
        ("offsets.topic.replication.factor", "32768", "Not a number of type SHORT"),
        ("log.retention.bytes", "9223372036854775808", "Not a number of type LONG"),
        ("log.cleaner.min.cleanable.ratio", "1.5", "Value must be no more than 1"),
        ("log.cleaner.min.cleanable.ratio", "NaN", "Not a number of type DOUBLE"),
        ("auto.create.topics.enable", "yes", "Expected value to be either true or false"),
        ("compression.type", "brotli", "String must be one of: uncompressed, zstd, lz4, snappy, gzip, producer"),
        ("compression.gzip.level", "0", "Value must be between 1 and 9 or -1"),
        ("log.cleanup.policy", "delete,delete", "The values must not be duplicated"),
        ("log.cleanup.policy", "delete,", "The values must not be empty"),
        ("log.dirs", "", "The list must not be empty"),
    ],
)
def test_a_value_that_a_key_cannot_have_is_refused_in_kafkas_words(name, text, problem):
    with pytest.raises(ConfigError) as refusal:
        config.parse(key(name), text)
    assert str(refusal.value).startswith(f"Invalid value {text} for configuration {name}: ")
    assert problem in refusal.value.problem


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("num.partitions", " 24 ", 24),
        ("num.partitions", "+24", 24),
        ("log.retention.ms", "-1", -1),
        ("auto.create.topics.enable", "TRUE", True),
        ("log.dirs", "/a , /b", ("/a", "/b")),
        ("log.cleanup.policy", "", ()),
        ("log.cleaner.min.cleanable.ratio", "1e-1", 0.1),
        ("group.consumer.migration.policy", "Upgrade", "Upgrade"),
    ],
)
def test_a_valid_value_is_parsed_to_its_type(name, text, value):
    assert config.parse(key(name), text) == value


def test_a_refused_secret_is_not_shown():
    secret = row(ConfigType.PASSWORD, "a.secret", None, "A secret.", NonEmpty())
    with pytest.raises(ConfigError) as refusal:
        config.parse(secret, "")
    assert "[hidden]" in str(refusal.value)


@given(st.sampled_from(EVERY_KEY), st.text(max_size=60))
def test_no_text_makes_a_key_fail_in_any_other_way(row, text):
    try:
        value = config.parse(row, text)
    except ConfigError:
        return
    written = config.render(value)
    assert written is not None
    assert config.parse(row, written) == value


def test_times_of_a_topic_come_from_the_strongest_broker_key_that_is_set():
    week_ms = 7 * 24 * 3_600_000
    assert config.topic_defaults({})["retention.ms"] == week_ms
    assert config.topic_defaults({"log.retention.hours": 1})["retention.ms"] == 3_600_000
    assert config.topic_defaults({"log.retention.hours": 1, "log.retention.minutes": 2})["retention.ms"] == 120_000
    assert config.topic_defaults({"log.retention.minutes": 2, "log.retention.ms": 3})["retention.ms"] == 3
    assert config.topic_defaults({"log.retention.hours": -1})["retention.ms"] == -1
    assert config.topic_defaults({"log.roll.hours": 2})["segment.ms"] == 7_200_000
    assert config.topic_defaults({"log.flush.scheduler.interval.ms": 5})["flush.ms"] == 5
    assert config.topic_defaults({"log.flush.scheduler.interval.ms": 5, "log.flush.interval.ms": 6})["flush.ms"] == 6


def test_the_defaults_of_a_topic_are_its_own_defaults_on_an_untouched_broker():
    assert config.topic_defaults({}) == {row.name: row.default for row in config.TOPIC_KEYS.values()}


def test_a_key_that_was_misspelt_is_guessed_and_nonsense_is_not():
    assert config.nearest("num.partitons") == "num.partitions"
    assert config.nearest("log.retention.hour") == "log.retention.hours"
    assert config.nearest("retention.mss", Scope.TOPIC) == "retention.ms"
    assert config.nearest("qqqq") is None


def test_a_key_can_be_set_for_one_listener():
    assert key("listener.name.internal.ssl.keystore.location").name == "ssl.keystore.location"
    assert key("listener.name.internal.plain.sasl.jaas.config").name == "sasl.jaas.config"
    assert config.find(Scope.BROKER, "listener.name.internal.nonsense") is None
    assert config.find(Scope.TOPIC, "listener.name.internal.ssl.keystore.location") is None


def test_everything_wrong_with_a_topics_settings_is_told_at_once():
    values, problems = config.parse_all(
        Scope.TOPIC, {"retention.ms": "x", "segment.byte": "1", "cleanup.policy": "compact"}
    )
    assert values == {"cleanup.policy": ("compact",)}
    assert problems == [
        "Invalid value x for configuration retention.ms: Not a number of type LONG",
        "Unknown topic config name: segment.byte (did you mean segment.bytes?)",
    ]


def test_compaction_lags_that_exclude_each_other_are_a_conflict():
    values = {**config.topic_defaults({}), "min.compaction.lag.ms": 2, "max.compaction.lag.ms": 1}
    assert "min.compaction.lag.ms (2) > max.compaction.lag.ms (1)" in config.conflicts(values)[0]
    assert config.conflicts(config.topic_defaults({})) == []


@pytest.mark.parametrize(
    ("value", "written"),
    [(0.5, "0.5"), (1e7, "1.0E7"), (sys.float_info.max, "1.7976931348623157E308"), (0.0001, "1.0E-4"), (0.0, "0.0")],
)
def test_a_real_number_is_written_as_java_writes_it(value, written):
    assert config.render(value) == written


def test_the_tables_import_nothing_heavy():
    heavy = "{'asyncio', 'socket', 'kio', 'threading', 'rich'}"
    code = f"import moldau.config, sys; print(*sorted(set(sys.modules) & {heavy}))"
    listing = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert listing == []
