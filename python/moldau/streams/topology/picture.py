"""A topology as a picture: an SVG with a box per node and store, sub-topology by sub-topology.

The layout is a small one of our own, and always the same for the same topology. Within a sub-topology a node lies one
row below the lowest of its parents; in a row nodes stand as their parents do, from left to right (two sweeps by the
mean of the neighbours' places). Stores stand to the right of everything, in the row of the first node that uses them.
Sub-topologies lie under each other, and so nothing overlaps; a topic between two of them is named at both ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from moldau.streams.topology.nodes import Node, ProcessorNode, SinkNode, SourceNode
from moldau.streams.topology.subtopology import SubTopology

Kind = Literal["source", "processor", "sink", "store"]

_CHARACTER: Final = 6.7
_LINE: Final = 15
_PADDING: Final = 10
_GAP: Final = 28
_ROW_GAP: Final = 42
_MARGIN: Final = 16
_TITLE: Final = 24
_COLOURS: Final[Mapping[Kind, tuple[str, str]]] = {
    "source": ("#e3f2fd", "#1565c0"),
    "processor": ("#f7f7f7", "#616161"),
    "sink": ("#e8f5e9", "#2e7d32"),
    "store": ("#fff8e1", "#b26a00"),
}


@dataclass(slots=True)
class Box:
    """One box: what is written in it, and where it lies (px, from the left and from above)."""

    name: str
    kind: Kind
    lines: tuple[str, ...]
    row: int = 0
    x: float = 0.0
    y: float = 0.0

    @property
    def width(self) -> float:
        """As wide as its longest line."""
        return max(len(line) for line in self.lines) * _CHARACTER + 2 * _PADDING

    @property
    def height(self) -> float:
        """As high as its lines."""
        return len(self.lines) * _LINE + _PADDING


@dataclass(slots=True)
class Part:
    """One sub-topology: its boxes by name, and which leads to which."""

    title: str
    boxes: dict[str, Box] = field(default_factory=dict)
    edges: list[tuple[str, str]] = field(default_factory=list)
    uses: list[tuple[str, str]] = field(default_factory=list)
    """Processor and store."""
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


def lay_out(groups: Iterable[SubTopology]) -> list[Part]:
    """The parts of a picture, every box in its place."""
    parts = []
    y = float(_MARGIN)
    for group in groups:
        part = _part(group)
        _place(part, y)
        parts.append(part)
        y += part.height + _MARGIN
    return parts


def draw(groups: Iterable[SubTopology]) -> str:
    """The picture as the text of an SVG file."""
    parts = lay_out(groups)
    width = max((part.x + part.width for part in parts), default=0.0) + _MARGIN
    height = max((part.y + part.height for part in parts), default=0.0) + _MARGIN
    body = "\n".join(line for part in parts for line in _drawn(part))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" font-family="ui-monospace, Menlo, monospace" font-size="11">\n'
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#616161"/></marker></defs>\n'
        f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
    )


def _part(group: SubTopology) -> Part:
    part = Part(f"Sub-topology {group.id}" + (", on every instance" if group.is_global else ""))
    for node in group.nodes:
        part.boxes[node.name] = _box(node)
        if not isinstance(node, SourceNode):
            part.edges += [(parent, node.name) for parent in node.parents]
        if isinstance(node, ProcessorNode):
            part.uses += [(node.name, store) for store in node.stores]
    for _, store in part.uses:
        # A store may have the name of a node.
        part.boxes.setdefault(f"store {store}", Box(store, "store", (store,)))
    return part


def _box(node: Node) -> Box:
    if isinstance(node, SourceNode):
        topics = node.topics or (node.pattern.pattern if node.pattern is not None else "",)
        return Box(node.name, "source", (*topics, node.name))
    if isinstance(node, SinkNode):
        return Box(node.name, "sink", (node.topic if isinstance(node.topic, str) else "a topic per record", node.name))
    return Box(node.name, "processor", (node.name,))


def _place(part: Part, top: float) -> None:
    rows = _rows(part)
    _sort_by_neighbours(part, rows)
    part.x, part.y = float(_MARGIN), top
    right = _lay_rows(part, rows)
    right = _lay_stores(part, right)
    part.width = max(right, len(part.title) * _CHARACTER + 3 * _PADDING) + _PADDING
    bottom = max((box.y + box.height for box in part.boxes.values()), default=top + _TITLE)
    part.height = bottom - top + _PADDING


def _rows(part: Part) -> list[list[str]]:
    """Names by row: each below its parents."""
    parents: dict[str, list[str]] = {name: [] for name in part.boxes}
    for parent, child in part.edges:
        parents[child].append(parent)
    rows: list[list[str]] = []
    for name, box in part.boxes.items():
        if box.kind == "store":
            continue
        # Nodes come after their parents.
        box.row = max((part.boxes[parent].row + 1 for parent in parents[name]), default=0)
        rows += [[] for _ in range(box.row + 1 - len(rows))]
        rows[box.row].append(name)
    return rows


def _sort_by_neighbours(part: Part, rows: list[list[str]]) -> None:
    """Fewer crossings: each row as its parents stand, then each as its children do."""
    above: dict[str, list[str]] = {}
    under: dict[str, list[str]] = {}
    for parent, child in part.edges:
        above.setdefault(child, []).append(parent)
        under.setdefault(parent, []).append(child)
    for neighbours, order in ((above, rows), (under, rows[::-1]), (above, rows)):
        place = {name: index for row in rows for index, name in enumerate(row)}
        for row in order:
            means = {
                name: sum(place[one] for one in neighbours[name]) / len(neighbours[name])
                if name in neighbours
                else float(place[name])
                for name in row
            }
            row.sort(key=means.__getitem__)
            place.update({name: index for index, name in enumerate(row)})


def _lay_rows(part: Part, rows: list[list[str]]) -> float:
    """Put the rows under each other, each in the middle; the right end of the widest."""
    widths = [sum(part.boxes[name].width for name in row) + _GAP * (len(row) - 1) for row in rows]
    widest = max(widths, default=0.0)
    y = part.y + _TITLE
    for row, width in zip(rows, widths, strict=True):
        x = part.x + _PADDING + (widest - width) / 2
        for name in row:
            box = part.boxes[name]
            box.x, box.y = x, y
            x += box.width + _GAP
        y += max(part.boxes[name].height for name in row) + _ROW_GAP
    return widest + 2 * _PADDING


def _lay_stores(part: Part, right: float) -> float:
    """Put each store beside the first node that uses it, one under the other where several would meet."""
    x, y, end = part.x + right + _GAP, part.y + _TITLE, right
    first_user: dict[str, str] = {}
    for node, store in part.uses:
        first_user.setdefault(f"store {store}", node)
    for store, node in sorted(first_user.items(), key=lambda pair: part.boxes[pair[1]].y):
        box = part.boxes[store]
        box.x, box.y = x, max(y, part.boxes[node].y)
        y = box.y + box.height + _PADDING
        end = max(end, right + _GAP + box.width + _PADDING)
    return end


def _drawn(part: Part) -> Iterable[str]:
    yield (
        f'<g class="sub-topology"><rect x="{part.x:.1f}" y="{part.y:.1f}" width="{part.width:.1f}" '
        f'height="{part.height:.1f}" rx="6" fill="none" stroke="#bdbdbd" stroke-dasharray="4 3"/>'
    )
    yield f'<text x="{part.x + _PADDING:.1f}" y="{part.y + 16:.1f}" fill="#616161">{escape(part.title)}</text>'
    for parent, child in part.edges:
        yield _edge(part.boxes[parent], part.boxes[child], parent, child)
    for node, store in part.uses:
        yield _use(part.boxes[node], part.boxes[f"store {store}"])
    for box in part.boxes.values():
        yield from _drawn_box(box)
    yield "</g>"


def _edge(above: Box, below: Box, parent: str, child: str) -> str:
    x1, y1 = above.x + above.width / 2, above.y + above.height
    x2, y2 = below.x + below.width / 2, below.y
    middle = (y1 + y2) / 2
    return (
        f'<path class="edge" data-from={quoteattr(parent)} data-to={quoteattr(child)} '
        f'd="M{x1:.1f} {y1:.1f}C{x1:.1f} {middle:.1f} {x2:.1f} {middle:.1f} {x2:.1f} {y2:.1f}" '
        'fill="none" stroke="#616161" marker-end="url(#to)"/>'
    )


def _use(node: Box, store: Box) -> str:
    x1, y1 = node.x + node.width, node.y + node.height / 2
    x2, y2 = store.x, store.y + store.height / 2
    return (
        f'<path class="use" data-from={quoteattr(node.name)} data-to={quoteattr(store.name)} '
        f'd="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" fill="none" stroke="#b26a00" stroke-dasharray="3 3"/>'
    )


def _drawn_box(box: Box) -> Iterable[str]:
    fill, stroke = _COLOURS[box.kind]
    radius = box.height / 2 if box.kind in {"source", "sink"} else 4
    yield (
        f'<g class="{box.kind}" data-name={quoteattr(box.name)}><rect x="{box.x:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius:.1f}" fill="{fill}" stroke="{stroke}"/>'
    )
    for number, line in enumerate(box.lines):
        y = box.y + _PADDING / 2 + _LINE * number + 11
        weight = ' font-weight="bold"' if number < len(box.lines) - 1 else ""
        yield (
            f'<text x="{box.x + box.width / 2:.1f}" y="{y:.1f}" text-anchor="middle"{weight} fill="#212121">'
            f"{escape(line)}</text>"
        )
    yield "</g>"
