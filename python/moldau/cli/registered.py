"""What of a record is for a schema registry: the options of consume and produce.

Kept apart from what they lead to (`registered_records`, `avro_json`): who asks no registry imports none of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from cyclopts import Parameter

from moldau.cli.outcome import RefusedError, UsageError

if TYPE_CHECKING:
    from moldau.cli.registered_records import Reader
    from moldau.cli.registry_client import RegistryConnection

Form = Literal["text", "avro", "json-schema", "protobuf", "registry"]
Registry = Annotated[str, Parameter(name=["--registry", "-r"], env_var="MOLDAU_REGISTRY_URL", group="Schemas")]
DEFAULT_REGISTRY: Final = "http://localhost:8081"


@Parameter(name="*")
@dataclass(frozen=True)
class Forms:
    """What keys and values are."""

    value: Annotated[Form, Parameter(name=["--value", "-V"], group="Schemas")] = "text"
    """What a value is: avro, json-schema or protobuf by the schema that its record names, registry for any of them."""
    key: Annotated[Form, Parameter(name="--key", group="Schemas")] = "text"
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


@Parameter(name="*")
@dataclass(frozen=True)
class Encoding:
    """Values that are encoded with a schema of a registry."""

    value: Annotated[Literal["text", "avro"], Parameter(name=["--value", "-V"], group="Schemas")] = "text"
    """avro: each value is JSON and is encoded with the newest schema of its subject."""
    subject: Annotated[str | None, Parameter(name="--subject", group="Schemas")] = None
    """Whose schema; TOPIC-value without it."""
    schema: Annotated[str | None, Parameter(name="--schema", group="Schemas")] = None
    """A file with a schema to register under the subject and to encode with, instead of the newest one."""
    registry: Registry = DEFAULT_REGISTRY
    """URL of the schema registry, with user:password@ if it asks for them."""

    def encoder(self, topic: str, timeout_s: float) -> Callable[[bytes], bytes] | None:
        """From the JSON of a value to its bytes; None if it is sent as it stands.

        Raises:
            UsageError: --subject or --schema without --value avro, or there is no such file.
            AnswerError: the registry has no such subject, or refuses the schema.
        """
        if self.value == "text":
            if self.subject is not None or self.schema is not None:
                raise UsageError("--subject and --schema say how a value is encoded: add --value avro")
            return None
        from moldau.cli.avro_json import encoder_of
        from moldau.cli.registry_client import RegistryConnection

        registry = RegistryConnection(self.registry, timeout_s)
        subject = self.subject or f"{topic}-value"
        if self.schema is None:
            found = _newest(registry, subject)
        else:
            text = _text_of(self.schema)
            answer = registry.ask("POST", "subjects", subject, "versions", body={"schema": text})
            found = {"id": answer["id"], "schema": text}
        kind = found.get("schemaType", "AVRO")
        if kind != "AVRO":
            raise RefusedError(f"the newest schema of {subject} is {kind}, not AVRO")
        references = [text for _, text in registry.resolved(found.get("references", ()))]
        return encoder_of(str(found["schema"]), references, int(found["id"]))


def _newest(registry: RegistryConnection, subject: str) -> dict[str, Any]:
    from moldau.cli.registry_client import AnswerError

    try:
        return registry.version(subject, "latest")
    except AnswerError as error:
        if error.code != 40401:
            raise
        raise RefusedError(
            f"{registry.registry} has no schema for {subject}",
            "register one with --schema FILE, or say another --subject (moldau schema list)",
        ) from error


def _text_of(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as opened:  # noqa: PTH123 (a name as it was typed)
            return opened.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {getattr(error, 'strerror', None) or error}") from error
