"""Cycles across transactions: who saw whose records (a read edge), whose record follows whose (a write edge).

A read edge T1 -> T2 under read_committed says that T1 had committed when T2 got its record, and so before T2 committed.
A circle of read edges is impossible. A write edge says nothing of the kind: Kafka gives no isolation between writers,
records of open transactions interleave freely, and T1 may be first in one partition and last in another. So a circle
that needs a write edge is allowed by Kafka's model; it is counted, because who reads a report may want to know, and is
no anomaly. Jepsen's analyses come to the same distinction (G0 is allowed, G1c of reads alone is not).
"""

from __future__ import annotations

from collections import defaultdict

from tests.fault.history.known import Known
from tests.fault.history.operations import Record

Graph = dict[str, set[str]]


def read_cycles(known: Known) -> list[list[str]]:
    """Circles of transactions that saw each other's records."""
    return _circles(_read_edges(known))


def write_cycles(known: Known) -> list[list[str]]:
    """Circles that are none without the order of records in partitions: allowed, and counted."""
    both = _write_edges(known)
    for writer, readers in _read_edges(known).items():
        both[writer] |= readers
    impossible = {name for circle in read_cycles(known) for name in circle}
    return [circle for circle in _circles(both) if not impossible.issuperset(circle)]


def _read_edges(known: Known) -> Graph:
    """From who saw to whom it saw."""
    edges: Graph = defaultdict(set)
    for poll in known.polls:
        if poll.transaction is None or poll.isolation != "read_committed":
            continue
        for record in poll.records:
            writer = known.writer_of(record)
            if writer is not None and writer.transaction not in (None, poll.transaction):
                edges[poll.transaction].add(writer.transaction)
    return edges


def _write_edges(known: Known) -> Graph:
    """From who wrote later to who wrote before it in the same partition."""
    edges: Graph = defaultdict(set)
    for partition, log in known.committed_log.items():
        before: str | None = None
        for offset, value in log.items():
            writer = known.writer_of(Record(partition, offset, value))
            if writer is None or writer.transaction is None:
                continue
            if before is not None and before != writer.transaction:
                edges[writer.transaction].add(before)
            before = writer.transaction
    return edges


def _circles(edges: Graph) -> list[list[str]]:
    """One list of names for each strongly connected component of more than one (Tarjan's, without recursion)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    found: list[list[str]] = []
    for root in sorted(edges):
        if root in index:
            continue
        path = [(root, iter(sorted(edges[root])))]
        index[root] = lowest[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while path:
            name, following = path[-1]
            for other in following:
                if other not in index:
                    index[other] = lowest[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    path.append((other, iter(sorted(edges.get(other, ())))))
                    break
                if other in on_stack:
                    lowest[name] = min(lowest[name], index[other])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[name])
                if lowest[name] == index[name]:
                    at = stack.index(name)
                    component = stack[at:]
                    del stack[at:]
                    on_stack.difference_update(component)
                    if len(component) > 1:
                        found.append(component)
    return found
