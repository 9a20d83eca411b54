"""One message of the protocol in one version, to bytes and back.

Rust goes through the bytes (`moldau._core.MessageCodec`), along what `layout` says of the message. Nothing is allocated
from a length before that many bytes were seen to be there, and the elements of one message are counted, which bounds
how long a hostile body can hold its reader. Values are written from plain nested mappings with kio's field names and
read as kio's objects; a field that a version does not have is dropped, one that is not named has its default.

Source: the Kafka protocol guide (types), KIP-482 (compact types and tagged fields), KIP-893 (nullable structures).
"""

from __future__ import annotations

from functools import cache

from moldau._core import MessageCodec
from moldau.wire.layout import Direction, message_layout


@cache
def message_codec(api_key: int, version: int, direction: Direction) -> MessageCodec:
    """What reads and writes one message. Raises UnknownMessageError: there is no such API key or version."""
    return MessageCodec(message_layout(api_key, version, direction))
