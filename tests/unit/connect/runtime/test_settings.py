"""Settings of a worker that cannot be kept."""

from __future__ import annotations

import logging

import pytest

from moldau.connect.errors import ConfigError
from moldau.connect.runtime.settings import WorkerSettings

BASIC: dict[str, str] = {"bootstrap.servers": "127.0.0.1:1"}
AUTHENTICATION = "org.apache.kafka.connect.rest.basic.auth.extension.BasicAuthSecurityRestExtension"


def test_a_worker_that_is_to_ask_for_passwords_does_not_start_without():
    with pytest.raises(ConfigError, match=r"BasicAuthSecurityRestExtension.*a proxy in front"):
        WorkerSettings({**BASIC, "rest.extension.classes": AUTHENTICATION})
    WorkerSettings({**BASIC, "rest.extension.classes": ""})


def test_an_address_for_administrators_alone_has_no_effect_and_that_is_said(caplog):
    given = {**BASIC, "listeners": "http://127.0.0.1:8083", "admin.listeners": "http://127.0.0.1:8084"}
    with caplog.at_level(logging.WARNING):
        settings = WorkerSettings({**given, "admin.request.timeout.ms": "5"})
    assert "admin.listeners has no effect: /admin/loggers is answered where everything is" in caplog.text
    assert "listeners" not in settings.client("admin")
    assert settings.client("admin")["request.timeout.ms"] == "5"
