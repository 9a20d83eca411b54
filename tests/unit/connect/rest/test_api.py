"""What a worker asks of itself before it judges a configuration."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.connect.rest.api import Api
from moldau.connect.runtime.refusals import ElsewhereError


def not_the_leader():
    raise ElsewhereError("Only the leader can set connector configs.", "http://leader")


@pytest.mark.parametrize(
    "ask",
    [
        lambda api: api.put_config("c", {"connector.class": "C"}),
        lambda api: api.patch_config("c", {"topics": "t"}),
        lambda api: api.create("c", {"connector.class": "C"}, None, None),
    ],
    ids=["put", "patch", "create"],
)
def test_a_configuration_is_judged_by_the_worker_that_writes_it_alone(ask):
    judged = []
    herder = SimpleNamespace(
        check_leads=not_the_leader,
        patched=lambda _name, changes: {"connector.class": "C", **changes},
        create_or_replace=lambda *_, **__: not_the_leader(),
        worker=SimpleNamespace(resolver=None),
    )
    api = Api(herder, None, None, None)
    api._validation = SimpleNamespace(judge=lambda config: judged.append(config) or {"error_count": 0})
    with pytest.raises(ElsewhereError):
        ask(api)
    assert judged == []
