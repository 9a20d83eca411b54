"""`moldau profile`: name the clusters you work with, and choose one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from moldau.cli import profiles
from moldau.cli.connection import Connection, pairs
from moldau.cli.outcome import UsageError
from moldau.cli.output import Output, say
from moldau.cli.several import Yes, confirm

HIDDEN = "(hidden)"


def list_profiles(*, output: Output = Output()) -> None:
    """List the profiles; the one in use is marked."""
    known = profiles.load()
    records = [
        {
            "profile": name,
            "bootstrap_servers": one.bootstrap_servers,
            "registry": one.registry,
            "current": name == known.current,
        }
        for name, one in sorted(known.profiles.items())
    ]
    output.records(records, ("profile", "bootstrap_servers", "registry", "current"))


def show_profile(name: str | None = None, /, *, output: Output = Output()) -> None:
    """Show one profile. Secrets are not shown.

    Parameters
    ----------
    name
        Its name; the one in use without it.
    """
    known = profiles.load()
    chosen = name or known.current
    if chosen is None:
        raise UsageError("no profile is in use", "`moldau profile use NAME` chooses one")
    one = known.get(chosen)
    settings = [
        {"setting": key, "value": HIDDEN if profiles.is_secret(key) else value}
        for key, value in sorted(one.settings.items())
    ]
    record = {
        "profile": chosen,
        "bootstrap_servers": one.bootstrap_servers,
        "registry": one.registry,
        "current": chosen == known.current,
        "settings": settings,
    }
    if not output.for_eyes:
        output.record(record, ())
        return
    output.record(record, ("profile", "bootstrap_servers", "registry", "current"))
    if settings:
        print()
        output.records(settings, ("setting", "value"))


def create_profile(
    name: str,
    /,
    *,
    bootstrap_servers: Annotated[str | None, Parameter(name=["--bootstrap-servers", "-b"])] = None,
    setting: Annotated[list[str] | None, Parameter(name=["--setting", "-X"], negative=())] = None,
    registry: str | None = None,
) -> None:
    """Create a profile and use it. One of the same name is replaced.

    Parameters
    ----------
    name
        Its name.
    bootstrap_servers
        Brokers to ask first, as host:port, separated by commas.
    setting
        A setting of librdkafka, as key=value; may be given many times. key=@FILE takes the value from a file, so that
        a password does not stand in the history of your shell.
    registry
        Address of the schema registry.
    """
    if bootstrap_servers is not None:
        Connection(bootstrap_servers=bootstrap_servers).servers()
    settings = {key: _value(value) for key, value in pairs(setting).items()}
    known = profiles.load()
    known.profiles[name] = profiles.Profile(bootstrap_servers, registry, settings)
    known.current = name
    profiles.save(known)
    say(f"using {name}; it is in {profiles.location()}")


def _value(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text().strip()
    except OSError as error:
        raise UsageError(f"cannot read {text[1:]}: {error.strerror}") from error


def use_profile(name: str, /) -> None:
    """Use this profile from now on.

    Parameters
    ----------
    name
        Its name.
    """
    known = profiles.load()
    known.get(name)
    known.current = name
    profiles.save(known)
    say(f"using {name}")


def delete_profile(name: str, /, *, yes: Yes = False) -> None:
    """Delete a profile.

    Parameters
    ----------
    name
        Its name.
    """
    known = profiles.load()
    known.get(name)
    confirm(f"delete the profile {name}", yes=yes)
    del known.profiles[name]
    known.current = None if known.current == name else known.current
    profiles.save(known)
    say(f"deleted {name}")
