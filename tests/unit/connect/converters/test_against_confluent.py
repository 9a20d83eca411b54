"""`AvroConverter` against Apicurio's copy of Confluent's: the schema to the letter, the bytes, what is read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema as RegistrySchema
from tests.unit.connect.converters.registries import Registry, connected

from moldau.connect.converters.avro import AvroConverter
from moldau.connect.converters.json import JsonConverter
from moldau.connect.errors import ConnectError

RECORDED = Path(__file__).parents[3] / "golden" / "confluent" / "avro.jsonl"
CASES = [json.loads(line) for line in RECORDED.read_text().splitlines()]
# Where Moldau does otherwise, and why. `, bare` and `, enhanced` are the same case with other settings.
FIRST_BRANCH = "where null is the first branch, a default is read back as null there, whatever it is"
ENTRIES = "a default of a map of entries is not read back there"
NEWER = "the setting is newer than the copy"
REFUSED = "the registry refuses the name; the copy does it itself"
OTHERWISE = {
    "array, default": FIRST_BRANCH,
    "array, optional with a default": FIRST_BRANCH,
    "array as a field": FIRST_BRANCH,
    "map of numbers, default": ENTRIES,
    "map of numbers, optional with a default": ENTRIES,
    "map of numbers as a field": ENTRIES,
    "named map of numbers, default": ENTRIES,
    "named map of numbers, optional with a default": ENTRIES,
    "named map of numbers as a field": ENTRIES,
    "optional keys, allowed": NEWER,
    "a name that Avro does not allow": REFUSED,
    "a field that Avro does not allow": REFUSED,
    "a name that Avro does not allow, scrubbed": NEWER,
    "a field that Avro does not allow, scrubbed": NEWER,
    "union of one": NEWER,
    "null": "a schema that is null is refused, as by Confluent's; the copy does not look at it when the value is null",
    "union of string and null": "null comes with its schema; there it comes without",
    "null of several": "null comes with its schema; there it comes without",
    "decimal of fixed": "the copy gives a decimal two names, which Confluent has mended since",
}
# There is no default of an array without `connect.default` and without Avro's, so nothing to read back as null.
AS_THERE = ("array as a field, bare", "map of numbers as a field, bare", "named map of numbers as a field, bare")


def otherwise(name: str) -> str | None:
    """Why a case ends otherwise here."""
    return None if name in AS_THERE else OTHERWISE.get(name.removesuffix(", bare").removesuffix(", enhanced"))


def outcome(case: dict[str, Any]) -> dict[str, Any]:
    registry, found = Registry(), {}
    settings = {name.replace(".", "_"): value for name, value in case["settings"].items()}
    converter = connected(AvroConverter, registry, **settings)
    tells = JsonConverter()
    tells.configure({"schemas.enable": "true"})
    if "connect" in case:
        given = tells.to_connect_data("t", json.dumps(case["connect"]).encode())
        content = converter.from_connect_data("t", given.schema, given.value)
        if content is None:
            return {"content": None}
        found["schema"] = registry.text
    else:
        registry.register_schema_full_response("t-value", RegistrySchema(json.dumps(case["avro"]), "AVRO"))
        content = bytes(5) + bytes.fromhex(case["outcome"].get("content") or "")
        content = b"\0\0\0\0\1" + content[5:]
    found["content"] = content[5:].hex()
    back = converter.to_connect_data("t", content)
    told = tells.from_connect_data("t", back.schema, back.value)
    found["connect"] = None if told is None else json.loads(told)
    return found


@pytest.mark.parametrize(
    "case", CASES, ids=[f"{'from' if 'connect' in case else 'of'} {case['name']}" for case in CASES]
)
def test_the_converter_does_what_confluents_does(case):
    expected = case["outcome"]
    reason = otherwise(case["name"])
    if reason is not None:
        assert told(case) != expected, f"no more so: {reason}"
    elif "error" in expected:
        assert "error" in told(case)
    else:
        assert outcome(case) == expected


def told(case: dict[str, Any]) -> dict[str, Any]:
    """What comes of a case, or that it is refused."""
    try:
        return outcome(case)
    except ConnectError as error:
        return {"error": str(error)}
