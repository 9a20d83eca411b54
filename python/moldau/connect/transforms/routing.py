"""RegexRouter and Filter: another topic, or none at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.connect.config_def import ConfigDef, Importance, Type, invalid
from moldau.connect.java_regex import JavaRegexError, JavaRegexValidator, Replacement, compile_java
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import KafkaTransformation

# Topics change seldom: how many names are remembered with what becomes of them.
NAMES_MAX = 10_000


class RegexRouter(KafkaTransformation):
    """Renames the topic, if the whole of its name matches."""

    CONFIG = (
        ConfigDef()
        .define(
            "regex",
            Type.STRING,
            validator=JavaRegexValidator(),
            importance=Importance.HIGH,
            doc="What the name of the topic has to match, as a whole (java.util.regex).",
        )
        .define(
            "replacement",
            Type.STRING,
            importance=Importance.HIGH,
            doc="What takes the place of the first match; $1 or ${name} is what a group has matched.",
        )
    )

    def take(self, settings: Mapping[str, Any]) -> None:
        self._pattern = compile_java(settings["regex"])
        try:
            self._replacement = Replacement(self._pattern, settings["replacement"])
        except JavaRegexError as error:
            raise invalid("replacement", settings["replacement"], str(error)) from error
        self._known: dict[str, str] = {}

    def apply(self, record: ConnectRecord) -> ConnectRecord:
        topic = self._known.get(record.topic)
        if topic is None:
            matches = self._pattern.fullmatch(record.topic) is not None
            topic = self._replacement.first(record.topic) if matches else record.topic
            if len(self._known) < NAMES_MAX:
                self._known[record.topic] = topic
        return record if topic == record.topic else record.with_topic(topic)


class Filter(KafkaTransformation):
    """Leaves every record out; meant to be used with a predicate."""

    def apply(self, record: ConnectRecord) -> None:
        return None
