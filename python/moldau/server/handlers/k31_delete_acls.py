"""DeleteAcls (KIP-140): remove the access rules that filters mean, and tell which they were."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Acl, Operation
from moldau.control.metadata.acls import DeleteAcls
from moldau.errors import ErrorCode
from moldau.server.acl_wire import entry_fields, filter_of, pattern_fields
from moldau.server.handlers import Api, RequestContext
from moldau.server.not_offered import require_authorizer

API = Api(31, "DeleteAcls", (1, 3), note="SECURITY_DISABLED without authorizer.class.name")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.ALTER)
    require_authorizer(shell)
    answers = await shell.metadata.run(DeleteAcls(tuple(filter_of(each) for each in request.filters)))
    return {
        "filter_results": [
            {
                "error_code": answer.outcome.code,
                "error_message": answer.outcome.message,
                "matching_acls": [_removed(acl) for acl in answer.acls],
            }
            for answer in answers
        ]
    }


def _removed(acl: Acl) -> dict[str, Any]:
    return {"error_code": ErrorCode.NONE, "error_message": None, **pattern_fields(acl), **entry_fields(acl)}
