"""AlterClientQuotas (KIP-546). Host names among the addresses are looked up here, because a decision cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.image import QuotaKey
from moldau.control.metadata.quotas import IP, AlterQuotas, QuotaChange, is_literal_address
from moldau.server.handlers import Api, RequestContext

API = Api(49, "AlterClientQuotas", (0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.ALTER_CONFIGS)
    entries = tuple(
        (
            # A type that is named twice counts once, with its last name, as in Kafka.
            QuotaKey(tuple(sorted({part.entity_type: part.entity_name for part in entry.entity}.items()))),
            tuple(QuotaChange(op.key, None if op.remove else op.value) for op in entry.ops),
        )
        for entry in request.entries
    )
    hosts = await _found(name for key, _ in entries for kind, name in key.entity if kind == IP)
    outcomes = await shell.metadata.run(AlterQuotas(entries, request.validate_only, hosts))
    return {
        "entries": [
            {
                "error_code": outcome.code,
                "error_message": outcome.message,
                "entity": [{"entity_type": kind, "entity_name": name} for kind, name in key.entity],
            }
            for key, outcome in outcomes
        ]
    }


async def _found(names: Iterable[str | None]) -> frozenset[str]:
    """Those of `names` that are host names with an address."""
    found = set()
    for name in {name for name in names if name and not is_literal_address(name)}:
        try:
            await asyncio.get_running_loop().getaddrinfo(name, None)
        except (OSError, UnicodeError):
            continue
        found.add(name)
    return frozenset(found)
