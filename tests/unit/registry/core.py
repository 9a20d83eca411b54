"""The pure core of a registry, driven by hand: decide, write through bytes, apply."""

from __future__ import annotations

import json
from typing import Any

from moldau.registry import records
from moldau.registry.decisions import Decision
from moldau.registry.decisions.registration import Registrar, Registration
from moldau.registry.parsing import Parser
from moldau.registry.records import SchemaValue
from moldau.registry.schema import Reference, Schema
from moldau.registry.state import RegistryState

Bytes = tuple[bytes, bytes | None]


class Core:
    """`log` holds what stands in the topic."""

    def __init__(self, log: list[Bytes] | None = None) -> None:
        self.log: list[Bytes] = []
        self.state = RegistryState()
        self.parser = Parser(self.state)
        self.registrar = Registrar(self.state, self.parser)
        for key, value in log or []:
            self.write(key, value)

    def write(self, key: bytes, value: bytes | None) -> None:
        self.log.append((key, value))
        self.state.apply(records.decode(key, value))

    def carry_out(self, decision: Decision[Any]) -> Any:
        for record in decision.records:
            self.write(*records.encode(record))
        return decision.answer

    def register(self, subject: str, schema: Any, **more: Any) -> SchemaValue:
        return self.carry_out(self.registrar.register(registration(subject, schema, **more)))

    def restarted(self, *, compacted: bool = False) -> Core:
        log = list(dict(self.log).items()) if compacted else self.log
        return Core([(key, value) for key, value in log if value is not None or not compacted])


def registration(subject: str, schema: Any, **more: Any) -> Registration:
    text = schema if isinstance(schema, str) else json.dumps(schema)
    about = {key: more.pop(key) for key in ("language", "references", "metadata", "rule_set") if key in more}
    about["references"] = tuple(Reference(*each) for each in about.get("references", ()))
    return Registration(subject, Schema(text, **about), **more)


def record(*fields: tuple[str, Any] | tuple[str, Any, Any], name: str = "R") -> dict[str, Any]:
    """A record with fields (name, type) or (name, type, default)."""
    written = [{"name": each[0], "type": each[1], **({"default": each[2]} if len(each) > 2 else {})} for each in fields]
    return {"type": "record", "name": name, "fields": written}
