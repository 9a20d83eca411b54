"""How a converter writes values of a schema, in pieces: so that something else can write the same bytes.

What stands around a value and between the fields of a struct are bytes that are always the same. A `Rendering` knows
them, and has for each schema the function that writes a value wholly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from moldau.connect.data import Field, Schema


@dataclass(frozen=True, slots=True)
class Rendering:
    """`head` and `tail` stand around the value, `opening` and `closing` around the fields of a struct.

    `name(field)` stands before a field that is there or null, `branch(schema)` before a value that is not null, and
    `write(schema)` makes the function that writes any value of a schema, null too, without its name.
    """

    format: Literal["json", "avro"]
    head: bytes
    tail: bytes
    opening: bytes
    closing: bytes
    name: Callable[[Field], bytes]
    branch: Callable[[Schema], bytes]
    write: Callable[[Schema], Callable[[Any], bytes]]
    decimals_are_bytes: bool = True
