"""One file per API key: `ls` is the compatibility table.

A handler module declares `API` and, unless the request is answered in Rust, `async def handle(shell, request,
context)`. `load()` imports them all; ApiVersions, the reference page and the conformance tests read the same list.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final

from moldau.server.access import EVERYTHING, Access


@dataclass(frozen=True, slots=True)
class Api:
    """One row of the compatibility table."""

    key: int
    name: str
    versions: tuple[int, int]
    """Lowest and highest version that is answered."""
    advertised_lowest: int | None = None
    """What ApiVersions says where it must differ (KAFKA-18659: Produce advertises 0 and refuses 0 to 2)."""
    hot: bool = False
    """Answered in Rust; the module has no `handle`, or one only for what Rust passes on."""
    note: str = ""


@dataclass(slots=True)
class RequestContext:
    """Who asked, and how they reached us. Nobody changes it; it is not frozen because one is made for every request."""

    api_version: int
    correlation_id: int
    client_id: str | None
    client_host: str
    """The peer's address, as Kafka writes it into group descriptions: `/127.0.0.1`."""
    listener: str
    advertised: tuple[str, int]
    """Host and port by which this client should reach this node."""
    token: int
    """Names this request for a machine that answers later."""
    access: Access = EVERYTHING
    """What this client may do; a handler asks it before it does anything."""


class ServeHot:
    """The answer of a handler that has prepared the ground: now let Rust answer from the image."""

    __slots__ = ()


SERVE_HOT: Final = ServeHot()

Handler = Callable[[Any, Any, RequestContext], Coroutine[Any, Any, Mapping[str, Any] | ServeHot]]


@dataclass(frozen=True, slots=True)
class Route:
    """An API and the function that answers it; `None` for what only Rust answers."""

    api: Api
    handle: Handler | None


def load() -> dict[int, Route]:
    """Import every handler module of this folder and return the routes by API key."""
    routes: dict[int, Route] = {}
    for module_info in pkgutil.iter_modules(__path__):
        if not module_info.name.startswith("k"):
            continue
        module = importlib.import_module(f"{__name__}.{module_info.name}")
        api: Api = module.API
        assert api.key not in routes, f"API key {api.key} has two handlers"
        routes[api.key] = Route(api, getattr(module, "handle", None))
    return dict(sorted(routes.items()))
