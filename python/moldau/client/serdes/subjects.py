"""What serializers and deserializers share: a client, the name of a subject, and confluent-kafka's own behind them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from confluent_kafka.serialization import SerializationContext

from moldau.client.serdes.plans import Steps

SUBJECT_SETTINGS: Final[Mapping[str, Any]] = {
    "use.latest.version": False,
    "use.latest.with.metadata": None,
    "subject.name.strategy.type": None,
    "subject.name.strategy.conf": None,
    "subject.name.strategy": None,
}


class NamesSubjects:
    """Beside the base class of confluent-kafka, whose functions name a subject and ask for its latest version."""

    _registry: Any
    _subject_name_func: Any
    _subject_name_conf: Any
    _strategy_accepts_client: bool
    _get_reader_schema: Any
    configure_subject_name_strategy: Any

    def _configure_subjects(self, given: tuple[Any, ...], settings: Mapping[str, Any]) -> None:
        """`given` is what confluent-kafka's class is made with, the client first, should it be needed."""
        self._given = given
        self._registry = given[0]
        self._theirs: Any = None
        self._use_latest_version = settings["use.latest.version"]
        self._use_latest_with_metadata = settings["use.latest.with.metadata"]
        if self._use_latest_with_metadata is not None and not isinstance(self._use_latest_with_metadata, dict):
            raise ValueError("use.latest.with.metadata must be a dict value")
        self._asks_every_time = self._use_latest_version or self._use_latest_with_metadata is not None
        self.configure_subject_name_strategy(
            subject_name_strategy_type=settings["subject.name.strategy.type"],
            subject_name_strategy_conf=settings["subject.name.strategy.conf"],
            subject_name_strategy=settings["subject.name.strategy"],
        )

    def _subject(self, ctx: SerializationContext | None, record_name: str | None) -> Steps[str | None]:
        named: tuple[Any, ...] = (ctx, record_name)
        if getattr(self, "_strategy_accepts_client", False):
            named += (self._registry, self._subject_name_conf)
        subject: str | None = yield lambda: self._subject_name_func(*named)
        return subject
