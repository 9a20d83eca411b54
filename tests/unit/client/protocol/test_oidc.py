"""A token from an authorisation server, and a broker that takes it."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from tests.unit.client.fake_broker import FakeBroker

from moldau.client.protocol.brokers import Brokers
from moldau.client.protocol.errors import AuthenticationError, ConnectionLostError, SecuritySettingError
from moldau.client.protocol.oidc import token_source
from moldau.client.protocol.questions import SASL_AUTHENTICATE

SETTINGS = {
    "security.protocol": "sasl_plaintext",
    "sasl.mechanism": "OAUTHBEARER",
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "me",
    "sasl.oauthbearer.client.secret": "pen:cil",
    "sasl.oauthbearer.token.endpoint.url": "http://127.0.0.1:1/token",
}


@contextmanager
def server(status=200, body=b'{"access_token": "abc", "expires_in": 60}', **headers):
    """An authorisation server that answers everything so; gives its address and what it was asked."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            asked.append((self.path, dict(self.headers), b""))
            self.send_response(500)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}/token", asked
        http.shutdown()
        thread.join()


def settings(url, **more):
    given = {f"sasl.oauthbearer.{name.replace('_', '.')}": value for name, value in more.items()}
    return {**SETTINGS, "sasl.oauthbearer.token.endpoint.url": url, **given}


def test_name_and_secret_are_changed_for_a_token_that_the_broker_gets():
    more = {"scope": "read write", "extensions": "logicalCluster=lkc-1, pool=p"}
    with server() as (url, asked), FakeBroker(lambda *_: {"error_code": 0, "auth_bytes": b""}) as broker:
        Brokers({"bootstrap.servers": broker.address, **settings(url, **more)}).open_any().close()
        ((path, headers, form),) = asked
        (login,) = broker.of(SASL_AUTHENTICATE)
    assert (path, form) == ("/token", b"grant_type=client_credentials&scope=read+write")
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"me:pen:cil"
    assert login.auth_bytes == b"n,,\x01auth=Bearer abc\x01logicalCluster=lkc-1\x01pool=p\x01\x01"


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ({"status": 401, "body": b'{"error": "invalid_client"}'}, AuthenticationError, "401 Unauthorized.*invalid_cl"),
        ({"status": 503, "body": b""}, ConnectionLostError, "503 Service Unavailable$"),
        ({"body": b"<html>"}, AuthenticationError, "no access_token"),
        ({"body": b"[]"}, AuthenticationError, "no access_token"),
        ({"body": json.dumps({"token": "x"}).encode()}, AuthenticationError, "no access_token"),
    ],
)
def test_a_server_that_gives_no_token_is_said_with_its_reason(answer, kind, said):
    with server(**answer) as (url, _), pytest.raises(kind, match=said):
        token_source(settings(url))()


def test_the_secret_is_not_carried_on_to_where_a_server_points():
    with server() as (elsewhere, asked_there), server(status=302, body=b"", Location=elsewhere) as (url, _):
        with pytest.raises(AuthenticationError, match="302"):
            token_source(settings(url))()
        assert asked_there == []


def test_a_server_that_is_not_there_may_come_back():
    with pytest.raises(ConnectionLostError, match="gave no token"):
        token_source(SETTINGS)()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sasl.oauthbearer.client.secret": ""}, r"client\.secret: .*needs all"),
        ({"sasl.oauthbearer.token.endpoint.url": "ftp://x/y"}, r"token\.endpoint\.url"),
        ({"sasl.oauthbearer.token.endpoint.url": "file:///etc/passwd"}, r"token\.endpoint\.url"),
        ({"sasl.oauthbearer.grant.type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, r"grant\.type"),
        ({"sasl.oauthbearer.extensions": "a"}, "extensions"),
        ({"https.ca.location": "/nowhere"}, r"https\.ca\.location"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_by_name(change, named):
    with pytest.raises(SecuritySettingError, match=named):
        token_source({**SETTINGS, **change})
