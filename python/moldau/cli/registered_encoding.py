"""From the JSON of a key or a value to its bytes, with the schema that a registry has for it.

Where the schema is a string, a line that is no JSON string is the text itself: keys are seldom written in quotes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from moldau.cli.avro_json import encoder_of, no_constant
from moldau.cli.outcome import RefusedError, UsageError
from moldau.cli.registered import Encode, Form
from moldau.cli.registered_records import TYPES
from moldau.cli.registry_client import BY_SUFFIX, AnswerError, RegistryConnection
from moldau.client.serdes.framing import prefix_of


def encoder(registry: RegistryConnection, form: Form, subject: str, file: str | None, message: str | None) -> Encode:
    """What encodes with the newest schema of `subject`, or with that of `file`, which is registered under it.

    Raises:
        UsageError: there is no such file, or no such message in it.
        AnswerError: the registry refuses the schema.
        RefusedError: the subject has no schema, or one of another language.
    """
    found = _newest(registry, subject) if file is None else _registered(registry, form, subject, file)
    kind = found.get("schemaType", "AVRO")
    if form != "registry" and kind != TYPES[form]:
        raise RefusedError(f"the newest schema of {subject} is {kind}, not {TYPES[form]}")
    if message is not None and kind != "PROTOBUF":
        raise UsageError(f"--message names a message of a .proto file, and the schema of {subject} is {kind}")
    prefix = prefix_of(int(found["id"]))
    if kind == "PROTOBUF":
        return _in_protobuf(registry, found, message, prefix)
    references = registry.resolved(found.get("references", ()))
    if kind == "JSON":
        return _in_json(str(found["schema"]), references, prefix)
    schema = str(found["schema"])
    encode = encoder_of(schema, [text for _, text in references], int(found["id"]))
    return _or_text(encode) if _is_string(json.loads(schema)) else encode


def _newest(registry: RegistryConnection, subject: str) -> dict[str, Any]:
    try:
        return registry.version(subject, "latest")
    except AnswerError as error:
        if error.code != 40401:
            raise
        raise RefusedError(
            f"{registry.registry} has no schema for {subject}",
            "register one with --schema FILE, or say another --subject (moldau schema list)",
        ) from error


def _registered(registry: RegistryConnection, form: Form, subject: str, file: str) -> dict[str, Any]:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
    kind = BY_SUFFIX.get(Path(file).suffix, "AVRO") if form == "registry" else TYPES[form]
    body = {"schema": text, "schemaType": kind}
    return {**body, "id": registry.ask("POST", "subjects", subject, "versions", body=body)["id"]}


def _is_string(schema: Any) -> bool:
    return schema == "string" or (isinstance(schema, dict) and schema.get("type") == "string")


def _or_text(encode: Encode) -> Encode:
    def encoded(content: bytes) -> bytes:
        if not content.startswith(b'"'):
            content = json.dumps(content.decode(), ensure_ascii=False).encode()
        return encode(content)

    return encoded


def _in_json(schema: str, references: list[tuple[str, str]], prefix: bytes) -> Encode:
    """The JSON as it came, once it is valid."""
    from jsonschema import Draft7Validator
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT7

    document = json.loads(schema)
    resources = [(name, Resource.from_contents(json.loads(text), DRAFT7)) for name, text in references]
    kind = validator_for(document, default=Draft7Validator)
    validator = kind(document, registry=Registry().with_resources(resources))

    def encoded(content: bytes) -> bytes:
        wrong = best_match(validator.iter_errors(json.loads(content, parse_constant=no_constant)))
        if wrong is not None:
            raise ValueError(f"{wrong.json_path}: {wrong.message}")
        return prefix + content

    return _or_text(encoded) if _is_string(document) else encoded


def _in_protobuf(registry: RegistryConnection, found: dict[str, Any], message: str | None, prefix: bytes) -> Encode:
    from moldau.cli.registered_protobuf import files_of, writing

    serialized = registry.ask("GET", "schemas", "ids", str(found["id"]), query={"format": "serialized"})
    try:
        encode = writing(files_of(registry, serialized), message)
    except LookupError as error:
        raise UsageError(str(error.args[0])) from error
    return lambda content: prefix + encode(content)
