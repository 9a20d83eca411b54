"""A small client of the protocol itself, for what librdkafka has no call for: features, the quorum, deleted offsets.

    with connection.channel() as channel:
        answer = channel.ask("describe_quorum", lambda api: api.DescribeQuorumRequest(topics=(...)))

kio writes the request, in the newest version that it and the broker both know; `moldau.wire`, which trusts no length,
reads the answer. One question at a time over one plain or TLS connection; SASL only as PLAIN.
"""

from __future__ import annotations

import importlib
import io
import socket
import struct
from collections.abc import Callable, Mapping
from types import ModuleType, TracebackType
from typing import Any, Final, Self

from moldau.cli.outcome import CommandError, RefusedError, TimedOutError

ANSWER_BYTES_MAX: Final = 100 << 20
"""What librdkafka takes at most (`receive.message.max.bytes`)."""
API_VERSIONS_BYTES_MAX: Final = 1 << 20
"""The first answer has a few kilobytes: more means that something else than a Kafka broker is speaking."""

API_VERSIONS: Final = "api_versions"
UNSUPPORTED_VERSION: Final = 35

Build = Callable[[Any], Any]


class Channel:
    """One connection to one broker."""

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self._socket = connection
        self._timeout_s = timeout_s
        self._correlation_id = 0
        self._versions: Mapping[int, tuple[int, int]] | None = None
        connection.settimeout(timeout_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    def api_versions(self) -> Any:
        """What the broker says it can do. One too old for the question answers with version 0 (KIP-511).

        Raises:
            CommandError: there was no answer, or none of a Kafka broker.
        """
        from moldau.cli import VERSION

        def build(api: Any) -> Any:
            return api.ApiVersionsRequest(client_software_name="moldau-cli", client_software_version=VERSION)

        body = self._exchange(_request_module(API_VERSIONS, 4), build, API_VERSIONS_BYTES_MAX)
        if len(body) < 2:
            raise RefusedError("this is no answer of a Kafka broker: it is too short")
        (error_code,) = struct.unpack_from(">h", body)
        answer = _decode(_response_class(API_VERSIONS, 0 if error_code == UNSUPPORTED_VERSION else 4), body)
        if error_code == UNSUPPORTED_VERSION and any(row.api_key == 18 for row in answer.api_keys):
            highest = min(3, next(row.max_version for row in answer.api_keys if row.api_key == 18))
            answer = self._ask_version(API_VERSIONS, highest, build if highest >= 3 else _empty_api_versions)
        elif error_code not in (0, UNSUPPORTED_VERSION):
            raise RefusedError(f"the broker answered with the error {answer.error_code.name}")
        self._versions = {int(row.api_key): (int(row.min_version), int(row.max_version)) for row in answer.api_keys}
        return answer

    def ask(self, name: str, build: Build) -> Any:
        """Send one request and return its answer.

        Args:
            name: the API as kio names it, `describe_quorum`.
            build: makes the request from kio's module of the version that is spoken.

        Raises:
            CommandError: the broker does not serve it, or no good answer came.
        """
        if self._versions is None:
            self.api_versions()
        return self._ask_version(name, self._version_for(name), build)

    def _version_for(self, name: str) -> int:
        assert self._versions is not None
        package = importlib.import_module(f"kio.schema.{name}")
        known = [int(part.removeprefix("v")) for part in _version_packages(package)]
        api_key = _request_class(name, known[0]).__api_key__
        lowest, highest = self._versions.get(api_key, (0, -1))
        shared = [version for version in known if lowest <= version <= highest]
        if not shared:
            title = "".join(map(str.capitalize, name.split("_")))
            raise RefusedError(f"this broker does not serve {title}", "`moldau api-versions` shows what it serves")
        return max(shared)

    def _ask_version(self, name: str, version: int, build: Build) -> Any:
        body = self._exchange(_request_module(name, version), build, ANSWER_BYTES_MAX)
        return _decode(_response_class(name, version), body)

    def _exchange(self, module: ModuleType, build: Build, answer_bytes_max: int) -> bytes:
        """The bytes behind the correlation id of the answer."""
        try:
            self._socket.sendall(self._frame(build(module)))
            return self._receive(answer_bytes_max)
        except TimeoutError as error:
            raise TimedOutError(f"no answer within {self._timeout_s:g} s") from error
        except OSError as error:
            raise RefusedError(f"the connection ended in the middle of the answer: {error}") from error

    def _frame(self, request: Any) -> bytes:
        from kio.serial import entity_writer

        self._correlation_id += 1
        header_class = request.__header_schema__
        header = header_class(
            request_api_key=request.__api_key__,
            request_api_version=request.__version__,
            correlation_id=self._correlation_id,
            client_id="moldau-cli",
        )
        buffer = io.BytesIO()
        entity_writer(header_class)(buffer, header)
        entity_writer(type(request))(buffer, request)
        content = buffer.getvalue()
        return struct.pack(">i", len(content)) + content

    def _receive(self, answer_bytes_max: int) -> bytes:
        (size,) = struct.unpack(">i", self._exactly(4))
        if not 6 <= size <= answer_bytes_max:
            raise RefusedError(f"this is no Kafka broker: it announces an answer of {size} bytes")
        content = self._exactly(size)
        (correlation_id,) = struct.unpack_from(">i", content)
        if correlation_id != self._correlation_id:
            raise RefusedError("this is no Kafka broker: its answer belongs to no question of ours")
        return content[4:]

    def _exactly(self, size: int) -> bytes:
        content = bytearray()
        while len(content) < size:
            received = self._socket.recv(min(size - len(content), 1 << 20))
            if not received:
                raise RefusedError(
                    "the broker closed the connection",
                    "is this the port of a Kafka listener? one with TLS needs -X security.protocol=ssl",
                )
            content += received
        return bytes(content)


def _empty_api_versions(api: Any) -> Any:
    return api.ApiVersionsRequest()


def _version_packages(package: ModuleType) -> list[str]:
    import pkgutil

    return sorted(
        (module.name for module in pkgutil.iter_modules(package.__path__)), key=lambda name: int(name.removeprefix("v"))
    )


def _request_module(name: str, version: int) -> ModuleType:
    return importlib.import_module(f"kio.schema.{name}.v{version}.request")


def _request_class(name: str, version: int) -> Any:
    return getattr(_request_module(name, version), "".join(map(str.capitalize, name.split("_"))) + "Request")


def _response_class(name: str, version: int) -> Any:
    module = importlib.import_module(f"kio.schema.{name}.v{version}.response")
    return getattr(module, "".join(map(str.capitalize, name.split("_"))) + "Response")


def _decode(response_class: Any, body: bytes) -> Any:
    """The answer behind its header. Tagged fields of the header are what nobody uses yet: their count, 0."""
    from moldau.wire.codec import message_codec

    # A header of version 1 has tagged fields behind the correlation id.
    behind_header = body[1:] if response_class.__header_schema__.__version__ == 1 else body
    codec = message_codec(response_class.__api_key__, response_class.__version__, "response")
    try:
        answer = codec.decode(behind_header)
    except ValueError as error:
        raise RefusedError(f"this is no answer of a Kafka broker: {error}") from error
    return answer


def log_in(channel: Channel, settings: Mapping[str, str]) -> None:
    """Authenticate as librdkafka's settings say.

    Raises:
        CommandError: another mechanism than PLAIN is wanted, or the broker refused.
    """
    mechanism = settings.get("sasl.mechanism") or settings.get("sasl.mechanisms") or "GSSAPI"
    if mechanism != "PLAIN":
        raise RefusedError(f"this command speaks the protocol itself and knows SASL PLAIN only, not {mechanism}")
    user, password = settings.get("sasl.username", ""), settings.get("sasl.password", "")
    answer = channel.ask("sasl_handshake", lambda api: api.SaslHandshakeRequest(mechanism=mechanism))
    require_no_error(answer)
    token = f"\0{user}\0{password}".encode()
    require_no_error(channel.ask("sasl_authenticate", lambda api: api.SaslAuthenticateRequest(auth_bytes=token)))


def require_no_error(answer: Any) -> None:
    """Raise what an answer, or a part of one, says is wrong.

    Raises:
        RefusedError: its error code is not 0.
    """
    error = error_of(answer)
    if error is not None:
        raise error


def error_of(part: Any) -> CommandError | None:
    """What a part of an answer says is wrong, or `None`."""
    if int(part.error_code.value) == 0:
        return None
    message = getattr(part, "error_message", None)
    name = str(part.error_code.name).upper()
    return RefusedError(f"{message} ({name})" if message else name)
