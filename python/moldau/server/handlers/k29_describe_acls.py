"""DescribeAcls (KIP-140): the access rules that a filter means, by the pattern that they are for (KIP-290)."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Acl, Operation
from moldau.control.metadata.acls import describe_acls
from moldau.errors import ErrorCode
from moldau.server.acl_wire import entry_fields, filter_of, pattern_fields
from moldau.server.handlers import Api, RequestContext
from moldau.server.not_offered import require_authorizer

API = Api(29, "DescribeAcls", (1, 3), note="SECURITY_DISABLED without authorizer.class.name")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.DESCRIBE)
    require_authorizer(shell)
    situation = shell.metadata.machine.situation()
    by_pattern: dict[tuple[int, str, int], list[Acl]] = {}
    for acl in describe_acls(situation, filter_of(request)):
        by_pattern.setdefault((acl.resource_type, acl.resource_name, acl.pattern_type), []).append(acl)
    return {
        "error_code": ErrorCode.NONE,
        "error_message": None,
        "resources": [
            {**pattern_fields(acls[0]), "acls": [entry_fields(acl) for acl in acls]} for acls in by_pattern.values()
        ],
    }
