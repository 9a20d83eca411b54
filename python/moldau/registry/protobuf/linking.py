"""A file with everything that it imports, directly or not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from moldau.registry.languages.language import SchemaError
from moldau.registry.protobuf import known
from moldau.registry.protobuf.elements import File, refusal
from moldau.registry.protobuf.types import Types

NAMELESS = "default"
"""The path of a file that nobody imports: Confluent's registry gives it in descriptors."""


@dataclass(frozen=True, slots=True)
class Linked:
    """`imported` is by path, dependencies first. `missing` are the imports that lead nowhere.

    A missing import is no error by itself: Confluent's registry takes files whose imports only define options. It is
    one when a type is not found.
    """

    file: File
    imported: Mapping[str, File]
    missing: tuple[str, ...]
    types: Types


def link(file: File, references: Mapping[str, File]) -> Linked:
    """Find what is imported: by the name of a reference, else among the well-known files.

    Raises SchemaError if imports go round in a circle.
    """
    imported: dict[str, File] = {}
    missing: dict[str, None] = {}
    open_paths: list[str] = []

    def follow(importing: File) -> None:
        for each in importing.imports:
            if each.path in open_paths:
                circle = " imports ".join(
                    f"{path!r}" for path in (*open_paths[open_paths.index(each.path) :], each.path)
                )
                message = f"the imports go round in a circle: {circle}"
                raise refusal(each.place, message) if importing is file else SchemaError(message)
            if each.path in imported or each.path in missing:
                continue
            found = references.get(each.path) or known.file(each.path)
            if found is None:
                missing[each.path] = None
                continue
            open_paths.append(each.path)
            follow(found)
            open_paths.pop()
            imported[each.path] = found

    follow(file)
    return Linked(file, imported, tuple(missing), Types([*imported.values(), file]))
