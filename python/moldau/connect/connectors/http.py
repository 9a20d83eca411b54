"""`io.aiven.kafka.connect.http.HttpSinkConnector`: values as the bodies of POST requests, alone or in batches.

A request that fails in a way that may pass (no answer, 408, 429, 5xx) is sent again after `retry.backoff.ms`, or what
`Retry-After` says. So a receiver may be given a record twice: at least once is what a sink over HTTP can promise.

A `put` ends long before `max.poll.interval.ms` does, or the group would give the partitions to others, who send again
what was sent. What is left then is put again by the worker; what was taken meanwhile is remembered, and left out.
"""

from __future__ import annotations

import email.utils
import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import msgspec

from moldau.connect.config_def import NO_DEFAULT, ConfigDef, ConfigValue, Importance, Type, invalid
from moldau.connect.config_validators import CaseInsensitiveValidString, Range, Rule
from moldau.connect.converters.json_values import writer_of
from moldau.connect.data import Schema
from moldau.connect.errors import ConfigError, ConnectError, DataError, RetriableError
from moldau.connect.plugin import ErrantRecordReporter, SinkConnector, SinkTask, Task
from moldau.connect.records import SinkRecord

logger: Final = logging.getLogger("moldau.connect.http")
BUSY: Final = (408, 429)
ESCAPES: Final = (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"))
LONGEST_WAIT_S: Final = 300.0
LONGEST_PUT_S: Final = 60.0
"""Or a fifth of `max.poll.interval.ms`, if that is shorter."""
HIGH, MEDIUM, LOW = Importance.HIGH, Importance.MEDIUM, Importance.LOW


def _url(name: str, value: Any) -> None:
    if value is not None and urlsplit(str(value)).scheme not in {"http", "https"}:
        raise invalid(name, value, "it begins with http:// or https://")


def _headers(name: str, value: Any) -> None:
    for each in value or ():
        if not each.partition(":")[1]:
            raise invalid(name, each, "a header is name:value")


URL: Final = Rule(_url, "http(s) URL")
CONFIG: Final = (
    ConfigDef()
    .define("http.url", Type.STRING, NO_DEFAULT, URL, HIGH, "Where bodies are sent.")
    .define(
        "http.authorization.type",
        Type.STRING,
        NO_DEFAULT,
        CaseInsensitiveValidString("none", "static", "oauth2"),
        HIGH,
        "none, static (http.headers.authorization) or oauth2 (client credentials).",
    )
    .define("http.headers.authorization", Type.PASSWORD, None, None, MEDIUM, "The Authorization header, for static.")
    .define("http.headers.content.type", Type.STRING, None, None, LOW, "The Content-Type header.")
    .define("http.headers.additional", Type.LIST, "", Rule(_headers, "name:value"), LOW, "More headers, name:value.")
    .define("http.proxy.host", Type.STRING, None, None, LOW, "An HTTP proxy.")
    .define("http.proxy.port", Type.INT, -1, Range(-1, 65535), LOW, "Its port.")
    .define("http.ssl.trust.all.certs", Type.BOOLEAN, False, None, LOW, "Whether any certificate is trusted.")
    .define("http.timeout", Type.INT, 30, Range(1), LOW, "How long an answer may take, in seconds.")
    .define("oauth2.access.token.url", Type.STRING, None, URL, HIGH, "Where tokens are given out.")
    .define("oauth2.client.id", Type.STRING, None, None, HIGH, "Who asks for them.")
    .define("oauth2.client.secret", Type.PASSWORD, None, None, HIGH, "The secret.")
    .define(
        "oauth2.client.authorization.mode",
        Type.STRING,
        "HEADER",
        CaseInsensitiveValidString("HEADER", "URL"),
        MEDIUM,
        "HEADER: id and secret are basic authentication; URL: they are in the body.",
    )
    .define("oauth2.client.scope", Type.STRING, None, None, LOW, "The scope that is asked for.")
    .define("oauth2.grant.type", Type.STRING, "client_credentials", None, LOW, "The grant.")
    .define("oauth2.request.grant.type.property", Type.STRING, "grant_type", None, LOW, "How it is called.")
    .define("oauth2.request.client.id.property", Type.STRING, "client_id", None, LOW, "How the id is called.")
    .define("oauth2.request.client.secret.property", Type.STRING, "client_secret", None, LOW, "And the secret.")
    .define("oauth2.response.token.property", Type.STRING, "access_token", None, LOW, "How the token is called.")
    .define("oauth2.token.renew.on.status.codes", Type.LIST, "401", None, LOW, "Answers that ask for a new token.")
    .define("batching.enabled", Type.BOOLEAN, False, None, HIGH, "Whether a body has several records.")
    .define("batch.max.size", Type.INT, 500, Range(1, 1_000_000), MEDIUM, "How many, at most.")
    .define("batch.prefix", Type.STRING, None, None, HIGH, "What a body begins with.")
    .define("batch.suffix", Type.STRING, None, None, HIGH, "What it ends with; a new line unless said.")
    .define("batch.separator", Type.STRING, None, None, HIGH, "What is between two records; a new line unless said.")
    .define("max.retries", Type.INT, 1, Range(0), MEDIUM, "How often a request is sent again.")
    .define("retry.backoff.ms", Type.INT, 3000, Range(0), MEDIUM, "The wait before that.")
    .define("kafka.retry.backoff.ms", Type.LONG, None, None, MEDIUM, "The same when all of a put is tried again.")
    .define(
        "decimal.format",
        Type.STRING,
        "NUMERIC",
        CaseInsensitiveValidString("BASE64", "NUMERIC"),
        LOW,
        "How decimals are written.",
    )
)


def parsed(props: Mapping[str, Any]) -> dict[str, Any]:
    """The settings. Raises `ConfigError` for those that do not go together."""
    values = CONFIG.parse(props)
    kind = values["http.authorization.type"].lower()
    if kind == "static" and values["http.headers.authorization"] is None:
        raise invalid("http.headers.authorization", None, "http.authorization.type=static needs it")
    if kind != "static" and values["http.headers.authorization"] is not None:
        raise invalid("http.headers.authorization", "[hidden]", "it is for http.authorization.type=static")
    if kind == "oauth2":
        for name in ("oauth2.access.token.url", "oauth2.client.id", "oauth2.client.secret"):
            if values[name] is None:
                raise invalid(name, None, "http.authorization.type=oauth2 needs it")
    for name in values["oauth2.token.renew.on.status.codes"]:
        if not name.isdigit():
            raise invalid("oauth2.token.renew.on.status.codes", name, "a status is a number")
    # Blanks count in these, and a setting that is parsed has lost them.
    for name, default in (("prefix", ""), ("suffix", "\n"), ("separator", "\n")):
        text = str(props.get(f"batch.{name}", default))
        for escaped, meant in ESCAPES:
            text = text.replace(escaped, meant)
        values[f"batch.{name}"] = text
    return values


class HttpSinkConnector(SinkConnector):
    """Every task gets the same settings; partitions of topics are what is divided."""

    def version(self) -> str:
        return "0.9.0"

    def config(self) -> ConfigDef:
        return CONFIG

    def start(self, props: Mapping[str, str]) -> None:
        parsed(props)
        self._props = dict(props)

    def task_class(self) -> type[Task]:
        return HttpSinkTask

    def task_configs(self, max_tasks: int) -> Sequence[Mapping[str, str]]:
        return [self._props] * max_tasks

    def validate(self, props: Mapping[str, str]) -> list[ConfigValue]:
        found = CONFIG.validate_all(props)
        if not any(value.errors for value in found.values()):
            try:
                parsed(props)
            except ConfigError as error:
                found[error.name if error.name in found else "http.url"].errors.append(str(error))
        return list(found.values())


class LaterError(RetriableError):
    """Not now, but after `wait_s`: too long for one `put`."""

    def __init__(self, message: str, wait_s: float) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class HttpSinkTask(SinkTask):
    """Records to requests, one behind the other, so that their order is kept."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._sender: Sender | None = None
        self._taken: dict[tuple[str, int], int] = {}
        """Of records that are put again: the last that was sent or reported, by partition."""

    def start(self, props: Mapping[str, str]) -> None:
        self._values = parsed(props)
        self._bodies = Bodies(numeric=self._values["decimal.format"].upper() == "NUMERIC")
        self._sender = Sender(self._values, self._stopped.wait)
        self._put_s = min(LONGEST_PUT_S, self.context.max_poll_interval_ms() / 5000)
        self._reporter: ErrantRecordReporter | None = self.context.errant_record_reporter()

    def stop(self) -> None:
        self._stopped.set()
        if self._sender is not None:
            self._sender.close()

    def put(self, records: Sequence[SinkRecord]) -> None:
        until = time.monotonic() + self._put_s
        size = self._values["batch.max.size"] if self._values["batching.enabled"] else 1
        batch: list[tuple[SinkRecord, str]] = []
        refused: list[tuple[SinkRecord, DataError]] = []
        for record in records:
            if self._is_taken(record):
                continue
            try:
                batch.append((record, self._bodies.of(record)))
            except DataError as error:
                refused.append((record, error))
            if len(batch) == size:
                self._deal_with(batch, refused, until)
                batch, refused = [], []
        self._deal_with(batch, refused, until)
        self._taken.clear()

    def close(self, partitions: Collection[tuple[str, int]]) -> None:
        for place in partitions:
            self._taken.pop(place, None)

    def _is_taken(self, record: SinkRecord) -> bool:
        taken = self._taken
        if not taken:
            return False
        return record.original_kafka_offset <= taken.get((record.original_topic, record.original_kafka_partition), -1)

    def _deal_with(
        self, batch: list[tuple[SinkRecord, str]], refused: list[tuple[SinkRecord, DataError]], until: float
    ) -> None:
        if batch:
            self._send(batch, until)
        for record, error in refused:
            self._refuse([record], error)
        for record, _ in (*batch, *refused):
            place = record.original_topic, record.original_kafka_partition
            self._taken[place] = max(record.original_kafka_offset, self._taken.get(place, -1))

    def _send(self, batch: list[tuple[SinkRecord, str]], until: float) -> None:
        values, sender = self._values, self._sender
        assert sender is not None, "it was started"
        bodies = [body for _, body in batch]
        if values["batching.enabled"]:
            text = values["batch.prefix"] + values["batch.separator"].join(bodies) + values["batch.suffix"]
        else:
            text = bodies[0]
        try:
            sender.send(text.encode(), until)
        except LaterError as error:
            self.context.timeout(math.ceil(error.wait_s * 1000))
            raise
        except RetriableError:
            if values["kafka.retry.backoff.ms"] is None:
                raise ConnectError(f"{sender.said}; it was tried {values['max.retries'] + 1} times") from None
            self.context.timeout(values["kafka.retry.backoff.ms"])
            raise
        except DataError as error:
            self._refuse([record for record, _ in batch], error)

    def _refuse(self, records: Sequence[SinkRecord], error: Exception) -> None:
        """Report records that nobody takes; without a reporter the task fails."""
        first = records[0]
        place = f"{first.topic}-{first.kafka_partition} at offset {first.kafka_offset}"
        if self._reporter is None:
            raise ConnectError(f"{len(records)} record(s) from {place} on cannot be sent: {error}") from error
        logger.warning("%d record(s) from %s on are reported, and not sent: %s", len(records), place, error)
        for record in records:
            self._reporter.report(record, error)


class Bodies:
    """What is sent for a record: text as it is, anything else as JSON."""

    def __init__(self, *, numeric: bool) -> None:
        self._numeric = numeric
        self._encode = msgspec.json.Encoder(decimal_format="number").encode
        self._writers: dict[Schema | None, Callable[[Any], Any]] = {}

    def of(self, record: SinkRecord) -> str:
        """Raises `DataError` for what has no text."""
        value, schema = record.value, record.value_schema
        if value is None:
            raise DataError("a record without a value has nothing to send\nhint: leave tombstones out with Filter")
        if isinstance(value, str):
            return value
        write = self._writers.get(schema)
        if write is None:
            if len(self._writers) >= 1000:
                self._writers.clear()
            write = self._writers[schema] = writer_of(schema, numeric=self._numeric, replace_null=True)
        try:
            return self._encode(write(value)).decode()
        except (msgspec.MsgspecError, TypeError, ValueError) as error:
            raise DataError(f"a value cannot be written as JSON: {error}") from error


class Sender:
    """Sends bodies, again when that may help. `wait` waits so many seconds, and says whether it is to stop."""

    def __init__(self, values: Mapping[str, Any], wait: Callable[[float], bool]) -> None:
        self._values = values
        self._wait = wait
        self._token: str | None = None
        self._tried = 0
        self.said = ""
        """How the last request failed."""
        proxy = None
        if values["http.proxy.host"]:
            proxy = f"http://{values['http.proxy.host']}:{values['http.proxy.port']}"
        headers = dict(each.split(":", 1) for each in values["http.headers.additional"])
        headers = {name.strip(): value.strip() for name, value in headers.items()}
        if values["http.headers.content.type"]:
            headers["Content-Type"] = values["http.headers.content.type"]
        if values["http.headers.authorization"] is not None:
            headers["Authorization"] = values["http.headers.authorization"].value
        self._renew = {int(each) for each in values["oauth2.token.renew.on.status.codes"]}
        self._client = httpx.Client(
            headers=headers,
            timeout=values["http.timeout"],
            verify=not values["http.ssl.trust.all.certs"],
            proxy=proxy,
            trust_env=False,
        )

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def send(self, body: bytes, until: float) -> None:
        """Send it until it is taken.

        Raises:
            LaterError: it was not taken before `until`, which `time.monotonic()` counts; the same is to be sent again.
            RetriableError: it was sent as often as it may be, and was not taken.
            DataError: the receiver does not take this body.
        """
        if time.monotonic() >= until:
            raise LaterError("there was no time to send everything", 0.0)
        tried, self._tried = self._tried, 0
        while not self._taken(body):
            tried += 1
            if tried > self._values["max.retries"]:
                raise RetriableError(self.said)
            if time.monotonic() + self._pause_s >= until:
                self._tried = tried
                raise LaterError(self.said, self._pause_s)
            if self._wait(self._pause_s):
                raise RetriableError(self.said)

    def _taken(self, body: bytes) -> bool:
        self._pause_s: float = self._values["retry.backoff.ms"] / 1000
        url = self._values["http.url"]
        try:
            answer = self._post(body)
            if self._token is not None and answer.status_code in self._renew:
                self._token = None
                answer = self._post(body)
        except httpx.HTTPError as error:
            self.said = f"{url} was not reached: {error or type(error).__name__}"
            return False
        if answer.is_success:
            return True
        self.said = f"{url} answered {answer.status_code}: {answer.text[:200]}"
        if answer.status_code >= 500 or answer.status_code in BUSY:
            self._pause_s = max(self._pause_s, retry_after_s(answer.headers.get("Retry-After"), time.time()))
            return False
        if answer.status_code in {401, 403}:
            raise ConnectError(f"{self.said}\nhint: see http.authorization.type")
        raise DataError(self.said)

    def _post(self, body: bytes) -> httpx.Response:
        headers = {}
        if self._values["http.authorization.type"].lower() == "oauth2":
            if self._token is None:
                self._token = self._new_token()
            headers["Authorization"] = f"Bearer {self._token}"
        return self._client.post(self._values["http.url"], content=body, headers=headers)

    def _new_token(self) -> str:
        values = self._values
        url, secret = values["oauth2.access.token.url"], values["oauth2.client.secret"].value
        form = {values["oauth2.request.grant.type.property"]: values["oauth2.grant.type"]}
        if values["oauth2.client.scope"]:
            form["scope"] = values["oauth2.client.scope"]
        auth: httpx.BasicAuth | None = None
        if values["oauth2.client.authorization.mode"].upper() == "HEADER":
            auth = httpx.BasicAuth(values["oauth2.client.id"], secret)
        else:
            form[values["oauth2.request.client.id.property"]] = values["oauth2.client.id"]
            form[values["oauth2.request.client.secret.property"]] = secret
        # No header of the receiver's is for who gives out tokens.
        answer = httpx.post(url, data=form, auth=auth, timeout=values["http.timeout"])
        if answer.status_code >= 500 or answer.status_code in BUSY:
            raise httpx.RemoteProtocolError(f"{url} answered {answer.status_code}")
        try:
            token = answer.json().get(values["oauth2.response.token.property"]) if answer.is_success else None
        except (ValueError, AttributeError):
            token = None
        if not isinstance(token, str):
            name = values["oauth2.response.token.property"]
            raise ConnectError(f"{url} gave no token ({name}): {answer.status_code} {answer.text[:200]}")
        return token


def retry_after_s(header: str | None, now: float) -> float:
    """The wait that an answer asks for, in seconds or as a date; 0 when it says nothing that can be read."""
    if header is None:
        return 0.0
    if header.strip().isdigit():
        return min(float(header), LONGEST_WAIT_S)
    try:
        moment = email.utils.parsedate_to_datetime(header)
    except ValueError:
        return 0.0
    return min(max(moment.timestamp() - now, 0.0), LONGEST_WAIT_S)
