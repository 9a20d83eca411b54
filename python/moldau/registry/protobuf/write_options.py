"""Sets options in descriptors.

Options are text format in disguise, so Protobuf's own reader of that reads them: it knows every type and range. Only
what it takes and protoc does not is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from google.protobuf import text_format
from google.protobuf.descriptor import FieldDescriptor

from moldau.registry.protobuf.elements import Aggregate, Listing, Option, Quoted, Value, Word, refusal
from moldau.registry.protobuf.normal_options import NormalOptions
from moldau.registry.protobuf.printer import option_name, quoted
from moldau.registry.protobuf.types import Types

if TYPE_CHECKING:
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message as ProtobufMessage

BOOLS: Final = (Word("true"), Word("false"))


def set_option(target: ProtobufMessage, option: Option) -> None:
    """Set one of Protobuf's own options. Raises SchemaError if there is none of the name, or the value is no such."""
    first, *rest = option.name
    field = target.DESCRIPTOR.fields_by_name.get(first.text)
    if field is not None and not rest:
        _check_word(field, option)
    text = _after_a_name(option.value)
    for part in reversed(rest):
        text = f" {{ {f'[{part.text}]' if part.is_extension else part.text}{text} }}"
    _merge(target, f"{first.text}{text}", option)


def set_custom_option(pool: DescriptorPool, types: Types, target: ProtobufMessage, option: Option, scope: str) -> None:
    """Set an option that is an extension of the pool's; nothing if nobody declares the extension."""
    normal = NormalOptions(types).one(option, scope)
    name = normal.name[0].text
    if name not in types.extensions:
        return
    from google.protobuf.message_factory import GetMessageClass

    _check_word(pool.FindExtensionByName(name), normal)
    message = GetMessageClass(pool.FindMessageTypeByName(target.DESCRIPTOR.full_name))()
    _merge(message, f"[{name}]{_after_a_name(normal.value)}", option, pool)
    # The library's own class need not know the extension; it keeps the bytes.
    target.MergeFromString(message.SerializeToString())


def _check_word(field: Any, option: Option) -> None:
    """A bool is true or false and an enum is a name; text format takes numbers as well."""
    value = option.value
    if field.type == FieldDescriptor.TYPE_BOOL and value not in BOOLS:
        raise refusal(option.place, f"the option {option_name(option)} is true or false")
    is_name = isinstance(value, Word) and value.text.isidentifier()
    if field.type == FieldDescriptor.TYPE_ENUM and not is_name:
        raise refusal(
            option.place, f"the option {option_name(option)} is the name of a value of {field.enum_type.name}"
        )


def _merge(message: ProtobufMessage, text: str, option: Option, pool: DescriptorPool | None = None) -> None:
    try:
        text_format.Merge(text, message, descriptor_pool=pool)
    except (text_format.ParseError, ValueError) as error:
        reason = str(error).partition(" : ")[2] or str(error)
        raise refusal(option.place, f"the option {option_name(option)}: {reason}") from None


def _after_a_name(value: Value) -> str:
    text = _text(value)
    return f" {text}" if isinstance(value, Aggregate) else f": {text}"


def _text(value: Value) -> str:
    if isinstance(value, Word):
        return value.text
    if isinstance(value, Quoted):
        return quoted(value.text)
    if isinstance(value, Listing):
        return f"[{', '.join(map(_text, value.values))}]"
    return f"{{ {' '.join(f'{key}{_after_a_name(each)}' for key, each in value.entries)} }}"
