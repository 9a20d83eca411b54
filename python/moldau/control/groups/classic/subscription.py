"""What the coordinator may read of a subscription: the topics, and nothing else.

The metadata of a protocol is the members' own affair. Of the protocol type "consumer" the coordinator reads the topic
names, so that it does not expire or delete offsets that are in use. Every version of the consumer protocol begins as
version 0 does: int16 version, then an array of topic names; what follows is not looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from moldau.control.schema import STRING, Reader, SchemaError, array

CONSUMER_PROTOCOL_TYPE: Final = "consumer"
_TOPICS: Final = array(STRING)


def subscribed_topics(subscriptions: Iterable[bytes]) -> frozenset[str] | None:
    """Every topic that one of the subscriptions names; None when one of them cannot be read."""
    topics: set[str] = set()
    for subscription in subscriptions:
        reader = Reader(subscription)
        try:
            (version,) = struct.unpack(">h", reader.take(2))
            if version < 0:
                return None
            topics.update(_TOPICS.read(reader, False, 0, False))
        except SchemaError:
            return None
    return frozenset(topics)
