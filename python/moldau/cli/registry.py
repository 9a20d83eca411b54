"""`moldau registry`: a schema registry in the foreground, and the one that `moldau up` runs beside its node."""

from __future__ import annotations

import importlib.util
import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final, Literal

from cyclopts import Parameter

from moldau.cli.connection import Connection
from moldau.cli.outcome import NoConnectionError, RefusedError, UsageError
from moldau.cli.output import log_to_stderr, say
from moldau.collector import look_seldom
from moldau.errors import MoldauError

if TYPE_CHECKING:
    from moldau.registry.service import RegistryThread
    from moldau.registry.settings import RegistrySettings

EXTRA: Final = ("httpx", "jsonschema", "google.protobuf")
"""What the extra `registry` brings."""
INSTALL: Final = "pip install 'moldau[registry]'"

Level = Literal["NONE", "BACKWARD", "BACKWARD_TRANSITIVE", "FORWARD", "FORWARD_TRANSITIVE", "FULL", "FULL_TRANSITIVE"]


def run_registry(
    *,
    connection: Connection = Connection(),
    host: str = "127.0.0.1",
    port: int = 8081,
    url: str | None = None,
    topic: str = "_schemas",
    group: str = "schema-registry",
    compatibility: Level = "BACKWARD",
    incompatible_code: Literal[409, 40901] = 40901,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
) -> None:
    """Run a schema registry on any Kafka cluster, until Ctrl-C.

    Parameters
    ----------
    host
        Address to listen on; 0.0.0.0 lets everybody in who can reach this machine.
    port
        Port to listen on; 0 takes any free one.
    url
        Where the other registries of the group reach this one, if not at the address it listens on.
    topic
        The compacted topic that holds the schemas; created if it is not there.
    group
        The consumer group in which registries elect the one that writes.
    compatibility
        The compatibility level where none is set.
    incompatible_code
        The error code of an incompatible schema: 40901 as Confluent's registry since 8.0, 409 as before.
    verbose
        Log everything.
    """
    log_to_stderr(logging.INFO if verbose else logging.WARNING)
    if missing := missing_extra():
        raise UsageError(f"a registry needs {missing}", INSTALL)
    connection.knock().close()
    from moldau.registry.settings import RegistrySettings

    settings = RegistrySettings(
        connection.bootstrap_servers,
        client=connection.settings(),
        host=host,
        port=port,
        advertised_url=url,
        topic=topic,
        group_id=group,
        default_compatibility=compatibility,
        incompatible_code=incompatible_code,
    )
    _run(settings)


def _run(settings: RegistrySettings) -> None:
    from moldau.http import HttpAddressError
    from moldau.registry.errors import RegistryError
    from moldau.registry.service import run
    from moldau.registry.store import StoreOpenError

    def ready(url: str) -> None:
        print(f"registry {url}", flush=True)
        say(f"topic    {settings.topic} at {settings.bootstrap_servers}")
        say("stop     Ctrl-C")

    look_seldom()
    try:
        run(settings, ready)
    except (HttpAddressError, StoreOpenError) as error:
        raise RefusedError(str(error)) from error
    except RegistryError as error:
        raise NoConnectionError(str(error)) from error


def missing_extra() -> str | None:
    """The first package of the extra that is not installed."""
    for name in EXTRA:
        try:
            if importlib.util.find_spec(name) is None:
                return name
        except ModuleNotFoundError:
            return name
    return None


def is_about_the_extra(error: Exception) -> bool:
    """Whether a command failed because the extra is not installed."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "").startswith(EXTRA)


class RegistryBeside:
    """The registry of `moldau up`: it starts when the node does, and whatever goes wrong with it is one line."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._registry: RegistryThread | None = None
        self._starting: threading.Thread | None = None

    def start(self, bootstrap_servers: str, then: Callable[[], None]) -> None:
        """Returns at once; the URL is printed when it answers, and `then` called after it or what went wrong."""
        if missing := missing_extra():
            say(f"registry not started: it needs {missing}; {INSTALL}")
            then()
            return
        from moldau.registry.service import RegistryThread
        from moldau.registry.settings import RegistrySettings

        self._registry = RegistryThread(RegistrySettings(bootstrap_servers, host=self._host, port=self._port))
        self._registry.start_soon()
        self._starting = threading.Thread(target=self._announce, args=(self._registry, then), daemon=True)
        self._starting.start()

    @staticmethod
    def _announce(registry: RegistryThread, then: Callable[[], None]) -> None:
        try:
            print(f"registry {registry.wait()}", flush=True)
        except MoldauError as error:
            say(f"registry not started: {error}")
        then()

    def close(self) -> None:
        """Stop it, while the node still answers."""
        if self._registry is not None and self._starting is not None:
            self._registry.close()
            self._starting.join()
