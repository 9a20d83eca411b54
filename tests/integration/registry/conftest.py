"""A registry beside a broker, and a way to ask it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import moldau
from moldau.registry.service import RegistryThread
from moldau.registry.settings import RegistrySettings


class Api:
    """A registry over HTTP, for tests."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._client = httpx.Client(base_url=url, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self._client.request(method, path, **({"json": body} if body is not None else {}), **more)

    def get(self, path: str) -> Any:
        answer = self.ask("GET", path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def refused(self, method: str, path: str, body: Any = None) -> tuple[int, int]:
        """Status and error code."""
        answer = self.ask(method, path, body)
        return answer.status_code, answer.json()["error_code"]

    def register(self, subject: str, schema: Any, **more: Any) -> int:
        text = schema if isinstance(schema, str) else json.dumps(schema)
        answer = self.ask("POST", f"/subjects/{subject}/versions", {"schema": text, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()["id"]


@pytest.fixture(scope="session")
def registry_broker() -> Iterator[moldau.Broker]:
    with moldau.Broker() as broker:
        yield broker


@pytest.fixture(scope="session")
def registry(registry_broker) -> Iterator[Api]:
    with RegistryThread(RegistrySettings(registry_broker.bootstrap_servers, port=0)) as running:
        yield Api(running.url)


@pytest.fixture
def fresh(registry_broker, request) -> Iterator[Api]:
    """A registry with a topic of its own."""
    name = request.node.name.replace("[", "-").strip("]")[:80]
    settings = RegistrySettings(
        registry_broker.bootstrap_servers, port=0, topic=f"_schemas-{name}", group_id=f"registry-{name}"
    )
    with RegistryThread(settings) as running:
        yield Api(running.url)
