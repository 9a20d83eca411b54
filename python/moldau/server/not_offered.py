"""Handlers of what this node does not offer: refused with the code that Kafka has for a cluster without it.

The request is read before it is refused, so a client that sends nonsense is told so; and every API that Kafka 4.3
advertises is advertised here, because a client that finds one missing takes the node for an older one.

An `ApiError` becomes an answer in the shape of the API: see `refusal`.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn

from moldau.control.access.acl import Operation
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import RequestContext

NO_STREAMS_GROUPS: Final = "this node serves no streams groups (streams.version 0)"


def require_authorizer(shell: Any) -> None:
    """Refuse what is about ACLs where no authorizer would look at them.

    Raises:
        ApiError: SECURITY_DISABLED.
    """
    if shell.access is None:
        raise ApiError(ErrorCode.SECURITY_DISABLED, "No Authorizer is configured: everyone may do everything")


async def share_groups(shell: Any, request: Any, context: RequestContext) -> NoReturn:
    """Share groups (KIP-932), as Kafka refuses them while `share.version` is 0."""
    raise ApiError(ErrorCode.UNSUPPORTED_VERSION, "this node serves no share groups (share.version 0)")


async def streams_groups(shell: Any, request: Any, context: RequestContext) -> NoReturn:
    """Streams groups (KIP-1071), as Kafka refuses them while `streams.version` is 0."""
    raise ApiError(ErrorCode.UNSUPPORTED_VERSION, NO_STREAMS_GROUPS)


async def share_state(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    """State of share groups, asked by brokers: this node coordinates no share group. No group has no state."""
    context.access.require_cluster(Operation.CLUSTER_ACTION)
    if not request.group_id:
        return {"results": []}
    raise ApiError(ErrorCode.NOT_COORDINATOR, "this node coordinates no share groups")
