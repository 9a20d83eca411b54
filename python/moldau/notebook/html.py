"""Tables for a notebook. Every cell is escaped: what is in a record comes from strangers."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Final

CELL_CHARACTERS_MAX: Final = 200


def table(caption: str, names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers stand to the right and are written out, however large they are."""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return (
        f"<table><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def cell(value: object) -> str:
    """One cell."""
    if value is None:
        return "<td><i>null</i></td>"
    if isinstance(value, int) and not isinstance(value, bool):
        return f'<td style="text-align:right">{value}</td>'
    text = shown(value)
    if len(text) > CELL_CHARACTERS_MAX:
        text = f"{text[:CELL_CHARACTERS_MAX]}… ({len(text)} characters)"
    return f'<td style="text-align:left">{html.escape(text)}</td>'


def shown(value: object) -> str:
    """Bytes as the text that they are, if they are; everything else as Python writes it."""
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return repr(value)
    return value if isinstance(value, str) else repr(value)
