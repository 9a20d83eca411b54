"""`moldau demo orders`: the guide's order pipeline on a node of its own, or on any cluster with `-b`.

It ends with a count that is exact: every single order is held against what was processed. When a check fails the
command fails.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.interrupts import INTERRUPTS
from moldau.cli.outcome import CommandError, RefusedError

NODE_START_S: Final = 60.0


def run_orders(
    file: Path | None = None,
    /,
    *,
    count: Annotated[int, Parameter(name=["--count", "-n"])] = 200_000,
    key: Annotated[str | None, Parameter(name=["--key", "-k"])] = None,
    rate: int = 25_000,
    topic: str = "orders",
    bootstrap_servers: Annotated[str | None, Parameter(name=["--bootstrap-servers", "-b"])] = None,
) -> None:
    """Send a stream of orders through a topic of 24 partitions and a group of three, and prove that all arrived.

    Parameters
    ----------
    file
        Orders as JSON lines or as CSV; a generated sample without it.
    count
        How many orders to generate.
    key
        The column that is the key; customer_id or the like is found without it.
    rate
        Orders per second; 0 sends as fast as it goes.
    topic
        The topic to create; it may not be there yet.
    bootstrap_servers
        A cluster that runs already; a node is started without it.
    """
    from moldau.cli.demo import orders as source
    from moldau.cli.demo.pipeline import Pipeline, tell

    # A demo that is told to stop takes its node and its processors with it.
    signal.signal(signal.SIGTERM, INTERRUPTS.interrupt)
    started = time.monotonic()
    if file is not None:
        orders, column = source.read(file, key)
        origin = f"from {file}, keyed by {column}"
    else:
        orders, origin = source.generate(count), f"generated (seed {source.SEED}), keyed by customer"
    if not orders:
        raise CommandError("there are no orders")
    size = sum(len(order.value) for order in orders)
    tell("orders", f"{len(orders):,} orders, {size / 1e6:,.1f} MB, {origin}")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moldau-demo-")))
        servers = bootstrap_servers or stack.enter_context(_own_node(folder))
        connection = replace(Connection(), bootstrap_servers=servers)
        findings = Pipeline(connection, topic, orders, folder).run(rate)
    for finding in findings:
        tell("check", f"{'ok  ' if finding.passed else 'FAIL'} {finding.text}")
    failed = sum(not finding.passed for finding in findings)
    took = time.monotonic() - started
    if failed:
        raise RefusedError(f"{failed} of {len(findings)} checks failed")
    tell("done", f"{len(orders):,} orders sent, {len(orders):,} processed exactly once, in {took:.1f} s")


@contextmanager
def _own_node(folder: Path) -> Iterator[str]:
    """A node for as long as the block lasts: a process of its own, as a user would start it."""
    from moldau.cli.demo.pipeline import tell

    started = time.monotonic()
    log = folder / "node.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "moldau", "up", "--port", "0", "--data", str(folder / "data")],
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("kafka "):
            process.wait(NODE_START_S)
            raise RefusedError(f"the node did not start: {log.read_text().strip()}")
        servers = line.split()[1]
        tell("node", f"moldau up at {servers}, durable, ready in {time.monotonic() - started:.1f} s")
        yield servers
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
