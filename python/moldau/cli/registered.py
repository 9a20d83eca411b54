"""What of a record is for a schema registry: the options of consume and produce.

Kept apart from what they lead to (`registered_records`, `registered_encoding`): who asks no registry imports none of
it. `--key-as` is what `--key` is called in produce, where that is the key of every record; consume knows both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from moldau.cli.outcome import UsageError

if TYPE_CHECKING:
    from moldau.cli.registered_records import Reader

Form = Literal["text", "avro", "json-schema", "protobuf", "registry"]
Registry = Annotated[str, Parameter(name=["--registry", "-r"], env_var="MOLDAU_REGISTRY_URL", group="Schemas")]
DEFAULT_REGISTRY: Final = "http://localhost:8081"


@Parameter(name="*")
@dataclass(frozen=True)
class Forms:
    """What keys and values are."""

    value: Annotated[Form, Parameter(name=["--value", "-V"], group="Schemas")] = "text"
    """What a value is: avro, json-schema or protobuf by the schema that its record names, registry for any of them."""
    key: Annotated[Form, Parameter(name=["--key", "--key-as"], group="Schemas")] = "text"
    """What a key is."""
    registry: Registry = DEFAULT_REGISTRY
    """URL of the schema registry, with user:password@ if it asks for them."""

    def reader(self, timeout_s: float) -> Reader | None:
        """What reads them; None if there is nothing to ask a registry about."""
        if self.value == self.key == "text":
            return None
        from moldau.cli.registered_records import Reader
        from moldau.cli.registry_client import RegistryConnection

        return Reader(RegistryConnection(self.registry, timeout_s), {"key": self.key, "value": self.value})


Encode = Callable[[bytes], bytes]
"""From a key or a value as it was read to the bytes that are sent; raises ValueError."""


@Parameter(name="*")
@dataclass(frozen=True)
class Encoding:
    """Keys and values that are encoded with schemas of a registry."""

    value: Annotated[Form, Parameter(name=["--value", "-V"], group="Schemas")] = "text"
    """Each value is JSON, and is encoded with the newest schema of its subject: one of that language, or registry for
    any of them."""
    subject: Annotated[str | None, Parameter(name="--subject", group="Schemas")] = None
    """Whose schema; TOPIC-value without it."""
    schema: Annotated[str | None, Parameter(name="--schema", group="Schemas")] = None
    """A file with a schema to register under the subject and to encode with, instead of the newest one."""
    message: Annotated[str | None, Parameter(name="--message", group="Schemas")] = None
    """Which message of a .proto file a value is; the first one without it."""
    key: Annotated[Form, Parameter(name="--key-as", group="Schemas")] = "text"
    """What a key is, as --value says it of values."""
    key_subject: Annotated[str | None, Parameter(name="--key-subject", group="Schemas")] = None
    """Whose schema keys have; TOPIC-key without it."""
    key_schema: Annotated[str | None, Parameter(name="--key-schema", group="Schemas")] = None
    """A file with a schema to register for keys, instead of the newest one of their subject."""
    registry: Registry = DEFAULT_REGISTRY
    """URL of the schema registry, with user:password@ if it asks for them."""

    def encoders(self, topic: str, timeout_s: float, *, tombstone: bool = False) -> dict[str, Encode]:
        """For "key" and "value" what encodes them; what is sent as it stands has none, nor has a tombstone's value.

        Raises:
            UsageError: there is a subject or a schema, but nothing to encode with it, or no such file.
            AnswerError: the registry has no such subject, or refuses the schema.
        """
        wanted = {
            "key": (self.key, self.key_subject, self.key_schema, None),
            "value": (self.value, self.subject, self.schema, self.message),
        }
        for part, (form, *about) in wanted.items():
            if form == "text" and any(about):
                option, prefix = ("--key-as", "--key-") if part == "key" else ("--value", "--")
                raise UsageError(f"{prefix}subject and {prefix}schema say how a {part} is encoded: add {option} avro")
        if tombstone:
            del wanted["value"]
        if all(form == "text" for form, *_ in wanted.values()):
            return {}
        from moldau.cli.registered_encoding import encoder
        from moldau.cli.registry_client import RegistryConnection

        registry = RegistryConnection(self.registry, timeout_s)
        return {
            part: encoder(registry, form, subject or f"{topic}-{part}", schema, message)
            for part, (form, subject, schema, message) in wanted.items()
            if form != "text"
        }
