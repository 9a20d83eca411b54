"""InitProducerId: an id for an idempotent producer (KIP-98), or a transactional id for its next producer.

Without a transactional id any number will do that nobody has. With one, the coordinator shuts out the producer before:
it ends the transaction that was left open and raises the epoch. Version 3 brings who the producer was, when it goes on
after an error (KIP-360), and 4 understands PRODUCER_FENCED.
"""

from __future__ import annotations

from typing import Any, Final

from moldau.control.access.acl import Operation, ResourceType
from moldau.control.transactions.requests import InitProducerId, ProducerIdAndEpoch
from moldau.control.transactions.responses import Initialised
from moldau.errors import ApiError, ErrorCode
from moldau.server.access import Access
from moldau.server.durations import milliseconds
from moldau.server.handlers import Api, RequestContext
from moldau.server.handlers.fencing import told_to

API = Api(22, "InitProducerId", (0, 5))

NO_PRODUCER_ID: Final = -1
NO_PRODUCER_EPOCH: Final = -1
KNOWS_FENCED_SINCE: Final = 4


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    producer_id = getattr(request, "producer_id", NO_PRODUCER_ID)
    producer_epoch = getattr(request, "producer_epoch", NO_PRODUCER_EPOCH)
    try:
        _check_access(request.transactional_id, context.access)
        # Both or neither: they name the producer that goes on.
        half_named = (producer_id == NO_PRODUCER_ID) != (producer_epoch == NO_PRODUCER_EPOCH)
        if half_named or request.transactional_id == "":
            raise ApiError(ErrorCode.INVALID_REQUEST)
        if request.transactional_id is None:
            initialised = Initialised(ErrorCode.NONE, await shell.producer_ids.take(shell), 0)
        else:
            expected = None if producer_id == NO_PRODUCER_ID else ProducerIdAndEpoch(producer_id, producer_epoch)
            timeout_ms = milliseconds(request.transaction_timeout)
            asked = InitProducerId(request.transactional_id, timeout_ms, expected)
            initialised = await shell.transactions.run(request.transactional_id, asked)
    except ApiError as error:
        initialised = Initialised(error.code)
    return {
        "error_code": told_to(context, initialised.error, KNOWS_FENCED_SINCE),
        "producer_id": initialised.producer_id,
        "producer_epoch": initialised.producer_epoch,
    }


def _check_access(transactional_id: str | None, access: Access) -> None:
    """Whoever may write to any topic may be an idempotent producer (KIP-679).

    Raises:
        ApiError: TRANSACTIONAL_ID_AUTHORIZATION_FAILED or CLUSTER_AUTHORIZATION_FAILED.
    """
    if transactional_id is not None:
        access.require(Operation.WRITE, ResourceType.TRANSACTIONAL_ID, transactional_id)
    elif not access.allows_somewhere(Operation.WRITE, ResourceType.TOPIC):
        access.require_cluster(Operation.IDEMPOTENT_WRITE)
