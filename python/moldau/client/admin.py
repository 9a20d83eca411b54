"""The admin client: confluent-kafka's, with Java's spellings of settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from confluent_kafka import admin

from moldau.client.settings import Role
from moldau.client.translation import construct, merged, translate


class AdminClient(admin.AdminClient):
    """Creates, describes, changes and deletes topics, groups, configurations and access rules of a Kafka cluster.

    Settings come as a dictionary, as keywords (`bootstrap_servers=...`), or both; Java's names are understood.

    Raises ClientSettingsError (a KafkaException) if a setting cannot be used.
    """

    def __init__(self, config: Mapping[str, Any] | None = None, /, **settings: Any) -> None:
        given = merged(config, settings)
        extras = {name: given.pop(name) for name in ("logger",) if name in given}
        translation = translate(Role.ADMIN, given)
        construct(Role.ADMIN, lambda native: super(AdminClient, self).__init__(native, **extras), translation.native)
