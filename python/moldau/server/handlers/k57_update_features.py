"""UpdateFeatures (KIP-584): version 0 says only whether a downgrade is allowed, version 1 of which kind it may be.

Levels change all or none, so a refusal is told for the whole request; before version 2 a success is told for each.
"""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.cluster import FeatureUpdate, UpdateFeatures, UpgradeType
from moldau.control.metadata.situation import DONE
from moldau.server.handlers import Api, RequestContext

API = Api(57, "UpdateFeatures", (0, 2))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    context.access.require_cluster(Operation.ALTER)
    # A feature that is named twice counts once, as it is named last: so does Kafka read it.
    asked = {update.feature: update for update in request.feature_updates}
    updates = tuple(FeatureUpdate(name, each.max_version_level, _upgrade_type(each)) for name, each in asked.items())
    validate_only = getattr(request, "validate_only", False)
    outcomes = await shell.metadata.run(UpdateFeatures(updates, validate_only))
    first_refusal = next((outcome for _, outcome in outcomes if outcome.code), DONE)
    return {
        "error_code": first_refusal.code,
        "error_message": first_refusal.message,
        "results": [] if first_refusal.code else [{"feature": name} for name, _ in outcomes],
    }


def _upgrade_type(update: Any) -> int:
    if hasattr(update, "upgrade_type"):
        return int(update.upgrade_type)
    return UpgradeType.SAFE_DOWNGRADE if update.allow_downgrade else UpgradeType.UPGRADE
