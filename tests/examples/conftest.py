"""A broker for the examples."""

from collections.abc import Iterator

import pytest
from tests.broker_under_test import broker_under_test


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker_under_test(tmp_path_factory.mktemp("broker")) as bootstrap_servers:
        yield bootstrap_servers
