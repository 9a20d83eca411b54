"""The parts of a run: a database, a node, two workers, a place for the lake; each can be killed and comes back."""

from __future__ import annotations

import contextlib
import faulthandler
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
from bench.versus import peers
from bench.versus.ports import free_port
from tests.fault.connect import numbers
from tests.fault.connect.shop import DATABASE, TABLES
from tests.fault.connect.silence import write_down
from tests.fault.connect.weather import StormyBucket
from tests.fault.records import create_topic
from tests.fault.small_disk import small_disk
from tests.fault.warm import CONTEXT, IMPORTED, WarmNode, WarmProcess
from tests.postgres_under_test import postgres_under_test

PREFIX = "shop"
PARTITIONS = 3
SOURCE, SINK = "shop-cdc", "lake"
WORKERS = 2
DISK_BYTES = 48 << 20
SESSION = {"session.timeout.ms": "3000", "heartbeat.interval.ms": "500"}
TOPICS = {f"{PREFIX}.public.{table}": table for table in TABLES}
WITHIN_S = 90
# Longer than a worker takes at most; and when to look what it is doing instead.
ANSWER_WITHIN_S, SILENT_S = 100, 30
TELL_STACKS = signal.SIGUSR1

CONTEXT.set_forkserver_preload(["__main__", *IMPORTED, "moldau.connect.service", "tests.fault.connect.planted"])


class Worker:
    """A worker and the processes that it has had; its address stays.

    `on_silence` is told what it has not answered for a while; then the stacks of its threads stand in its log.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        folder: Path,
        number: int,
        bug: str | None,
        on_silence: Callable[[str], None],
        *,
        once: bool,
    ) -> None:
        self.url = f"http://127.0.0.1:{free_port()}"
        self.log = folder / f"worker-{number}.log"
        self.lives = 0
        self._bug = bug
        self._on_silence = on_silence
        self._settings = {
            "bootstrap.servers": bootstrap_servers,
            "listeners": self.url,
            "offset.storage.partitions": "5",
            "offset.flush.interval.ms": "300",
            "topic.creation.enable": "false",
            "exactly.once.source.support": "enabled" if once else "disabled",
            **SESSION,
            "scheduled.rebalance.max.delay.ms": "1000",
        }
        self.start()

    def start(self) -> None:
        self.lives += 1
        self.process = WarmProcess(self.log, run_worker, self._settings, self._bug)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        watch = threading.Timer(SILENT_S, self._silent, (f"{method} {self.url}{path}", self.lives))
        watch.daemon = True
        watch.start()
        try:
            return httpx.request(method, self.url + path, json=body, timeout=ANSWER_WITHIN_S)
        finally:
            watch.cancel()

    def _silent(self, asked: str, life: int) -> None:
        if life == self.lives:
            self.process.send_signal(TELL_STACKS)
        self._on_silence(f"{asked} is not answered")


def run_worker(settings: Mapping[str, str], bug: str | None) -> None:
    """A worker in the foreground, in a process of its own."""
    import logging

    from moldau.connect.runtime.settings import WorkerSettings
    from moldau.connect.service import run

    faulthandler.register(TELL_STACKS)
    if bug is not None:
        from tests.fault.connect.planted import BUGS

        BUGS[bug]()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s.%(msecs)03d %(name)s %(message)s", datefmt="%H:%M:%S")
    run(WorkerSettings(settings), [], lambda url: print(url, flush=True))


class Folder:
    """A lake in a folder, on a small disk where that can be had."""

    def __init__(self, root: Path, disk: Path | None) -> None:
        self.root = root
        self.disk = disk
        self.settings = {"store.url": root.as_uri()}

    def objects(self) -> dict[str, bytes]:
        """Everything that is complete."""
        found = (path for path in self.root.rglob("*") if path.is_file())
        keys = {path.relative_to(self.root): path for path in found}
        return {str(key): path.read_bytes() for key, path in keys.items() if key.parts[0] != ".incomplete"}


class Parts:
    """All of them. `store` is one of `bucket` and `folder`; `bug` one of `tests.fault.connect.planted`.

    `once`: sources write in transactions, and beside the database there is one of numbers.
    """

    def __init__(
        self, folder: Path, store: str, chance: random.Random, bug: str | None = None, *, once: bool = False
    ) -> None:
        self.folder = folder
        self.once = once
        self.chance = chance
        self._store, self._bug = store, bug
        self.workers: list[Worker] = []
        self.sink_settings: dict[str, str] = {}

    @contextlib.contextmanager
    def standing(self) -> Iterator[None]:
        """They stand within the block; the database is empty, no connector has been made."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            self.postgres = stack.enter_context(postgres_under_test(settings={"deadlock_timeout": "50ms"}))
            self.lake = stack.enter_context(self._stored())
            self.node = WarmNode(
                peers.moldau(
                    self.folder / "node", {"group.min.session.timeout.ms": "1000", "log.segment.bytes": str(1 << 20)}
                )
            )
            stack.callback(lambda: self.node.is_running() and self.node.kill())
            self.node.start()
            for topic in (*TOPICS, *([numbers.TOPIC] if self.once else [])):
                create_topic(self.node.bootstrap_servers, topic, PARTITIONS)
            stack.callback(lambda: [worker.kill() for worker in self.workers])
            for number in range(WORKERS):
                servers = self.node.bootstrap_servers
                self.workers.append(Worker(servers, self.folder, number, self._bug, self._silent, once=self.once))
            self.wait_for_workers()
            yield

    def _silent(self, what: str) -> None:
        write_down(self.folder / "silence.log", what, self.postgres)

    @contextlib.contextmanager
    def _stored(self) -> Iterator[StormyBucket | Folder]:
        if self._store == "bucket":
            bucket = StormyBucket()
            try:
                yield bucket
            finally:
                bucket.stop()
            return
        with small_disk(self.folder / "disk", DISK_BYTES) as disk:
            yield Folder((disk or self.folder / "disk") / "lake", disk)

    # Connectors.

    def create_connectors(self) -> None:
        """The source, and the sink with settings that chance chooses."""
        source = {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "topic.prefix": PREFIX,
            "table.include.list": ",".join(f"public.{table}" for table in TABLES),
            "publication.autocreate.mode": "filtered",
            "poll.interval.ms": "20",
            "retriable.restart.connector.wait.ms": "200",
            "status.update.interval.ms": "500",
            **self.postgres.connector_settings(DATABASE),
        }
        self.create(SOURCE, source)
        if self.once:
            self.create(numbers.NAME, self._numbers())
        form = self.chance.choice(("parquet.Parquet", "json.Json", "avro.Avro"))
        self.sink_settings = {
            "connector.class": "io.confluent.connect.s3.S3SinkConnector",
            "topics": ",".join(TOPICS),
            "tasks.max": "2",
            "format.class": f"io.confluent.connect.s3.format.{form}Format",
            "flush.size": str(self.chance.choice((20, 100, 400))),
            "behavior.on.null.values": "ignore",
            "retry.backoff.ms": "200",
            "transforms": "place",
            "transforms.place.type": "org.apache.kafka.connect.transforms.InsertField$Value",
            "transforms.place.topic.field": "kafka_topic",
            "transforms.place.partition.field": "kafka_partition",
            "transforms.place.offset.field": "kafka_offset",
            "consumer.override.isolation.level": "read_committed",
            **{f"consumer.override.{name}": value for name, value in SESSION.items()},
            **self._partitioner(),
            **self.lake.settings,
        }
        self.create(SINK, self.sink_settings)

    def _numbers(self) -> dict[str, str]:
        text = "org.apache.kafka.connect.storage.StringConverter"
        return {
            "connector.class": "tests.fault.connect.numbers:Numbers",
            "tasks.max": str(numbers.TASKS),
            "exactly.once.support": "required",
            "key.converter": text,
            "value.converter": text,
            **self.chance.choice(numbers.BOUNDARIES),
            **self.chance.choice(({}, {"offsets.storage.topic": "offsets-of-numbers"})),
        }

    def _partitioner(self) -> dict[str, str]:
        storage = "io.confluent.connect.storage.partitioner"
        timed = {
            "partitioner.class": f"{storage}.TimeBasedPartitioner",
            "path.format": "'minute'=mm/'second'=ss",
            "locale": "en-US",
            "timezone": "UTC",
            "timestamp.extractor": "Record",
        }
        return self.chance.choice(
            (
                {},
                {**timed, "rotate.interval.ms": "4000"},
                {**timed, "rotate.interval.ms": "4000", "rotate.file.on.partition.change": "false"},
                {"partitioner.class": f"{storage}.FieldPartitioner", "partition.field.name": "op"},
            )
        )

    def create(self, name: str, config: Mapping[str, str]) -> None:
        answer = self.workers[0].ask("PUT", f"/connectors/{name}/config", dict(config))
        assert answer.status_code in (200, 201), answer.text

    def ask(self, method: str, path: str) -> Any:
        """What the first worker that answers says; None when nobody does."""
        for worker in self.workers:
            with contextlib.suppress(httpx.HTTPError, ValueError):
                answer = worker.ask(method, path)
                if answer.status_code < 400:
                    return answer.json() if answer.content else {}
        return None

    def wait_for_workers(self) -> None:
        deadline = time.monotonic() + WITHIN_S
        for worker in self.workers:
            while True:
                with contextlib.suppress(httpx.HTTPError):
                    if worker.ask("GET", "/connectors").status_code == 200:
                        break
                assert time.monotonic() < deadline, f"{worker.url} does not answer: see {worker.log}"
                time.sleep(0.05)

    def stop_workers(self) -> list[str]:
        """Ask them to leave; what went wrong with that."""
        wrong = []
        for worker in self.workers:
            worker.process.terminate()
        for worker in self.workers:
            try:
                status = worker.process.wait(60)
            except subprocess.TimeoutExpired:
                worker.kill()
                wrong.append(f"{worker.url} does not end when it is asked to: see {worker.log}")
                continue
            if status not in (0, -signal.SIGTERM):
                wrong.append(f"{worker.url} ended with {status}: see {worker.log}")
        return wrong
