"""Named clusters: where they are and how to get in, in one file that only its owner can read.

`~/.config/moldau/profiles.toml` (`XDG_CONFIG_HOME` and `MOLDAU_PROFILES` are honoured):

    current = "local"

    [profiles.local]
    bootstrap-servers = "localhost:9092"

    [profiles.production.settings]      # any setting of librdkafka
    "security.protocol" = "sasl_ssl"

A flag wins over a variable, a variable over the profile, the profile over the default. The profile is the one of
`--profile`, else of `MOLDAU_PROFILE`, else `current`.
"""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moldau.cli.outcome import UsageError
from moldau.cli.output import say

if TYPE_CHECKING:
    from cyclopts import App, ArgumentCollection

SECRETS: Final = ("password", "secret", "token", "jaas", "key.pem")
VARIABLE: Final = "MOLDAU_PROFILES"


@dataclass
class Profile:
    """One cluster."""

    bootstrap_servers: str | None = None
    registry: str | None = None
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def has_secrets(self) -> bool:
        """Whether somebody could use what stands here."""
        return any(is_secret(name) for name in self.settings)


@dataclass
class Profiles:
    """The whole file."""

    current: str | None = None
    profiles: dict[str, Profile] = field(default_factory=dict)

    def get(self, name: str) -> Profile:
        """The profile of this name.

        Raises:
            UsageError: there is none.
        """
        if name not in self.profiles:
            raise UsageError(f"there is no profile {name}", "`moldau profile list` shows those that there are")
        return self.profiles[name]


def is_secret(setting: str) -> bool:
    """Whether the value of a setting is not to be shown."""
    return any(word in setting for word in SECRETS)


def location() -> Path:
    """Where the file is, or would be."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE])
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "moldau" / "profiles.toml"


def load() -> Profiles:
    """What the file says; nothing when there is none.

    Raises:
        UsageError: it cannot be read.
    """
    file = location()
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Profiles()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}") from error
    import tomllib

    try:
        document = tomllib.loads(content.decode())
        profiles = Profiles(
            document.get("current"), {name: _profile(entry) for name, entry in document.get("profiles", {}).items()}
        )
    except (ValueError, AttributeError, TypeError) as error:
        raise UsageError(f"{file} is no file of profiles: {error}") from error
    if any(profile.has_secrets for profile in profiles.profiles.values()) and _others_may_read(file):
        say(f"warning: {file} holds secrets and others can read it: chmod 600 {file}")
    return profiles


def _profile(entry: dict[str, Any]) -> Profile:
    settings = {str(name): str(value) for name, value in entry.get("settings", {}).items()}
    return Profile(entry.get("bootstrap-servers"), entry.get("registry"), settings)


def _others_may_read(file: Path) -> bool:
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def save(profiles: Profiles) -> None:
    """Write the file, for its owner alone, whole or not at all."""
    lines = [] if profiles.current is None else [f"current = {_quoted(profiles.current)}"]
    for name, profile in sorted(profiles.profiles.items()):
        lines += ["", f"[profiles.{_quoted(name)}]"]
        if profile.bootstrap_servers is not None:
            lines.append(f"bootstrap-servers = {_quoted(profile.bootstrap_servers)}")
        if profile.registry is not None:
            lines.append(f"registry = {_quoted(profile.registry)}")
        if profile.settings:
            lines.append(f"[profiles.{_quoted(name)}.settings]")
            lines += [f"{_quoted(key)} = {_quoted(value)}" for key, value in sorted(profile.settings.items())]
    file = location()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600, exist_ok=False)
    new.write_text("\n".join(lines).lstrip() + "\n")
    new.replace(file)


def _quoted(text: str) -> str:
    # A basic string of TOML has the escapes of JSON.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def fill_in(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Give the options of a command what the profile says, where neither a flag nor a variable did (cyclopts calls it).

    Raises:
        UsageError: the profile that was named does not exist.
    """
    by_name = {name: argument for argument in arguments for name in argument.names}
    chosen = by_name.get("--profile")
    if chosen is None:
        return
    wanted = chosen.tokens[0].value if chosen.tokens else None
    if wanted is None and not location().exists():
        return
    profiles = load()
    name = wanted or profiles.current
    if name is None:
        return
    _fill(by_name, profiles.get(name))


def _fill(by_name: dict[str, Any], profile: Profile) -> None:
    from cyclopts import Token

    for option, value in (("--bootstrap-servers", profile.bootstrap_servers), ("--registry", profile.registry)):
        if value is not None and option in by_name and not by_name[option].tokens:
            by_name[option].append(Token(keyword=option, value=value, source="profile"))
    setting = by_name.get("--setting")
    if setting is None:
        return
    # The last of two settings with one name counts: those of the profile come first.
    said = list(setting.tokens)
    setting.tokens.clear()
    texts = [f"{name}={value}" for name, value in profile.settings.items()]
    tokens = [Token(keyword="--setting", value=text, source="profile") for text in texts]
    for index, token in enumerate([*tokens, *said]):
        setting.append(Token(keyword=token.keyword, value=token.value, source=token.source, index=index))
