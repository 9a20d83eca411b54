"""ListConfigResources (KIP-1142): version 0 was ListClientMetricsResources and knows nothing else."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.describe_configs import LISTABLE_TYPES, config_resources
from moldau.control.metadata.image import CLIENT_METRICS_RESOURCE
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(74, "ListConfigResources", (0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE_CONFIGS)
    known = LISTABLE_TYPES if context.api_version > 0 else frozenset({CLIENT_METRICS_RESOURCE})
    types = frozenset(getattr(request, "resource_types", ())) or known
    if not types <= known:
        raise ApiError(ErrorCode.UNSUPPORTED_VERSION)
    situation = shell.metadata.machine.situation()
    return {
        "error_code": ErrorCode.NONE,
        "config_resources": [
            {"resource_name": resource.name, "resource_type": resource.type}
            for resource in config_resources(situation, types)
        ],
    }
