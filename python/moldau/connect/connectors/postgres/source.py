"""`io.debezium.connector.postgresql.PostgresConnector`: a connector with one task, as a slot has one reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from moldau.connect.config_def import ConfigDef, ConfigValue
from moldau.connect.connectors.postgres import source_info, validation
from moldau.connect.connectors.postgres.settings import Settings
from moldau.connect.connectors.postgres.task import PostgresSourceTask
from moldau.connect.plugin import ExactlyOnceSupport, SourceConnector, Task


class PostgresConnector(SourceConnector):
    """Changes of PostgreSQL tables as Debezium's events."""

    def version(self) -> str:
        return source_info.DEBEZIUM_VERSION

    def config(self) -> ConfigDef:
        return validation.config_def()

    def validate(self, props: Mapping[str, str]) -> list[ConfigValue]:
        """Debezium's messages per field, and a try at the server when the fields are right."""
        return validation.validate(props)

    def start(self, props: Mapping[str, str]) -> None:
        self._props = dict(Settings(props).props)

    def task_class(self) -> type[Task]:
        return PostgresSourceTask

    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        return [{**self._props, "task.id": "0"}]

    def exactly_once_support(self, props: Mapping[str, str]) -> ExactlyOnceSupport | None:
        """Offsets and records in one transaction, and a stream that repeats nothing before its offset."""
        return ExactlyOnceSupport.SUPPORTED

    def alter_offsets(self, props: Mapping[str, str], offsets: Any) -> bool:
        return True
