"""The ASGI side of the REST interface, without a worker."""

from __future__ import annotations

import asyncio
import json
import threading
from types import SimpleNamespace

from moldau.connect.rest import app as app_module
from moldau.connect.rest.app import ConnectApp
from moldau.connect.runtime import deadlines

WAIT_S = 30.0


def ask(app, method, path, body=b""):
    """Status and body of the answer."""
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": []}
    sent = []

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent[0]["status"], json.loads(sent[1]["body"])


def test_a_request_that_a_plugin_does_not_answer_is_answered_all_the_same(monkeypatch, caplog):
    begun, may_end = threading.Event(), threading.Event()

    def validate(_config):
        begun.set()
        return {} if may_end.wait(WAIT_S) else None

    monkeypatch.setattr(deadlines, "REQUEST_S", 0.05)
    app = ConnectApp(SimpleNamespace(validate=validate, refresh=lambda: None))
    status, answer = ask(app, "PUT", "/connector-plugins/OursSlow/config/validate", b"{}")
    assert (status, answer) == (500, {"error_code": 500, "message": "Request timed out"})
    assert begun.wait(WAIT_S)
    assert "PUT /connector-plugins/OursSlow/config/validate has no answer after 0.05 s" in caplog.text
    may_end.set()
    app.close()


def test_whether_a_worker_is_well_is_answered_however_many_requests_hang(monkeypatch):
    begun, may_end = threading.Event(), threading.Event()

    def validate(_config):
        begun.set()
        may_end.wait(WAIT_S)
        return {}

    monkeypatch.setattr(app_module, "HANDLERS", 1)
    monkeypatch.setattr(deadlines, "REQUEST_S", WAIT_S)
    app = ConnectApp(SimpleNamespace(validate=validate, refresh=lambda: None, health=lambda: ("healthy", "It is.")))
    hanging = threading.Thread(target=ask, args=(app, "PUT", "/connector-plugins/OursSlow/config/validate", b"{}"))
    hanging.start()
    assert begun.wait(WAIT_S)
    try:
        assert ask(app, "GET", "/health") == (200, {"status": "healthy", "message": "It is."})
    finally:
        may_end.set()
        hanging.join()
        app.close()
