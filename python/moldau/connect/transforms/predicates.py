"""The predicates of Kafka: TopicNameMatches, HasHeaderKey, RecordIsTombstone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moldau.connect.config_def import ConfigDef, Importance, Type
from moldau.connect.config_validators import AllOf, NonEmptyString
from moldau.connect.java_regex import JavaRegexValidator, compile_java
from moldau.connect.plugin import Predicate
from moldau.connect.records import ConnectRecord
from moldau.connect.transforms.base import VERSION

TOPIC_CONFIG = ConfigDef().define(
    "pattern",
    Type.STRING,
    validator=AllOf(NonEmptyString(), JavaRegexValidator()),
    importance=Importance.MEDIUM,
    doc="What the name of the topic has to match, as a whole (java.util.regex).",
)
HEADER_CONFIG = ConfigDef().define(
    "name", Type.STRING, validator=NonEmptyString(), importance=Importance.MEDIUM, doc="The name of the header."
)


class TopicNameMatches(Predicate[ConnectRecord]):
    """True of records whose topic matches."""

    def version(self) -> str:
        return VERSION

    def config(self) -> ConfigDef:
        return TOPIC_CONFIG

    def configure(self, configs: Mapping[str, Any]) -> None:
        self._pattern = compile_java(TOPIC_CONFIG.parse(configs)["pattern"])

    def test(self, record: ConnectRecord) -> bool:
        return record.topic is not None and self._pattern.fullmatch(record.topic) is not None


class HasHeaderKey(Predicate[ConnectRecord]):
    """True of records with such a header."""

    def version(self) -> str:
        return VERSION

    def config(self) -> ConfigDef:
        return HEADER_CONFIG

    def configure(self, configs: Mapping[str, Any]) -> None:
        self._name: str = HEADER_CONFIG.parse(configs)["name"]

    def test(self, record: ConnectRecord) -> bool:
        return any(header.key == self._name for header in record.raw_headers or ())


class RecordIsTombstone(Predicate[ConnectRecord]):
    """True of records whose value is null."""

    def version(self) -> str:
        return VERSION

    def test(self, record: ConnectRecord) -> bool:
        return record.value is None
