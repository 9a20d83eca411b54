"""The files that may be imported without a reference: those of Protobuf, of google/type and of Confluent.

The list is that of Confluent's registry. What has to agree with others are names and numbers, so that is what is here.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from moldau.registry.protobuf.elements import File
from moldau.registry.protobuf.known_texts import TEXTS
from moldau.registry.protobuf.parser import parse

PROTOBUF: Final = (
    *("any", "api", "descriptor", "duration", "empty", "field_mask", "source_context", "struct", "timestamp"),
    *("type", "wrappers"),
)

PATHS: Final = frozenset((*(f"google/protobuf/{name}.proto" for name in PROTOBUF), *TEXTS))


def file(path: str) -> File | None:
    """The file at a path; None if it is none of these."""
    return _read(path) if path in PATHS else None


@cache
def _read(path: str) -> File:
    if path in TEXTS:
        return parse(TEXTS[path])
    from importlib import import_module

    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    from moldau.registry.protobuf.read_descriptor import read

    module = import_module(path.removesuffix(".proto").replace("/", ".") + "_pb2")
    return read(FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb))
