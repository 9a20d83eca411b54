"""DescribeCluster (KIP-700): version 2 can include fenced brokers (KIP-1073)."""

from __future__ import annotations

from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.metadata.acls import CLUSTER_NAME
from moldau.control.metadata.describe import endpoint_on
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import OPERATIONS_NOT_ASKED, Access
from moldau.server.handlers import Api, RequestContext

API = Api(60, "DescribeCluster", (0, 2))

BROKERS: Final = 1
CONTROLLERS: Final = 2


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    endpoint_type = getattr(request, "endpoint_type", BROKERS)
    if endpoint_type == CONTROLLERS:
        raise ApiError(
            ErrorCode.MISMATCHED_ENDPOINT_TYPE, "this listener is for brokers, and controllers were asked for"
        )
    if endpoint_type != BROKERS:
        raise ApiError(ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"endpoint type {endpoint_type} is unknown")
    brokers = []
    for broker in shell.metadata.machine.image.brokers.values():
        endpoint = endpoint_on(broker, context.listener)
        if endpoint is None or (broker.fenced and not getattr(request, "include_fenced_brokers", False)):
            continue
        # This very client came by this address; what is registered may be meant for others.
        host, port = context.advertised if broker.id == shell.node_id else (endpoint.host, endpoint.port)
        brokers.append(
            {"broker_id": broker.id, "host": host, "port": port, "rack": broker.rack, "is_fenced": broker.fenced}
        )
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "endpoint_type": BROKERS,
        "cluster_id": shell.cluster_id,
        "controller_id": shell.node_id,
        "brokers": brokers,
        "cluster_authorized_operations": _operations(context.access)
        if request.include_cluster_authorized_operations
        else OPERATIONS_NOT_ASKED,
    }


def _operations(access: Access) -> int:
    """What the client may do with the cluster; nothing is told to one that may not describe it."""
    described = access.allows_cluster(Operation.DESCRIBE)
    return access.operations(ResourceType.CLUSTER, CLUSTER_NAME) if described else 0
