"""Schemas of a language whose rules are not written yet: the same is compatible, anything else is refused and says so.

Accepting what was not compared would be an answer that nobody gave.
"""

from __future__ import annotations

from moldau.registry.languages.language import Incompatibility, ParsedSchema


def check(language: str, reader: ParsedSchema, writer: ParsedSchema) -> list[Incompatibility]:
    """Empty if both say the same."""
    if reader.equivalent(writer):
        return []
    return [
        Incompatibility(
            "NOT_COMPARED",
            "/",
            f"changes of {language} schemas cannot be compared yet; compatibility NONE accepts them unseen",
        )
    ]
