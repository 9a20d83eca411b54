"""EndTxn: commit or abort. It is answered when the decision is on disk; the markers follow.

Version 2 understands PRODUCER_FENCED. Version 5 is the second transaction protocol (KIP-890): the answer has the epoch,
or when the epochs are used up the producer id, for the next transaction.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.transactions.requests import EndTransaction
from moldau.control.transactions.responses import Ended
from moldau.control.transactions.transaction import BUMPS_EPOCH_SINCE
from moldau.errors import ApiError
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.fencing import told_to

API = Api(26, "EndTxn", (0, 5))

KNOWS_FENCED_SINCE: Final = 2
SECOND_PROTOCOL_SINCE: Final = 5


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    asked = EndTransaction(
        request.transactional_id,
        request.producer_id,
        request.producer_epoch,
        request.committed,
        BUMPS_EPOCH_SINCE if context.api_version >= SECOND_PROTOCOL_SINCE else 0,
    )
    try:
        context.access.require(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, request.transactional_id)
        ended: Ended = await shell.transactions.run(request.transactional_id, asked)
    except ApiError as error:
        ended = Ended(error.code)
    return {
        "error_code": told_to(context, ended.error, KNOWS_FENCED_SINCE),
        "producer_id": ended.producer_id,
        "producer_epoch": ended.producer_epoch,
    }
