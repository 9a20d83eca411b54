"""What workers ask of their leader, Java's or ours: signed with the group's key (KIP-507)."""

from __future__ import annotations

from typing import Any

from moldau.connect.rest.call import Call, as_config
from moldau.connect.runtime.refusals import BadRequestError


def put_tasks(call: Call) -> Any:
    """Write the configurations of a connector's tasks, as the worker that runs it has divided its work."""
    call.api.check_signature(call.content, call.headers)
    given = call.any_json()
    if not isinstance(given, list):
        raise BadRequestError("the configurations of tasks are a list")
    call.api.put_tasks(call.connector, [as_config(each) for each in given])
    return None


def fence(call: Call) -> Any:
    """Shut out the tasks of a connector's older configurations, so that the new ones may write (KIP-618)."""
    call.api.check_signature(call.content, call.headers)
    call.api.fence(call.connector)
    return None
