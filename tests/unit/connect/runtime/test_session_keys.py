"""Requests between workers, signed as Kafka's workers sign them."""

import pytest

from moldau.connect.runtime.config_records import SessionKey
from moldau.connect.runtime.refusals import BadRequestError
from moldau.connect.runtime.session_keys import (
    SIGNATURE,
    SIGNED_BY,
    NoKeyYetError,
    WrongSignatureError,
    check,
    is_due,
    new_key,
    signed,
)

KEY = new_key(1_000, bytes(range(32)))
BODY = b'[{"task":"0"}]'


def lower(headers):
    return {name.lower(): value for name, value in headers.items()}


def test_a_key_is_32_bytes_in_base64_as_kafka_writes_them():
    assert SessionKey("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "HmacSHA256", 1_000) == KEY


def test_a_signature_is_the_hmac_of_the_body():
    # printf '[{"task":"0"}]' | openssl dgst -sha256 -mac HMAC -macopt hexkey:$(seq -f %02g …) -binary | base64
    assert signed(BODY, KEY) == {
        SIGNATURE: "S+ZhiOwq9yTIKp7DBVvDzy3FikBaFjKMTodU+yRHL5Y=",
        SIGNED_BY: "HmacSHA256",
    }
    check(BODY, lower(signed(BODY, KEY)), KEY)


def test_another_body_another_key_and_no_signature_are_refused():
    headers = lower(signed(BODY, KEY))
    with pytest.raises(WrongSignatureError, match="Internal request contained invalid signature"):
        check(b"[]", headers, KEY)
    with pytest.raises(WrongSignatureError):
        check(BODY, headers, new_key(1_000, bytes(32)))
    with pytest.raises(BadRequestError, match="Internal request missing required signature"):
        check(BODY, {}, KEY)
    with pytest.raises(BadRequestError):
        check(BODY, {**headers, SIGNATURE.lower(): "not base64"}, KEY)
    with pytest.raises(BadRequestError, match="'HmacSHA1' key signing algorithm"):
        check(BODY, {**headers, SIGNED_BY.lower(): "HmacSHA1"}, KEY)
    with pytest.raises(NoKeyYetError):
        check(BODY, headers, None)


@pytest.mark.parametrize(
    ("key", "now_ms", "ttl_ms", "due"),
    [
        (None, 0, 1000, True),
        (KEY, 1_999, 1000, False),
        (KEY, 2_000, 1000, True),
        (KEY, 10**15, 0, False),
        (SessionKey("AAEC", "HmacSHA256", 1_000), 1_000, 1000, True),
        (SessionKey(KEY.key, "HmacSHA512", 1_000), 1_000, 1000, True),
        (SessionKey("~~~", "HmacSHA256", 1_000), 1_000, 1000, True),
    ],
)
def test_a_key_is_replaced_when_it_is_old_or_none_of_ours(key, now_ms, ttl_ms, due):
    assert is_due(key, now_ms, ttl_ms) is due
