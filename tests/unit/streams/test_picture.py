"""The picture of a topology: everything is in it once, in its place, and nothing lies on anything else."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from tests.unit.streams.every_topology import ALL, build

from moldau.streams import Topology
from moldau.streams.topology.nodes import ProcessorNode, SinkNode, SourceNode
from moldau.streams.topology.picture import Box, lay_out

NAMES = sorted(ALL)


def named(root: ET.Element, kind: str) -> list[str]:
    return [one.attrib["data-name"] for one in root.iter() if one.get("class") == kind]


def links(root: ET.Element, kind: str) -> list[tuple[str, str]]:
    found = [one.attrib for one in root.iter() if one.get("class") == kind]
    return sorted((one["data-from"], one["data-to"]) for one in found)


def nodes_of(topology: Topology, kind: type) -> list[str]:
    return sorted(node.name for node in topology.nodes.values() if isinstance(node, kind))


@pytest.mark.parametrize("name", NAMES)
def test_every_node_store_and_edge_is_in_the_picture_once(name):
    topology = build(name)
    root = ET.fromstring(topology.svg())
    assert sorted(named(root, "source")) == nodes_of(topology, SourceNode)
    assert sorted(named(root, "processor")) == nodes_of(topology, ProcessorNode)
    assert sorted(named(root, "sink")) == nodes_of(topology, SinkNode)
    nodes = topology.nodes.values()
    used = [(node.name, store) for node in nodes if isinstance(node, ProcessorNode) for store in node.stores]
    assert sorted(named(root, "store")) == sorted({store for _, store in used})
    assert links(root, "use") == sorted(used)
    above = [(parent, node.name) for node in nodes if not isinstance(node, SourceNode) for parent in node.parents]
    assert links(root, "edge") == sorted(above)


@pytest.mark.parametrize("name", NAMES)
def test_boxes_overlap_neither_each_other_nor_the_border_and_every_edge_leads_down(name):
    ends = 0.0
    for part in lay_out(build(name).sub_topologies()):
        assert part.y >= ends, "a sub-topology begins where the one before has ended"
        ends = part.y + part.height
        for box in part.boxes.values():
            assert part.x <= box.x <= box.x + box.width <= part.x + part.width, box.name
            assert part.y <= box.y <= box.y + box.height <= part.y + part.height, box.name
        for one, other in combinations(part.boxes.values(), 2):
            assert apart(one, other), (one, other)
        for parent, child in part.edges:
            assert part.boxes[parent].y + part.boxes[parent].height < part.boxes[child].y


def apart(one: Box, other: Box) -> bool:
    beside = one.x + one.width <= other.x or other.x + other.width <= one.x
    return beside or one.y + one.height <= other.y or other.y + other.height <= one.y


def test_the_same_topology_has_the_same_picture_and_a_notebook_shows_it():
    assert build("foreign_key").svg() == build("foreign_key")._repr_svg_()
    assert Topology().svg().startswith("<svg")


def test_names_are_written_as_they_are_whatever_is_in_them():
    topology = Topology().add_source("<in> & 'out'", 'a "topic"', key=str, value=str)
    root = ET.fromstring(topology.svg())
    assert named(root, "source") == ["<in> & 'out'"]
    assert [text.text for text in root.iter() if text.tag.endswith("text")][1:] == ['a "topic"', "<in> & 'out'"]
