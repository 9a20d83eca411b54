"""DescribeClientQuotas (KIP-546). A refusal has no entries, which is not the same as having none to tell."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.quotas import QuotaFilter, describe_quotas
from moldau.errors import ApiError, ErrorCode
from moldau.server.handlers import Api, RequestContext

API = Api(48, "DescribeClientQuotas", (0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    situation = shell.metadata.machine.situation()
    filters = [QuotaFilter(each.entity_type, each.match_type, each.match) for each in request.components]
    try:
        context.access.require_cluster(Operation.DESCRIBE_CONFIGS)
        found = describe_quotas(situation, filters, strict=request.strict)
    except ApiError as error:
        return {"error_code": error.code, "error_message": error.message, "entries": None}
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "entries": [
            {
                "entity": [{"entity_type": kind, "entity_name": name} for kind, name in key.entity],
                "values": [{"key": name, "value": value} for name, value in quotas.items()],
            }
            for key, quotas in found
        ],
    }
