"""How a registry is set up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

DEFAULT_PORT: Final = 8081


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Names and defaults are those of Confluent's registry where it has the setting.

    `client` are librdkafka settings for every client (security, for example). `advertised_url` is where the other
    registries of the group reach this one; without it the address that is listened on.
    """

    bootstrap_servers: str
    client: Mapping[str, Any] = field(default_factory=dict)
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    advertised_url: str | None = None
    topic: str = "_schemas"
    replication_factor: int = 3
    group_id: str = "schema-registry"
    default_compatibility: str = "BACKWARD"
    incompatible_code: int = 40901
    """The error code of an incompatible schema: 40901 since 8.0, 409 before. The HTTP status is 409 in both."""
    request_bytes_max: int = 16 * 1024 * 1024
    schema_bytes_max: int = 4 * 1024 * 1024
    store_timeout_s: float = 10.0
    """How long a write, or reading up to the end of the topic, may take before it is answered with an error."""
    leader_timeout_s: float = 15.0
    """How long a write waits for somebody who leads."""
    start_timeout_s: float = 60.0
    session_timeout_ms: int = 10_000
    """How long a registry that fell silent keeps the lead."""
