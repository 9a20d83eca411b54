"""`ProtobufConverter`: Protobuf through a schema registry, as Confluent's converter and serializers have it.

Schemas are Confluent's (`protobuf_from_connect`, `protobuf_to_connect`). A schema may hold several messages, so the way
to the one that it is stands before each.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError, EncodeError
from google.protobuf.message_factory import GetMessageClass

from moldau.client.serdes.protobuf_files import linked, message_at, message_indexes, named_messages, written_indexes
from moldau.connect.config_def import ConfigDef, Type
from moldau.connect.converters.protobuf_from_connect import file_of, text_of
from moldau.connect.converters.protobuf_names import ProtobufSettings
from moldau.connect.converters.protobuf_to_connect import ProtobufReading
from moldau.connect.converters.protobuf_values import reader_of, writer_of
from moldau.connect.converters.registry import Declared, Decode, Encode, Registered, RegistryConverter
from moldau.connect.converters.registry_settings import check_refused, data_settings, registry_config
from moldau.connect.data import Schema
from moldau.connect.errors import DataError

# name, default, the attribute of ProtobufSettings, doc
DATA: Final = (
    ("enhanced.protobuf.schema.support", False, "enhanced", "Whether names of messages keep their package."),
    ("scrub.invalid.names", False, "scrub", "Whether names that Protobuf does not allow are changed, a-b to a_b."),
    ("int.for.enums", False, "int_for_enums", "Whether enums are numbers rather than strings."),
    (
        "optional.for.nullables",
        False,
        "optional_for_nullables",
        "Whether the word optional says that a field may be null.",
    ),
    (
        "optional.for.proto2",
        True,
        "optional_for_proto2",
        "Whether an optional field of proto2 without a value is null.",
    ),
    (
        "wrapper.for.nullables",
        False,
        "wrapper_for_nullables",
        "Whether a field that may be null is a message around its value (google.protobuf.StringValue).",
    ),
    (
        "wrapper.for.raw.primitives",
        True,
        "wrapper_for_raw_primitives",
        "Whether such a message alone is the value in it.",
    ),
    ("generate.struct.for.nulls", False, "struct_for_nulls", "Whether a message that is not there is an empty struct."),
    ("generate.index.for.unions", True, "index_for_unions", "Whether the field of a oneof has its number in its name."),
    ("flatten.unions", False, "flatten_unions", "Whether the members of a oneof are fields of the struct around it."),
    ("ignore.default.for.nullables", False, "ignore_defaults", "Whether null stays null where there is a default."),
)
REFUSED: Final = (
    ("auto.register.reference.schemas", Type.BOOLEAN, True, "what a schema imports is well known"),
    ("skip.known.types", Type.BOOLEAN, True, "well-known types are not registered"),
)


class ProtobufConverter(RegistryConverter):
    """See the module."""

    FORMAT = "PROTOBUF"
    LANGUAGE = "Protobuf"
    CONFIG: ClassVar[ConfigDef] = registry_config(DATA, REFUSED)
    FORM = "serialized"

    def configure(self, configs: Mapping[str, Any], is_key: bool = False) -> None:
        super().configure(configs, is_key)
        check_refused(self._settings, REFUSED)
        self._protobuf = ProtobufSettings(**data_settings(self._settings, DATA))

    def _declared(self, schema: Schema | None) -> Declared:
        file, name = file_of(schema, self._protobuf)
        return Declared(text_of(file), name)

    def _encoder(self, schema: Schema | None, registered: Registered) -> Encode:
        file, name = file_of(schema, self._protobuf)
        if schema is None:
            raise DataError("a value without a schema cannot be written as Protobuf")
        write = writer_of(schema, dict(_by_name(linked([file])))[name][0], self._protobuf)
        known = dict(_by_name(_file(registered)))
        if name not in known:
            raise DataError(f"the schema {registered.id} has no message {name}, only {', '.join(known)}")
        place = written_indexes(known[name][1])

        def encode(value: Any, prefix: bytes) -> bytes:
            try:
                return prefix + place + bytes(write(value).SerializeToString(deterministic=True))
            except EncodeError as error:
                raise ValueError(str(error)) from error

        return encode

    def _decoder(self, registered: Registered, version: int | None, place: bytes = b"") -> tuple[Schema | None, Decode]:
        message = _message(registered, place)
        schema = ProtobufReading(self._protobuf).connect_schema(message, version)
        parse, read = GetMessageClass(message).FromString, reader_of(schema, message, self._protobuf)

        def decode(data: bytes, start: int) -> Any:
            try:
                return read(parse(data[start:]))
            except DecodeError as error:
                raise ValueError(f"the bytes are no {message.full_name}: {error}") from error

        return schema, decode

    def _name_in(self, registered: Registered, place: bytes = b"") -> str:
        return str(_message(registered, place).full_name)

    def _place_end(self, data: bytes, start: int) -> int:
        if data[start : start + 1] == b"\0":
            return start + 1
        return message_indexes(data, start)[1] if data[:1] == b"\0" and len(data) >= start else start


def _message(registered: Registered, place: bytes) -> Descriptor:
    indexes, _ = message_indexes(place or b"\0", 0)
    return message_at(_file(registered), indexes)


def _file(registered: Registered) -> FileDescriptor:
    """The file of a registered schema, with those that it imports."""
    files = [_parsed(text, name) for name, text in registered.references.items()]
    return linked([*files, _parsed(registered.text, "moldau.default")])


def _parsed(text: str, name: str) -> FileDescriptorProto:
    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, DecodeError) as error:
        raise ValueError(f"the registry gave no descriptor of {name}: {error}") from error
    file.name = name
    return file


def _by_name(file: FileDescriptor) -> list[tuple[str, tuple[Descriptor, tuple[int, ...]]]]:
    messages = named_messages(file.message_types_by_name.values())
    return [(kind.full_name, (kind, indexes)) for kind, indexes in messages]
