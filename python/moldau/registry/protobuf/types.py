"""What names stand for: the messages, enums and extensions of a file and of all that it imports."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from moldau.registry.protobuf.elements import SCALARS, Enum, Extend, File, MapType, Member, Message


@dataclass(frozen=True, slots=True)
class Declared:
    """A message or an enum. `name` is the full one, without a dot before it."""

    name: str
    package: str
    element: Message | Enum
    file: File

    @property
    def local_name(self) -> str:
        """The name without the package."""
        return self.name.removeprefix(f"{self.package}.") if self.package else self.name


class Types:
    """The names of several files. Names are looked up from the inside to the outside, as in C++."""

    def __init__(self, files: Iterable[File]) -> None:
        self.by_name: dict[str, Declared] = {}
        self.extensions: dict[str, Member] = {}
        self.twice: list[Declared] = []
        """What has a name that something before it has."""
        self._resolved: dict[tuple[str, str], Declared | None] = {}
        for file in files:
            self._add_file(file)

    def _add_file(self, file: File) -> None:
        package = file.package or ""
        for message in file.messages:
            self._add_message(file, package, message)
        for enum in file.enums:
            self._add(Declared(joined(package, enum.name), package, enum, file))
        self._add_extensions(file, package, file.extends)

    def _add_message(self, file: File, scope: str, message: Message) -> None:
        name = joined(scope, message.name)
        self._add(Declared(name, file.package or "", message, file))
        for nested in message.messages:
            self._add_message(file, name, nested)
        for group in message.all_groups():
            self._add_message(file, name, group.message)
        for enum in message.enums:
            self._add(Declared(joined(name, enum.name), file.package or "", enum, file))
        self._add_extensions(file, name, message.extends)

    def _add_extensions(self, file: File, scope: str, extends: Iterable[Extend]) -> None:
        for extend in extends:
            for member in extend.members:
                self.extensions[joined(scope, member.name)] = member

    def _add(self, declared: Declared) -> None:
        if declared.name in self.by_name:
            self.twice.append(declared)
        else:
            self.by_name[declared.name] = declared

    def resolve(self, name: str, scope: str) -> Declared | None:
        """The message or enum that a name stands for within a message or package."""
        key = name, scope
        if key not in self._resolved:
            known = (self.by_name[full] for full in candidates(name, scope) if full in self.by_name)
            self._resolved[key] = next(known, None)
        return self._resolved[key]

    def resolve_extension(self, name: str, scope: str) -> str | None:
        """The full name of the extension that a name stands for."""
        return next((full for full in candidates(name, scope) if full in self.extensions), None)

    def map_of(self, kind: str | MapType, scope: str) -> MapType | None:
        """The type of the map if it is one: written so, or as a message that is an entry of one."""
        if isinstance(kind, MapType):
            return kind
        declared = None if kind in SCALARS else self.resolve(kind, scope)
        return declared.element.map_type if declared and isinstance(declared.element, Message) else None


def joined(scope: str, name: str) -> str:
    """A name within a scope, which may be none."""
    return f"{scope}.{name}" if scope else name


def candidates(name: str, scope: str) -> Iterator[str]:
    """The full names that a name may stand for, the likeliest first."""
    if name.startswith("."):
        yield name[1:]
        return
    while scope:
        yield f"{scope}.{name}"
        scope = scope.rpartition(".")[0]
    yield name
