"""The admin client: confluent-kafka's, with Java's spellings of settings."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, admin

from moldau.client.coordinators import wait_for_coordinators
from moldau.client.settings import Role
from moldau.client.translation import construct, merged, translate

REQUEST_TIMEOUT_S: Final = 60
"""librdkafka's own."""


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

    def list_consumer_group_offsets(  # type: ignore[override]  # confluent-kafka overrides its base class so too
        self, list_consumer_group_offsets_request: list[ConsumerGroupTopicPartitions], **kwargs: Any
    ) -> dict[str, Future[ConsumerGroupTopicPartitions]]:
        """What groups have committed, by group; first waits until their coordinators answer.

        Raises KafkaException if one does not within `request_timeout` seconds (60).
        """
        groups = [each.group_id for each in list_consumer_group_offsets_request]
        wait_for_coordinators(self, groups, kwargs.get("request_timeout", REQUEST_TIMEOUT_S))
        asked: dict[str, Future[ConsumerGroupTopicPartitions]] = super().list_consumer_group_offsets(
            list_consumer_group_offsets_request, **kwargs
        )
        return asked
