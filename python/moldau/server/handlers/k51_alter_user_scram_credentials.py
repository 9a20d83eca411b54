"""AlterUserScramCredentials (KIP-554): kept for the day on which a listener asks for them."""

from __future__ import annotations

from typing import Any

from moldau.control.metadata.scram import AlterCredentials, RemoveCredential, SetCredential
from moldau.server.handlers import Api, RequestContext

API = Api(51, "AlterUserScramCredentials", (0, 0), note="stored; listeners are PLAINTEXT")


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    removed = [RemoveCredential(each.name, each.mechanism) for each in request.deletions]
    added = [
        SetCredential(each.name, each.mechanism, each.iterations, each.salt, each.salted_password)
        for each in request.upsertions
    ]
    outcomes = await shell.metadata.run(AlterCredentials((*removed, *added)))
    return {
        "results": [
            {"user": user, "error_code": outcome.code, "error_message": outcome.message} for user, outcome in outcomes
        ]
    }
