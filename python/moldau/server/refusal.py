"""An error in the shape of the response that was asked for.

Some responses carry one error code at the top; others carry one per topic, group or resource, and a client that asked
about three topics wants to read its error three times. `refuse` fills either shape from the request alone, so that a
handler that failed still answers something that the client understands.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from moldau.errors import ErrorCode
from moldau.server.codec import encode_response
from moldau.wire.layout import StructLayout, message_layout

FETCH: Final = 1

ASKED_IN: Final[dict[str, tuple[str, ...]]] = {
    "responses": ("topic_data", "topics", "topic_names", "resources"),
    "partition_responses": ("partition_data",),
    "results": ("resources", "topics", "groups_names", "creations"),
    "filter_results": ("filters",),
    "coordinators": ("coordinator_keys",),
    "groups": ("groups", "group_ids"),
    "transaction_states": ("transactional_ids",),
}
"""Where a response's array is named unlike the request's: the request's fields that it answers, first match wins."""

NOTHING: Final[dict[str, Any]] = {"records": b"", "high_watermark": -1, "base_offset": -1}
"""What Kafka writes beside an error where the protocol's default would say something: librdkafka takes an absent batch
for a malformed answer, and a high watermark of 0 for the end of the partition.
"""

NAMED_IN: Final = {"partition_index": "partition"}
"""Where a field that says what an element is about is named unlike the request's."""


def refuse(api_key: int, version: int, request: Any, code: ErrorCode, message: str | None = None) -> bytes | None:
    """The body of the response to `request` that says `code`, or None when that response cannot carry an error."""
    layout = message_layout(api_key, version, "response")
    answer = None
    if api_key == FETCH and request.topics:
        # The code at its top is for the fetch session; a client believes it of no partition.
        answer = _mirror(layout, request, code, message)
    if answer is None:
        answer = _with_error(layout, code, message)
    if answer is None:
        answer = _mirror(layout, request, code, message)
    return None if answer is None else encode_response(api_key, version, answer)


def _with_error(layout: StructLayout, code: ErrorCode, message: str | None) -> dict[str, Any] | None:
    if "error_code" not in layout.names:
        return None
    return {"error_code": code, "error_message": message} if "error_message" in layout.names else {"error_code": code}


def _mirror(layout: StructLayout, request: Any, code: ErrorCode, message: str | None) -> dict[str, Any] | None:
    for field in layout.fields:
        if field.struct is None or not field.is_array:
            continue
        asked = next((name for name in ASKED_IN.get(field.name, (field.name,)) if hasattr(request, name)), None)
        if asked is None:
            continue
        elements = [_mirror_element(field.struct, element, code, message) for element in getattr(request, asked) or ()]
        if None not in elements:
            return {field.name: elements}
    return None


def _mirror_element(layout: StructLayout, element: Any, code: ErrorCode, message: str | None) -> dict[str, Any] | None:
    answer = _with_error(layout, code, message)
    if answer is None:
        answer = _mirror(layout, element, code, message)
    if answer is None:
        return None
    nothing = {name: value for name, value in NOTHING.items() if name in layout.names}
    return answer | nothing | dict(_identity(layout, element))


def _identity(layout: StructLayout, element: Any) -> Iterable[tuple[str, Any]]:
    """The fields that say which topic, partition, group or resource this is: those that both sides have."""
    plain = [field for field in layout.fields if field.struct is None and not field.is_array]
    if isinstance(element, str | int):
        first = next(field for field in plain if field.kind in ("string", "int32") and field.name != "error_message")
        yield first.name, element
        return
    for field in plain:
        asked = next((name for name in (field.name, NAMED_IN.get(field.name, "")) if hasattr(element, name)), None)
        if asked is not None and field.name not in ("error_code", "error_message"):
            yield field.name, getattr(element, asked)
