"""AlterUserScramCredentials (KIP-554): kept for the day on which a listener asks for them."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.scram import AlterCredentials, RemoveCredential, SetCredential
from moldau.control.metadata.situation import Outcome
from moldau.errors import ApiError
from moldau.server.handlers import Api, RequestContext

API = Api(51, "AlterUserScramCredentials", (0, 0), note="stored; listeners are PLAINTEXT")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    removed = [RemoveCredential(each.name, each.mechanism) for each in request.deletions]
    added = [
        SetCredential(each.name, each.mechanism, each.iterations, each.salt, each.salted_password)
        for each in request.upsertions
    ]
    try:
        context.access.require_cluster(Operation.ALTER)
        outcomes = await shell.metadata.run(AlterCredentials((*removed, *added)))
    except ApiError as error:
        # There is no place for an error but with the users.
        users = dict.fromkeys([*(each.user for each in removed), *(each.user for each in added)])
        outcomes = tuple((user, Outcome(error.code, error.message)) for user in users)
    return {
        "results": [
            {"user": user, "error_code": outcome.code, "error_message": outcome.message} for user, outcome in outcomes
        ]
    }
