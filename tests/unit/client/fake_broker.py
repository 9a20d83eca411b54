"""A broker of few words: it answers each request with what a test says, or does not, or with rubbish."""

import socket
import struct
import threading
from contextlib import suppress
from functools import cache

from moldau.client.protocol.questions import API_VERSIONS, FIND_COORDINATOR, METADATA, SPOKEN
from moldau.wire.codec import message_codec
from moldau.wire.layout import FLEXIBLE_SINCE, message_versions

HANG_UP = object()
SAY_NOTHING = object()


class FakeBroker:
    """`answers(api_key, version, request)` gives the fields of the answer, raw bytes, HANG_UP or SAY_NOTHING.

    With `metadata(request)` it has partitions; without it is a broker that nobody reads from.
    """

    def __init__(self, answers, *, versions=None, metadata=None, features=None):
        self.features = features or {}
        self.metadata = metadata
        self.answers = answers
        self.versions = versions or {}
        # Before the clock of a client runs: every version of a message is imported for it.
        served()
        self.requests = []
        self._open = []
        self._arrived = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._listener.close()
        for connection in self._open:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def of(self, api_key):
        """The requests of one API so far."""
        return [request for key, request in list(self.requests) if key == api_key]

    def wait_for(self, condition, what):
        with self._arrived:
            assert self._arrived.wait_for(condition, 30), what

    def _accept(self):
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, suppress(OSError, EOFError):
            while True:
                (size,) = struct.unpack(">i", _exactly(connection, 4))
                self._answer(connection, _exactly(connection, size))

    def _answer(self, connection, frame):
        api_key, version, correlation_id, name = struct.unpack_from(">hhih", frame)
        flexible = version >= FLEXIBLE_SINCE[api_key]
        body = frame[10 + max(name, 0) + flexible :]
        request = message_codec(api_key, version, "request").decode(body)
        with self._arrived:
            self.requests.append((api_key, request))
            self._arrived.notify_all()
        said = self._said(api_key, version, request)
        if said is SAY_NOTHING:
            return
        if said is HANG_UP:
            raise EOFError
        if not isinstance(said, bytes):
            header = b"\0" if flexible and api_key != API_VERSIONS else b""
            said = header + message_codec(api_key, version, "response").encode(said)
        content = struct.pack(">i", correlation_id) + said
        connection.sendall(struct.pack(">i", len(content)) + content)

    def _said(self, api_key, version, request):
        if api_key == API_VERSIONS:
            keys = {**SPOKEN, **served(), **self.versions}
            rows = [{"api_key": key, "min_version": low, "max_version": high} for key, (low, high) in keys.items()]
            features = [
                {"name": name, "max_version_level": level, "min_version_level": level}
                for name, level in self.features.items()
            ]
            told = {"finalized_features_epoch": 1, "finalized_features": features} if features else {}
            return {"error_code": 0, "api_keys": rows, **told}
        if api_key == METADATA and self.metadata is not None:
            return self.metadata(request)
        if api_key == METADATA:
            return {"brokers": [], "topics": [], "cluster_id": None, "controller_id": 1}
        said = self.answers(api_key, version, request)
        if said is None and api_key == FIND_COORDINATOR:
            return self.as_coordinator(version, request)
        return said

    def as_coordinator(self, version, request, error_code=0, port=None):
        """The answer that names this broker, or another one."""
        place = {"node_id": 1, "host": "127.0.0.1", "port": port or self.port, "error_code": error_code}
        if version >= 4:
            return {"coordinators": [{"key": request.coordinator_keys[0], **place}]}
        return place


@cache
def served():
    """By API key, the oldest and the newest version that there is, whether a client speaks it or not."""
    return {key: (message_versions(key, "request")[0], message_versions(key, "request")[-1]) for key in SERVED}


SERVED = (0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 17, 18, 22, 23, 24, 25, 26, 28, 36)


def _exactly(connection, size):
    content = b""
    while len(content) < size:
        received = connection.recv(size - len(content))
        if not received:
            raise EOFError
        content += received
    return content
