"""Changes of the quorum (KIP-853), which a quorum of one that was never made dynamic refuses.

A directory that this node formats has `kraft.version` 0: its voters are those of the configuration. Kafka checks who is
asked for before it says so, and so does this.
"""

from __future__ import annotations

from typing import Any, Final, NoReturn
from uuid import UUID

from moldau.control.schema import ZERO_UUID
from moldau.errors import ApiError, ErrorCode

STATIC_QUORUM: Final = "the voters of this quorum are those of its configuration (kraft.version 0)"


def check_request(shell: Any, cluster_id: str | None, voter_id: int, directory_id: UUID | None) -> None:
    """What is wrong with the request, whatever the quorum.

    Raises:
        ApiError: INCONSISTENT_CLUSTER_ID or INVALID_REQUEST.
    """
    if cluster_id is not None and cluster_id != shell.cluster_id:
        raise ApiError(
            ErrorCode.INCONSISTENT_CLUSTER_ID,
            f"the request is for {cluster_id!r}, this is {shell.cluster_id!r}",
        )
    if voter_id < 0 or directory_id in (None, ZERO_UUID):
        raise ApiError(ErrorCode.INVALID_REQUEST, "a voter is named by its node id and the id of its directory")


def refuse_change() -> NoReturn:
    """Refuse a request that is in order.

    Raises:
        ApiError: UNSUPPORTED_VERSION.
    """
    raise ApiError(ErrorCode.UNSUPPORTED_VERSION, STATIC_QUORUM)
