"""/config, /mode, /contexts."""

from __future__ import annotations

from typing import Any

from moldau.registry.decisions import configs, deletions, modes
from moldau.registry.names import DEFAULT_CONTEXT, parse_subject
from moldau.registry.rest.call import Call


async def get_config(call: Call) -> Any:
    """The config of a subject, a context, or everything."""
    in_scope = call.flag("defaultToGlobal")
    return configs.get_config(call.registry.state, call.settings_subject(), in_scope=in_scope)


async def set_config(call: Call) -> Any:
    """Change what the body names; null takes a setting back."""
    subject, body = call.settings_subject(), call.json()
    return await call.write(lambda: configs.set_config(call.registry.state, subject, body))


async def delete_config(call: Call) -> Any:
    """Fall back to what is set further out; answers with what it was."""
    subject = call.settings_subject()
    return await call.write(lambda: configs.delete_config(call.registry.state, subject))


async def get_mode(call: Call) -> Any:
    """The mode of a subject, a context, or everything."""
    return modes.get_mode(call.registry.state, call.settings_subject(), in_scope=call.flag("defaultToGlobal"))


async def set_mode(call: Call) -> Any:
    """READWRITE, READONLY, IMPORT or FORWARD."""
    subject, given, force = call.settings_subject(), call.json().get("mode"), call.flag("force")
    return await call.write(lambda: modes.set_mode(call.registry.state, subject, given, force=force))


async def delete_mode(call: Call) -> Any:
    """Fall back to what is set further out; answers with what it was."""
    subject, recursive = call.settings_subject(), call.flag("recursive")
    return await call.write(lambda: modes.delete_mode(call.registry.state, subject, recursive=recursive))


async def list_contexts(call: Call) -> Any:
    """The contexts; `.` is the default one."""
    prefix = call.text("contextPrefix")
    contexts = [DEFAULT_CONTEXT, *sorted(call.registry.state.contexts)]
    return call.page([context for context in contexts if context.startswith(prefix)])


async def delete_context(call: Call) -> Any:
    """Delete an empty context."""
    given = call.path["context"]
    context = parse_subject(given).context if given.startswith(":") else given
    return await call.write(lambda: deletions.delete_context(call.registry.state, context))
