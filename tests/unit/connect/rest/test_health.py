"""When a worker says that it is well."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from moldau.connect.rest.api import Api
from moldau.connect.rest.call import Call
from moldau.connect.rest.server import health
from moldau.connect.runtime.refusals import RefusedError


def asked_of(*, ready=True, hangs=False, unreachable_s=0.0):
    def do(action, timeout_s):
        assert timeout_s == 10.0
        if hangs:
            raise RefusedError("Request timed out")
        return action()

    herder = SimpleNamespace(
        ready=ready,
        do=do,
        membership=SimpleNamespace(unreachable_s=unreachable_s),
        worker=SimpleNamespace(resolver=None),
    )
    answer = health(Call(Api(herder, None, None, None), {}))
    return answer.status, answer.body["status"], answer.body["message"]


@pytest.mark.parametrize(
    ("state", "status", "word", "says"),
    [
        ({}, 200, "healthy", "ready to handle requests"),
        ({"ready": False}, 503, "starting", "still starting up"),
        ({"hangs": True}, 500, "unhealthy", "may be unable to handle other requests. Request timed out"),
        ({"unreachable_s": 11.0}, 500, "unhealthy", "has not answered for 11 s"),
    ],
)
def test_health_is_what_the_herder_and_the_group_say(state, status, word, says):
    found = asked_of(**state)
    assert found[:2] == (status, word)
    assert says in found[2]
