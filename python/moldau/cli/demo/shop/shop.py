"""One run of the shop: its parts started one after the other, watched while orders come in, and held to account.

PostgreSQL   embedded; orders, customers, stock, an outbox
the node     `moldau up`: Kafka, a schema registry, Connect
CDC          the guide's Debezium configuration, given to Connect
Streams      `moldau streams run`: the guide's hourly revenue and its join, exactly once
the lake     the guide's S3 configuration with a folder in place of the bucket

Each part is a client of the others like any other. Whatever ends the run stops them in the reverse order.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from moldau.cli.connect import end_of
from moldau.cli.connect_client import ConnectConnection, read_connector
from moldau.cli.connection import Connection
from moldau.cli.demo.postgres import EmbeddedPostgres, embedded
from moldau.cli.demo.processed import Finding
from moldau.cli.demo.shop import checks
from moldau.cli.demo.shop.child import Child
from moldau.cli.demo.shop.screen import Figures, Lines, Screen, Stage
from moldau.cli.demo.shop.till import CUSTOMERS, PRODUCTS, Day, Till, customers, goods, orders
from moldau.cli.demo.shop.watch import Change, EnrichedOrder, Lake, Order, Reader, Stores
from moldau.cli.outcome import CommandError, RefusedError, TimedOutError
from moldau.cli.registry_client import RegistryConnection

FILES: Final = Path(__file__).parent / "files"
"""What a user runs by hand, in examples/shop."""
DATABASE: Final = "ecommerce"
APPLICATION: Final = "shop"
PREFIX: Final = "ecommerce-prod.public."
CHANGES: Final = f"{PREFIX}orders"
OUTBOX: Final = "outbox.event.order"
PARTITIONS: Final = 4
TOPICS: Final = {
    # Changes of a table stay in the order of their commits.
    **dict.fromkeys((CHANGES, f"{PREFIX}customers", f"{PREFIX}inventory", OUTBOX), 1),
    **dict.fromkeys(("orders", "customers", "inventory", "hourly-revenue", "enriched-orders"), PARTITIONS),
}
SEEN: Final[Mapping[str, type | None]] = {
    CHANGES: Change,
    "orders": Order,
    "enriched-orders": EnrichedOrder,
    OUTBOX: None,
}
LOOK_EVERY_S: Final = 0.7
STATUS_EVERY_S: Final = 2.0
STUCK_S: Final = 60.0
"""How long no order may move on before the run is given up."""

Tell = Callable[[str, str], None]


@dataclass(frozen=True)
class Report:
    """How the run ended."""

    figures: Figures
    findings: list[Finding]
    revenue: Mapping[str, Mapping[int, Any]]
    best: tuple[str, str, list[dict[str, Any]]]
    """The customer who spent most, where that can be asked for, and the answer."""


class Shop:
    """The shop of one run."""

    def __init__(self, folder: Path, count: int, seconds: float, tell: Tell) -> None:
        self.folder = folder
        self.day = Day.before(_now())
        self.rows = orders(count, self.day)
        self.seconds = seconds
        self.tell = tell
        self._children: list[Child] = []
        self._looked_at_status = 0.0

    def run(self, display: Screen | Lines) -> Report:
        """Open, sell, close, check.

        Raises:
            CommandError: a part did not start, or has failed, or no order moves on.
        """
        with ExitStack() as stack:
            self._open(stack)
            with display:
                figures = self._sell(display)
            return self._check(figures)

    def _open(self, stack: ExitStack) -> None:
        """Start everything, and tell what there is."""
        started = time.monotonic()
        places = ("--port", "0", "--registry-port", "0", "--connect-port", "0")
        node = stack.enter_context(self._child("the node", "up", "--data", str(self.folder / "node"), *places))
        self.postgres = stack.enter_context(embedded())
        self._fill(self.postgres)
        self.database = stack.enter_context(self.postgres.connect(DATABASE))
        self.tell("postgres", f"127.0.0.1:{self.postgres.port}; {CUSTOMERS} customers, {PRODUCTS} products, an outbox")
        # The database is stopped after those who read it.
        stack.callback(node.stop)
        servers, self.registry, connect = node.wait_for("kafka", "registry", "connect")
        self.connection = replace(Connection(), bootstrap_servers=servers)
        self.connect = replace(ConnectConnection(), url=connect)
        self.tell("kafka", servers)
        self._create_topics()
        self.tell("registry", self.registry)
        self._register_schemas()
        self.tell("connect", connect)
        self._create_connectors()
        streams = stack.enter_context(self._streams(servers))
        (url,) = streams.wait_for("http")
        self.stores, self.lake = Stores(url), Lake(self.folder / "lake")
        self.tell("streams", url)
        self.till = Till(lambda: self.postgres.connect(DATABASE), self.rows, self.seconds)
        self.reader = Reader(self.connection, self.registry, SEEN, self.till.written_at)
        stack.callback(self.reader.close)
        stack.callback(self.till.close)
        self.reader.start()
        self._wait_for_customers()
        self.tell("open", f"everything is there after {time.monotonic() - started:.1f} s")

    def _child(self, name: str, *arguments: str, **variables: str) -> Child:
        child = Child(name, arguments, self.folder / f"{arguments[0]}.log", variables)
        self._children.append(child)
        return child

    def _streams(self, servers: str) -> Child:
        program = f"{FILES / 'shop.py'}:topology"
        state = str(self.folder / "streams")
        settings = ("--application-id", APPLICATION, "--exactly-once", "--http", "127.0.0.1:0", "--state-dir", state)
        return self._child(
            "the streams application",
            "streams",
            "run",
            program,
            "-b",
            servers,
            *settings,
            MOLDAU_REGISTRY_URL=self.registry,
        )

    def _fill(self, server: EmbeddedPostgres) -> None:
        """Make the tables, and what is in them before the shop opens: the snapshot."""
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        with server.connect(DATABASE) as connection:
            connection.execute((FILES / "shop.sql").read_text())
            # The file has a password that everybody can read.
            connection.execute(f"ALTER ROLE debezium_ro PASSWORD '{server.password}'")
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO customers VALUES (%s, %s, %s, %s, %s, %s)", customers(self.day))
                cursor.executemany("INSERT INTO inventory VALUES (%s, %s, %s)", goods(self.day))
        secret = self.folder / "db.properties"
        secret.touch(0o600)
        secret.write_text(f"password={server.password}\n")

    def _create_topics(self) -> None:
        from confluent_kafka.admin import NewTopic

        made = self.connection.admin().create_topics([NewTopic(topic, count, 1) for topic, count in TOPICS.items()])
        for future in made.values():
            self.connection.answer(future)
        self.tell("", f"{len(TOPICS)} topics: changes of a table in one partition, the rest in {PARTITIONS}")

    def _register_schemas(self) -> None:
        registry = replace(RegistryConnection(), registry=self.registry)
        files = sorted(FILES.glob("*.avsc"))
        for file in files:
            registry.ask("POST", "subjects", f"{file.stem}-value", "versions", body={"schema": file.read_text()})
        self.tell("", f"schemas of {', '.join(file.stem for file in files)}")

    def _create_connectors(self) -> None:
        """Give the files to Connect, with the addresses of this run."""
        here = {
            "orders-cdc.json": {
                "database.hostname": "127.0.0.1",
                "database.port": str(self.postgres.port),
                "database.password": f"${{file:{self.folder / 'db.properties'}:password}}",
            },
            "lake.json": {"store.url": (self.folder / "lake").as_uri()},
        }
        for file, places in here.items():
            given = read_connector(FILES / file)
            registry = {key: self.registry for key in given.config if key.endswith("schema.registry.url")}
            config = {**given.config, **places, **registry}
            self.connect.ask("POST", "connectors", body={"name": given.name, "config": config})
            kind = config["connector.class"].rpartition(".")[2]
            self.tell("", f"{given.name}: {kind}, from {file}")

    def _wait_for_customers(self) -> None:
        """The join knows whom it has seen: the doors open when the snapshot has come all the way."""
        deadline = time.monotonic() + STUCK_S
        while True:
            try:
                known = len(self.stores.entries("customers-store"))
            except RefusedError:
                known = 0
            if known == CUSTOMERS:
                return
            self._look_for_failures()
            if time.monotonic() > deadline:
                raise TimedOutError(f"only {known} of {CUSTOMERS} customers have come through", self._where())
            time.sleep(0.1)

    def _sell(self, display: Screen | Lines) -> Figures:
        """Write orders, and watch until all of them are everywhere."""
        started = moved = time.monotonic()
        self.till.start()
        counts: list[int] = []
        while True:
            figures = self._figures(time.monotonic() - started)
            display.show(figures)
            before, counts = counts, [stage.count for stage in figures.stages]
            if all(count >= figures.total for count in counts):
                return figures
            self._look_for_failures()
            moved = time.monotonic() if counts != before else moved
            if time.monotonic() - moved > STUCK_S:
                short = next(stage for stage in figures.stages if stage.count < figures.total)
                text = f"{short.part} has {short.count:,} of {figures.total:,} orders ({short.what}) and gets no more"
                raise TimedOutError(text, self._where())
            time.sleep(LOOK_EVERY_S)

    def _figures(self, seconds: float) -> Figures:
        self.lake.look("orders", "inventory")
        total, counts = len(self.rows), self.reader.counts
        stages = [
            Stage("PostgreSQL", "orders committed", self._committed()),
            Stage("CDC", CHANGES, counts[CHANGES]),
            Stage("Streams", "orders", counts["orders"]),
            Stage("join", "enriched-orders", counts["enriched-orders"]),
            Stage("lake", f"{self.lake.files('orders')} Parquet files", self.lake.rows("orders")),
        ]
        done = all(stage.count >= total for stage in stages)
        state = "closed: every order is everywhere" if done else "open" if self.till.placed < total else "closing"
        try:
            hours = self.stores.revenue()
        except RefusedError:
            # A part of it may be moving; how the application is, is looked at apart from this.
            hours = {}
        late = (self.reader.latency_ms(0.5), self.reader.latency_ms(0.99))
        return Figures(seconds, total, state, stages, hours, dict(self.reader.by_city), late)

    def _committed(self) -> int:
        row: tuple[int] = self.database.execute(checks.COUNT_SQL).fetchone()
        return row[0]

    def _look_for_failures(self) -> None:
        for part in (self.till, self.reader):
            if isinstance(part.failure, CommandError):
                raise part.failure
            if part.failure is not None:
                raise RefusedError(f"the {part.name} has failed: {part.failure}") from part.failure
        for child in self._children:
            child.check()
        if time.monotonic() - self._looked_at_status < STATUS_EVERY_S:
            return
        self._looked_at_status = time.monotonic()
        for name, expanded in self.connect.ask("GET", "connectors", query={"expand": "status"}).items():
            status = expanded["status"]
            for part in (status["connector"], *status["tasks"]):
                if part["state"] == "FAILED":
                    raise RefusedError(f"{name} has failed: {end_of(part.get('trace', ''))}", self._where())

    def _where(self) -> str:
        return f"what its parts have said is in {self.folder}, if --folder keeps it"

    def _check(self, figures: Figures) -> Report:
        """Ask PostgreSQL what is right, and everybody else what they have."""
        ask = self.database.execute
        numbers = Counter(row[0] for row in ask(checks.NUMBERS_SQL))
        right = dict(ask(checks.REVENUE_SQL).fetchall())
        outbox = ask(checks.OUTBOX_SQL).fetchone()[0]
        secrets = {secret.encode() for row in ask(checks.CUSTOMERS_SQL) for secret in row}
        self._wait_for_the_rest()
        lake = self.lake.table("orders")
        read = self.reader.numbers
        revenue = {
            "SQL": right,
            "hourly-revenue-store": self.stores.revenue(),
            "the lake": checks.revenue_of(lake),
        }
        places = {topic: read[topic] for topic, kind in SEEN.items() if kind is not None}
        facts = checks.Facts(
            written=numbers,
            places={**places, "lake": lake["order_id"].to_pylist()},
            told=(outbox, self.reader.counts[OUTBOX]),
            counted=self.stores.counted(),
            stock=(self.lake.rows("inventory"), PRODUCTS + len(self.rows)),
            revenue=revenue,
            leaked=self._leaked(secrets),
        )
        best = Counter(customer for _, customer, *_ in self.rows).most_common(1)[0][0]
        answer = self.stores.entries("hourly-revenue-store", best)
        address = self.stores.address("hourly-revenue-store", best)
        return Report(figures, checks.check(facts), revenue, (best, address, answer))

    def _wait_for_the_rest(self) -> None:
        """What nobody counted on the screen: the outbox, and the stock in the lake."""
        deadline = time.monotonic() + STUCK_S
        wanted = PRODUCTS + len(self.rows)
        while self.reader.counts[OUTBOX] < len(self.rows) or self.lake.rows("inventory") < wanted:
            if time.monotonic() > deadline:
                return
            self._look_for_failures()
            self.lake.look("inventory")
            time.sleep(0.1)

    def _leaked(self, secrets: set[bytes]) -> int:
        """How many records about customers hold what the configuration leaves out."""
        from confluent_kafka import TopicPartition

        topic = f"{PREFIX}customers"
        consumer = self.connection.consumer("shop-secrets")
        try:
            consumer.assign([TopicPartition(topic, 0, 0)])
            _, end = self.connection.carry_out(
                lambda: consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=15)
            )
            records = self.connection.carry_out(lambda: consumer.consume(end, self.connection.timeout_s))
            values = [message.value() or b"" for message in records]
            if len(values) < end:
                raise TimedOutError(f"only {len(values)} of {end} records of {topic} could be read")
            return sum(any(secret in value for secret in secrets) for value in values)
        finally:
            consumer.close()


def _now() -> Any:
    from datetime import UTC, datetime

    return datetime.now(UTC)
