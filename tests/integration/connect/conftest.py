"""PostgreSQL servers shared by the tests of a process: one per major version, a fresh database per test."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator

import pytest
from tests.postgres_under_test import Postgres, postgres_under_test

COUNTER = itertools.count()


@pytest.fixture(scope="session")
def servers() -> Iterator[dict[int, Postgres]]:
    with contextlib.ExitStack() as stack:

        class Servers(dict):
            def __missing__(self, major: int) -> Postgres:
                self[major] = stack.enter_context(postgres_under_test(major, {"max_prepared_transactions": "2"}))
                return self[major]

        yield Servers()


@pytest.fixture(params=[18, 16])
def postgres(request: pytest.FixtureRequest, servers: dict[int, Postgres]) -> Postgres:
    """A server of each major version in the wheel."""
    return servers[request.param]


@pytest.fixture
def newest(servers: dict[int, Postgres]) -> Postgres:
    return servers[18]


@pytest.fixture
def name() -> str:
    """A name for a slot and a database that no other test has."""
    return f"test_{next(COUNTER)}"
