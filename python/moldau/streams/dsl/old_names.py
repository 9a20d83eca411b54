"""What people who come from Java, or from Kafka before 4.0, write first: an AttributeError that names what to write."""

from __future__ import annotations

import re
from typing import Final

_REMOVED: Final = {
    "flat_transform": "process(...): a Processor forwards as many records as it likes",
    "flat_transform_values": "process_values(...): a Processor forwards as many values as it likes",
    "transform": "process(...): a Processor forwards its result instead of returning it",
    "transform_values": "process_values(...): a Processor forwards its result instead of returning it",
}
"""Methods of Kafka's KStream that 4.0 took away, and what does their work now. (KAFKA-16339)"""


def missing(of: object, name: str) -> AttributeError:
    """The error for a method that is not there, with a hint if it has another name, or another way."""
    kind = type(of)
    message = f"{kind.__name__} has no {name}"
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    if hasattr(kind, snake):
        message += f"\nhint: here it is {snake}"
    elif snake in _REMOVED:
        message += f": Kafka took it away in 4.0\nhint: {_REMOVED[snake]}"
    return AttributeError(message, name=name, obj=of)
