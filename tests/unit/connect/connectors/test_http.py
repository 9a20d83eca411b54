"""The HTTP sink against a server of this process: bodies, retries, what is reported, tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tests.unit.connect.connectors.sink_task import Sink

from moldau.connect.connectors.http import HttpSinkConnector, HttpSinkTask, retry_after_s
from moldau.connect.data import Schema, SchemaBuilder, Struct
from moldau.connect.errors import ConfigError, ConnectError, RetriableError

ROW = SchemaBuilder.struct().field("id", Schema.INT32_SCHEMA).build()


class Receiver:
    """Answers with what is in `answers`, then 200, and keeps what it was sent."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], str]] = []
        self.bodies: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.tokens: list[str] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                if self.path == "/token":
                    receiver.tokens.append(f"{self.headers.get('Authorization')} {body}")
                    self._answer(200, {}, json.dumps({"access_token": f"t{len(receiver.tokens)}"}))
                    return
                receiver.bodies.append(body)
                receiver.headers.append({name.lower(): value for name, value in self.headers.items()})
                self._answer(*(receiver.answers.pop(0) if receiver.answers else (200, {}, "")))

            def _answer(self, status: int, headers: dict[str, str], text: str) -> None:
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(text))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_said: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def sink(receiver: Receiver, *, reports: bool = False, max_poll_interval_ms: int = 300_000, **settings: str) -> Sink:
    given = {"http.url": receiver.url, "http.authorization.type": "none", "retry.backoff.ms": "1"}
    named = {name.replace("_", "."): value for name, value in settings.items()}
    props = {**given, **named}
    return Sink(HttpSinkConnector(), props, reports=reports, max_poll_interval_ms=max_poll_interval_ms)


def test_text_goes_as_it_is_and_anything_else_as_json(receiver):
    with sink(receiver, http_headers_content_type="application/json", http_headers_additional="x-a: 1,x-b:2") as to:
        to.put("t", Schema.STRING_SCHEMA, "plain")
        to.put("t", ROW, Struct(ROW, id=1))
        to.put("t", None, {"a": [1, None]})
    assert receiver.bodies == ["plain", '{"id":1}', '{"a":[1,null]}']
    assert [receiver.headers[0][name] for name in ("content-type", "x-a", "x-b")] == ["application/json", "1", "2"]


def test_a_batch_is_one_body(receiver):
    settings = {"batching_enabled": "true", "batch_max_size": "2", "batch_prefix": "[", "batch_suffix": "]"}
    with sink(receiver, batch_separator=", ", **settings) as to:
        to.put("t", Schema.STRING_SCHEMA, "1", "2", "3")
    assert receiver.bodies == ["[1, 2]", "[3]"]


def test_a_batch_ends_with_a_new_line_unless_it_is_said_otherwise(receiver):
    with sink(receiver, batching_enabled="true", batch_separator="\\t") as to:
        to.put("t", Schema.STRING_SCHEMA, "1", "2")
    assert receiver.bodies == ["1\t2\n"]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_what_may_pass_is_sent_again(receiver, status):
    receiver.answers = [(status, {}, "")] * 2
    with sink(receiver, max_retries="2") as to:
        to.put("t", Schema.STRING_SCHEMA, "a")
    assert receiver.bodies == ["a"] * 3


def test_what_does_not_pass_fails_the_task_and_says_what_was_answered(receiver):
    receiver.answers = [(503, {}, "busy")] * 2
    with sink(receiver) as to, pytest.raises(ConnectError, match=r"answered 503: busy; it was tried 2 times"):
        to.put("t", Schema.STRING_SCHEMA, "a")


def test_the_worker_puts_again_when_kafka_retry_backoff_is_set(receiver):
    receiver.answers = [(503, {}, "busy")]
    with sink(receiver, max_retries="0", kafka_retry_backoff_ms="7") as to:
        with pytest.raises(RetriableError):
            to.put("t", Schema.STRING_SCHEMA, "a")
        assert to.context.waits == [7]


def test_what_cannot_be_waited_for_in_one_put_is_put_again_without_what_was_taken(receiver):
    with sink(receiver, max_retries="2") as to:
        records = [to.record("t", Schema.STRING_SCHEMA, value) for value in "abc"]
        receiver.answers = [(200, {}, ""), (503, {"Retry-After": "200"}, "")]
        with pytest.raises(RetriableError, match="503"):
            to.task.put(records)
        # The worker polls meanwhile, so its group knows that it is there.
        assert to.context.waits == [200_000]
        receiver.answers = [(503, {"Retry-After": "200"}, "")]
        with pytest.raises(RetriableError):
            to.task.put(records)
        to.task.put(records)
        assert receiver.bodies == ["a", "b", "b", "b", "c"]
        # What comes after is nobody's memory any more.
        to.task.put(records[:1])
    assert receiver.bodies[-1] == "a"


def test_attempts_are_counted_over_several_puts(receiver):
    receiver.answers = [(503, {"Retry-After": "200"}, "")] * 2
    with sink(receiver, max_retries="1") as to:
        records = [to.record("t", Schema.STRING_SCHEMA, "a")]
        with pytest.raises(RetriableError):
            to.task.put(records)
        with pytest.raises(ConnectError, match="it was tried 2 times"):
            to.task.put(records)


def test_a_put_ends_when_its_time_is_over(receiver, monkeypatch):
    with sink(receiver, max_poll_interval_ms=5000) as to:
        now = 100.0
        monkeypatch.setattr("time.monotonic", lambda: now)
        posted = receiver.bodies.append

        class Slow(list):
            def append(self, body):
                nonlocal now
                now += 0.6
                posted(body)

        receiver.bodies, bodies = Slow(), receiver.bodies
        records = [to.record("t", Schema.STRING_SCHEMA, value) for value in "abc"]
        with pytest.raises(RetriableError):
            to.task.put(records)
        assert bodies == ["a", "b"]
        to.task.put(records)
        assert bodies == ["a", "b", "c"]


def test_partitions_that_are_given_away_are_forgotten(receiver):
    receiver.answers = [(200, {}, ""), (503, {"Retry-After": "200"}, "")]
    with sink(receiver) as to:
        records = [to.record("t", Schema.STRING_SCHEMA, value) for value in "ab"]
        with pytest.raises(RetriableError):
            to.task.put(records)
        assert receiver.bodies == ["a", "b"]
        to.task.close([("t", 0)])
        to.task.put(records)
    assert receiver.bodies == ["a", "b", "a", "b"]


def test_a_task_whose_start_has_failed_is_stopped_as_any_other():
    task = HttpSinkTask()
    with pytest.raises(ConfigError):
        task.start({"http.url": "ftp://x"})
    task.close([("t", 0)])
    task.stop()


def test_a_receiver_that_is_not_there_is_told():
    props = {"http.url": "http://127.0.0.1:9", "http.authorization.type": "none", "max.retries": "0"}
    with Sink(HttpSinkConnector(), props) as to, pytest.raises(ConnectError, match=r"127\.0\.0\.1:9 was not reached"):
        to.put("t", Schema.STRING_SCHEMA, "a")


def test_a_body_that_is_refused_is_reported_and_the_others_go_on(receiver):
    receiver.answers = [(200, {}, ""), (400, {}, "no"), (200, {}, "")]
    with sink(receiver, reports=True) as to:
        to.put("t", Schema.STRING_SCHEMA, "a", "b", None, "c")
        found = [(record.value, str(error)) for record, error in to.context.reporter.reported]
    assert [value for value, _ in found] == ["b", None]
    assert "answered 400: no" in found[0][1]
    assert receiver.bodies == ["a", "b", "c"]


def test_without_a_reporter_a_refused_body_fails_the_task(receiver):
    receiver.answers = [(422, {}, "bad")]
    with sink(receiver) as to, pytest.raises(ConnectError, match=r"t-0 at offset 0 on cannot be sent.*422: bad"):
        to.put("t", Schema.STRING_SCHEMA, "a")


def test_a_refusal_of_who_sends_is_none_of_the_record(receiver):
    receiver.answers = [(403, {}, "who")]
    with sink(receiver, reports=True) as to, pytest.raises(ConnectError, match=r"http\.authorization\.type"):
        to.put("t", Schema.STRING_SCHEMA, "a")


def test_a_token_is_asked_for_once_and_again_when_it_is_refused(receiver):
    settings = {"http_authorization_type": "oauth2", "oauth2_access_token_url": f"{receiver.url}/token",
                "oauth2_client_id": "me", "oauth2_client_secret": "s3cret", "oauth2_client_scope": "all"}  # fmt: skip
    receiver.answers = [(200, {}, ""), (401, {}, ""), (200, {}, "")]
    with sink(receiver, **settings) as to:
        to.put("t", Schema.STRING_SCHEMA, "a", "b")
    assert [headers["authorization"] for headers in receiver.headers] == ["Bearer t1", "Bearer t1", "Bearer t2"]
    assert receiver.tokens[0] == "Basic bWU6czNjcmV0 grant_type=client_credentials&scope=all"
    with sink(receiver, oauth2_client_authorization_mode="URL", **settings) as to:
        to.put("t", Schema.STRING_SCHEMA, "a")
    assert "client_secret=s3cret" in receiver.tokens[-1]


def test_a_static_header_is_sent(receiver):
    with sink(receiver, http_authorization_type="static", http_headers_authorization="Key k") as to:
        to.put("t", Schema.STRING_SCHEMA, "a")
    assert receiver.headers[0]["authorization"] == "Key k"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("7", 7), ("9999", 300), ("Thu, 01 Jan 1970 00:00:20 GMT", 10), ("soon", 0)],
)
def test_the_wait_is_what_an_answer_says(header, seconds):
    assert retry_after_s(header, 10.0) == seconds


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"http.url": "ftp://x"}, "http://"),
        ({"http.authorization.type": "static"}, "needs it"),
        ({"http.authorization.type": "oauth2"}, "oauth2.access.token.url"),
        ({"http.headers.additional": "nothing"}, "name:value"),
        ({"http.authorization.type": "magic"}, "magic"),
    ],
)
def test_settings_that_do_not_go_together_are_explained(settings, said):
    given = {"http.url": "http://x", "http.authorization.type": "none", **settings}
    with pytest.raises(ConfigError, match=said):
        HttpSinkConnector().start(given)
    assert any(value.errors for value in HttpSinkConnector().validate(given))
