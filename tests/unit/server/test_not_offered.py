"""Answers whose times kio cannot read, because they are -1, and what is said to whom."""

import asyncio

import pytest

from moldau.errors import ErrorCode
from moldau.server.codec import encode_response
from moldau.server.handlers import load


@pytest.mark.parametrize("api_key", [39, 40])
def test_a_token_that_is_refused_never_expires(api_key):
    answer = asyncio.run(load()[api_key].handle(None, None, None))
    assert answer == {"error_code": ErrorCode.DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "expiry_timestamp": -1}
    assert b"\xff" * 8 in encode_response(api_key, 2, answer)
