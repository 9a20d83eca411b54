"""Access rules and filters between the three ACL requests of the protocol and the decisions about them."""

from __future__ import annotations

from typing import Any

from moldau.control.access.acl import Acl, AclFilter


def filter_of(asked: Any) -> AclFilter:
    """The filter in a DescribeAcls request, or in an entry of a DeleteAcls request."""
    return AclFilter(
        resource_type=asked.resource_type_filter,
        resource_name=asked.resource_name_filter,
        pattern_type=asked.pattern_type_filter,
        principal=asked.principal_filter,
        host=asked.host_filter,
        operation=asked.operation,
        permission=asked.permission_type,
    )


def pattern_fields(acl: Acl) -> dict[str, Any]:
    """What a rule is for, as answers say it."""
    return {
        "resource_type": acl.resource_type,
        "resource_name": acl.resource_name,
        "pattern_type": acl.pattern_type,
    }


def entry_fields(acl: Acl) -> dict[str, Any]:
    """Whom a rule allows or denies what, as answers say it."""
    return {
        "principal": acl.principal,
        "host": acl.host,
        "operation": acl.operation,
        "permission_type": acl.permission,
    }
