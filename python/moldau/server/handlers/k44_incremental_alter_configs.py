"""IncrementalAlterConfigs (KIP-339): sets, deletes, appends and subtracts single configs."""

from __future__ import annotations

from typing import Any

from moldau.control.metadata.configs import AlterConfigs, ConfigChange
from moldau.control.metadata.image import ConfigResource
from moldau.server.config_access import sort_out
from moldau.server.handlers import Api, RequestContext

API = Api(44, "IncrementalAlterConfigs", (0, 1))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    resources = tuple(
        (
            ConfigResource(resource.resource_type, resource.resource_name),
            tuple(ConfigChange(config.name, config.config_operation, config.value) for config in resource.configs),
        )
        for resource in request.resources
    )
    allowed, refused = sort_out(context.access, resources)
    outcomes = await shell.metadata.run(AlterConfigs(allowed, validate_only=request.validate_only))
    return {
        "responses": [
            {
                "error_code": outcome.code,
                "error_message": outcome.message,
                "resource_type": resource.type,
                "resource_name": resource.name,
            }
            for resource, outcome in (*outcomes, *refused)
        ]
    }
