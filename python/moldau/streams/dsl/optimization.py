"""What `topology.optimization` allows: fewer topics and stores for the same results. (KAFKA-6761, KIP-295, KIP-862)

- `reuse.ktable.source.topics`: a table that is read from a topic is restored from that topic; it has no changelog.
- `merge.repartition.topics`: aggregates and joins behind one change of keys share one repartition topic.
- `single.store.self.join`: a stream that is joined with itself keeps its records once.

A topology may change its nodes and topics by this: an application that has run cannot be switched without a reset.
Nothing is merged across a `process()`, which may have changed keys: Kafka merges there by default, and then equal keys
no longer meet (its internal setting `__enable.process.processValue.fix__` is what is always done here).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from moldau.streams.dsl.graph import GraphNode, Passage, RepartitionParts
from moldau.streams.dsl.plan import Plan, below
from moldau.streams.dsl.repartition import repartition_node
from moldau.streams.topology.optimization import MERGE_REPARTITION_TOPICS, REUSE_SOURCE_TOPICS, SINGLE_STORE_SELF_JOIN
from moldau.streams.topology.topology import Topology

_Repartitions = dict[GraphNode, list[GraphNode]]
"""Per node that changes keys the repartition nodes that are there because of it."""


def optimize(plan: Plan, rules: frozenset[str]) -> None:
    """Rearrange a plan by the rules that concern its nodes."""
    if MERGE_REPARTITION_TOPICS in rules:
        _merge_repartition_topics(plan)
    if SINGLE_STORE_SELF_JOIN in rules:
        _join_with_one_store(plan)


def reuse_source_topics(plan: Plan, topology: Topology, rules: frozenset[str]) -> None:
    """Have the tables of a topology that are read from a topic restored from there."""
    if REUSE_SOURCE_TOPICS not in rules:
        return
    for operator, topic in (node.table_source for node in plan.nodes if node.table_source is not None):
        if operator.store is not None:
            topology.restore_from_source(operator.store.name, topic)


def _join_with_one_store(plan: Plan) -> None:
    for node in list(below(plan.root)):
        parts = node.stream_join
        if parts is None or len(node.parents) != 1:
            continue
        (parent,) = node.parents
        keeps = {child.name: child for child in parent.children}
        if parts.keeps_this in keeps and parts.keeps_other in keeps:
            parent.remove_child(keeps[parts.keeps_other])
            node.write = parts.write_with_itself


def _merge_repartition_topics(plan: Plan) -> None:
    for changer, nodes in _by_changer(plan).items():
        if nodes:
            _merge(plan, changer, nodes)


def _merge(plan: Plan, changer: GraphNode, nodes: list[GraphNode]) -> None:
    """Put one repartition topic right behind the change of keys, and take the others out."""
    parts = [_parts(node) for node in nodes]
    passage = Passage(
        next((one.passage.key for one in parts if one.passage.key is not None), None),
        next((one.passage.value for one in parts if one.passage.value is not None), None),
    )
    merged = repartition_node(plan.graph, parts[0].topic, passage)
    # Written before what comes after it, and after what it comes after.
    merged.priority = changer.priority
    for node in nodes:
        first = _nearest(node, lambda one: changer in one.parents)
        # Two topics behind one node of the way: that has moved with the first of them.
        if first is not None:
            merged.add_child(first)
            changer.remove_child(first)
        parents, children = list(node.parents), list(node.children)
        for child in children:
            for parent in parents:
                parent.add_child(child)
        for parent in parents:
            parent.remove_child(node)
        for child in children:
            node.remove_child(child)
        plan.rename_source(node.name, merged.name)
    changer.add_child(merged)


def _by_changer(plan: Plan) -> _Repartitions:
    """Which repartition topics can become one, behind which node; only if the values are the same all the way."""
    found: _Repartitions = {}
    for node in plan.nodes:
        if node.changes_keys:
            found[node] = []
        elif node.repartition is not None and not node.repartition.asked_for:
            changer = _nearest(node, lambda one: one.changes_keys or one.changes_values)
            if changer is not None and changer in found:
                found[changer].append(node)
    _move_behind_merges([node for node in plan.nodes if node.is_merge], found)
    return found


def _move_behind_merges(merges: Iterable[GraphNode], found: _Repartitions) -> None:
    """Streams whose keys were changed and that were merged before anybody needed them repartition once, merged."""
    changers = {
        merge: [
            changer
            for changer, nodes in found.items()
            if all(_comes_after(node, merge) for node in nodes) and _comes_after(merge, changer)
        ]
        for merge in merges
    }
    for merge, above in changers.items():
        found[merge] = list(dict.fromkeys(node for changer in above for node in found[changer]))
    for changer in {changer: None for above in changers.values() for changer in above}:
        del found[changer]


def _comes_after(node: GraphNode, other: GraphNode) -> bool:
    return _nearest(node, lambda one: other in one.parents) is not None


def _nearest(node: GraphNode, wanted: Callable[[GraphNode], bool]) -> GraphNode | None:
    """The first such node from this one upwards, along the first parents first."""
    if wanted(node):
        return node
    for parent in node.parents:
        found = _nearest(parent, wanted)
        if found is not None:
            return found
    return None


def _parts(node: GraphNode) -> RepartitionParts:
    assert node.repartition is not None
    return node.repartition
