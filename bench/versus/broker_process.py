"""A broker as a child process: started, waited for until it answers Metadata, measured, stopped by its own handle.

Both brokers go through this one class, so that "ready" means the same for both: the first Metadata answer that came
back over the socket. The question is asked with bare bytes, because a client library's start-up would be in the figure.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
METADATA_KEY, METADATA_VERSION = 3, 1


def answers_metadata(port: int, timeout_s: float = 5.0) -> bool:
    """Ask for the list of brokers (Metadata v1, no topics) and say whether a broker was named in the answer."""
    header = struct.pack(">hhih", METADATA_KEY, METADATA_VERSION, 7, -1)
    request = header + struct.pack(">i", 0)
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            connection.sendall(struct.pack(">i", len(request)) + request)
            answer = b""
            while len(answer) < 12:
                received = connection.recv(4096)
                if not received:
                    return False
                answer += received
    except OSError:
        return False
    _size, correlation_id, broker_count = struct.unpack_from(">iii", answer)
    return bool(correlation_id == 7 and broker_count >= 1)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process had used up to one moment."""

    cpu_s: float
    resident_bytes: int
    peak_resident_bytes: int


def process_usage(pid: int) -> Usage:
    """CPU time of user and system together, resident memory now and at its peak, from /proc."""
    stat = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    user_ticks, system_ticks = int(stat[11]), int(stat[12])
    sizes: dict[str, int] = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("VmRSS", "VmHWM"):
            sizes[name] = int(value.split()[0]) * 1024
    return Usage((user_ticks + system_ticks) / CLOCK_TICKS_PER_S, sizes["VmRSS"], sizes["VmHWM"])


class BrokerProcess:
    """One running broker. Leaves its output in `log_file`; `stop` and `kill` act on this process only."""

    def __init__(
        self, command: list[str], port: int, log_file: Path, environment: dict[str, str] | None = None
    ) -> None:
        self.command = command
        self.port = port
        self.log_file = log_file
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.ready_after_s = float("nan")
        self.peer = ""

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def data(self) -> Path:
        """The folder of the broker's logs: `data` beside its log file, for both peers."""
        return self.log_file.parent / "data"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the broker was not started"
        return self.process.pid

    def start(self, timeout_s: float = 180.0) -> None:
        """Start and wait until Metadata is answered. Raises with the end of the log when it is not."""
        started = time.monotonic()
        self.process = self.spawn()
        while not answers_metadata(self.port):
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self.process.returncode}:\n{self.log_tail()}")
            if time.monotonic() - started > timeout_s:
                self.kill()
                raise RuntimeError(f"no Metadata answer within {timeout_s:.0f} s:\n{self.log_tail()}")
            time.sleep(0.002)
        self.ready_after_s = time.monotonic() - started

    def spawn(self) -> subprocess.Popen[bytes]:
        """The process, as soon as it is there: nothing is waited for."""
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment
            )

    def log_tail(self, lines: int = 30) -> str:
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def usage(self) -> Usage:
        """What the broker has used."""
        return process_usage(self.pid)

    def stop(self, timeout_s: float = 60.0) -> int:
        """Ask for an orderly shutdown (SIGTERM); after `timeout_s` kill. Returns the exit status."""
        assert self.process is not None
        self.process.terminate()
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return -9

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.is_running():
            self.stop()
