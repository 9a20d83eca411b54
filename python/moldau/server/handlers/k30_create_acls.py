"""CreateAcls (KIP-140): access rules for names and for prefixes (KIP-290)."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Acl, Operation
from moldau.control.metadata.acls import CreateAcls
from moldau.server.handlers import Api, RequestContext
from moldau.server.not_offered import require_authorizer

API = Api(30, "CreateAcls", (1, 3), note="SECURITY_DISABLED without authorizer.class.name")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.ALTER)
    require_authorizer(shell)
    acls = tuple(
        Acl(
            resource_type=each.resource_type,
            resource_name=each.resource_name,
            pattern_type=each.resource_pattern_type,
            principal=each.principal,
            host=each.host,
            operation=each.operation,
            permission=each.permission_type,
        )
        for each in request.creations
    )
    outcomes = await shell.metadata.run(CreateAcls(acls))
    return {"results": [{"error_code": outcome.code, "error_message": outcome.message} for outcome in outcomes]}
