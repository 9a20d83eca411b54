"""DescribeConfigs (KIP-133): synonyms (KIP-226), types and documentation (version 3, KIP-569)."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Operation
from moldau.control.metadata.describe_configs import DescribedConfigs, describe_configs
from moldau.control.metadata.effective import EffectiveConfig
from moldau.control.metadata.image import ConfigResource
from moldau.server.config_access import refusal
from moldau.server.handlers import Api, RequestContext

API = Api(32, "DescribeConfigs", (1, 4))


async def handle(shell: Any, request: Any, context: RequestContext) -> dict[str, Any]:
    situation = shell.metadata.machine.situation()
    asked = [
        (ConfigResource(resource.resource_type, resource.resource_name), resource.configuration_keys)
        for resource in request.resources
    ]
    allowed, refused = [], []
    for each in asked:
        outcome = refusal(context.access, Operation.DESCRIBE_CONFIGS, each[0])
        if outcome is None:
            allowed.append(each)
        else:
            refused.append(DescribedConfigs(each[0], (), outcome.code, outcome.message))
    documented = getattr(request, "include_documentation", False)
    return {
        "results": [
            {
                "error_code": described.code,
                "error_message": described.message,
                "resource_type": described.resource.type,
                "resource_name": described.resource.name,
                "configs": [
                    _answer(config, synonyms=request.include_synonyms, documented=documented)
                    for config in described.configs
                ],
            }
            for described in (*describe_configs(situation, allowed), *refused)
        ]
    }


def _answer(config: EffectiveConfig, *, synonyms: bool, documented: bool) -> dict[str, Any]:
    return {
        "name": config.key.name,
        "value": config.text,
        "read_only": config.read_only,
        "config_source": config.source,
        "is_sensitive": config.key.sensitive,
        "synonyms": [
            {"name": synonym.name, "value": synonym.text, "source": synonym.source} for synonym in config.synonyms
        ]
        if synonyms
        else [],
        "config_type": config.key.type,
        "documentation": config.key.doc if documented else None,
    }
