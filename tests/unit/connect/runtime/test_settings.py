"""Settings of a worker that cannot be kept."""

from __future__ import annotations

import pytest

from moldau.connect.errors import ConfigError
from moldau.connect.runtime.settings import WorkerSettings

BASIC: dict[str, str] = {"bootstrap.servers": "127.0.0.1:1"}
AUTHENTICATION = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"


def test_a_worker_that_is_to_ask_for_passwords_does_not_start_without():
    with pytest.raises(ConfigError, match=r"BasicAuthSecurityRestExtension.*a proxy in front"):
        WorkerSettings({**BASIC, "rest.extension.classes": AUTHENTICATION})
    WorkerSettings({**BASIC, "rest.extension.classes": ""})
