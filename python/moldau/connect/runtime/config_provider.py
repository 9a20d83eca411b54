"""`${provider:[path:]key}` in the settings of a connector: put in when a connector or a task starts, and nowhere else.

What is stored in the config topic and shown by the REST interface is what was written. The providers are Kafka's:
`file` (a properties file), `dir` (a file per key), `env` (environment variables), by the names that `config.providers`
gives them or, where it is not set, by these. `${routedByValue}` and other texts without a colon are left alone.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

from moldau.config.properties import PropertiesError, decode, parse_properties
from moldau.connect.errors import ConfigError

logger: Final = logging.getLogger("moldau.connect.config")

VARIABLE: Final = re.compile(r"\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}")


class ConfigProvider(Protocol):
    """Where values come from. `get` may raise ConfigError; a key that is not there is missing in what it returns."""

    def get(self, path: str | None, keys: Iterable[str]) -> Mapping[str, str]: ...


class FileProvider:
    """`${file:/path/to.properties:key}`."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._allowed = allowed_paths(settings)

    def get(self, path: str | None, keys: Iterable[str]) -> Mapping[str, str]:
        if not path:
            return {}
        place = checked(Path(path), self._allowed)
        try:
            found = {each.name: each.value for each in parse_properties(decode(place.read_bytes()))}
        except (OSError, PropertiesError) as error:
            raise ConfigError(f"Could not read properties from file {path}: {error}") from error
        return {key: found[key] for key in keys if key in found}


class DirectoryProvider:
    """`${dir:/path:key}`: the content of the file `key` in a directory, as mounted secrets have it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._allowed = allowed_paths(settings)

    def get(self, path: str | None, keys: Iterable[str]) -> Mapping[str, str]:
        if not path:
            return {}
        folder = checked(Path(path), self._allowed)
        found: dict[str, str] = {}
        for key in keys:
            place = folder / key
            if place.parent == folder and place.is_file():
                try:
                    found[key] = place.read_text()
                except OSError as error:
                    raise ConfigError(f"Could not read file {place} for property {key}: {error.strerror}") from error
        return found


class EnvironmentProvider:
    """`${env:NAME}`. `allowlist.pattern` limits which names can be asked for."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        pattern = settings.get("allowlist.pattern")
        self._allowed = re.compile(pattern) if pattern else None

    def get(self, path: str | None, keys: Iterable[str]) -> Mapping[str, str]:
        if path:
            raise ConfigError(f"Path is not supported for EnvVarConfigProvider, invalid value '{path}'")
        return {
            key: os.environ[key]
            for key in keys
            if key in os.environ and (self._allowed is None or self._allowed.fullmatch(key))
        }


PROVIDERS: Final[Mapping[str, Callable[[Mapping[str, str]], ConfigProvider]]] = {
    "org.apache.kafka.common.config.provider.FileConfigProvider": FileProvider,
    "org.apache.kafka.common.config.provider.DirectoryConfigProvider": DirectoryProvider,
    "org.apache.kafka.common.config.provider.EnvVarConfigProvider": EnvironmentProvider,
}
DEFAULTS: Final[Mapping[str, Callable[[Mapping[str, str]], ConfigProvider]]] = {
    "file": FileProvider,
    "dir": DirectoryProvider,
    "env": EnvironmentProvider,
}


def allowed_paths(settings: Mapping[str, str]) -> list[Path]:
    """The folders and files of `allowed.paths`; none: everything is allowed."""
    given = [each.strip() for each in settings.get("allowed.paths", "").split(",") if each.strip()]
    for each in given:
        if not Path(each).is_absolute() or not Path(each).exists():
            raise ConfigError(f"Path {each} of allowed.paths is not absolute, or does not exist")
    return [Path(each).resolve() for each in given]


def checked(path: Path, allowed: list[Path]) -> Path:
    """A path that may be read. Raises ConfigError."""
    place = path.resolve()
    if allowed and not any(place.is_relative_to(each) for each in allowed):
        raise ConfigError(f"The path {path} is not within the allowed paths of this worker (allowed.paths)")
    return place


def providers_of(settings: Mapping[str, str]) -> dict[str, ConfigProvider]:
    """The providers that a worker's settings name: `config.providers`, `config.providers.NAME.class` and `.param.*`.

    Raises:
        ConfigError: a class that is not one of ours.
    """
    names = [each.strip() for each in settings.get("config.providers", "").split(",") if each.strip()]
    if not names:
        return {name: provider({}) for name, provider in DEFAULTS.items()}
    found: dict[str, ConfigProvider] = {}
    for name in names:
        prefix = f"config.providers.{name}."
        provider_class = settings.get(f"{prefix}class", "")
        if provider_class not in PROVIDERS:
            known = ", ".join(PROVIDERS)
            raise ConfigError(f"{prefix}class={provider_class} is not a config provider of Moldau; there are {known}")
        param = f"{prefix}param."
        mine = {key.removeprefix(param): value for key, value in settings.items() if key.startswith(param)}
        found[name] = PROVIDERS[provider_class](mine)
    return found


class ConfigResolver:
    """Puts values in. One for a worker."""

    def __init__(self, providers: Mapping[str, ConfigProvider]) -> None:
        self._providers = providers

    def resolve(self, config: Mapping[str, str | None]) -> dict[str, str | None]:
        """The settings with every variable replaced whose provider is there and has it.

        Raises:
            ConfigError: a provider cannot read what it is asked for.
        """
        return {key: value if value is None else self._resolved(value) for key, value in config.items()}

    def _resolved(self, text: str) -> str:
        if "${" not in text:
            return text

        def put_in(match: re.Match[str]) -> str:
            provider = self._providers.get(match[1])
            if provider is None:
                return match[0]
            key = match[4]
            value = provider.get(match[3], [key]).get(key)
            if value is None:
                logger.warning("%s could not be resolved; it is left as it is", match[0])
                return match[0]
            return value

        return VARIABLE.sub(put_in, text)


def has_variables(text: str | None) -> bool:
    """Whether there is something to put in."""
    return text is not None and VARIABLE.search(text) is not None


def with_variables_of(
    raw: Mapping[str, str | None], configs: Iterable[Mapping[str, str | None]]
) -> list[dict[str, str | None]]:
    """Task configurations as they may be stored: settings that the connector has with variables have them again."""
    hidden = {key: value for key, value in raw.items() if has_variables(value)}
    return [{key: hidden.get(key, value) for key, value in config.items()} for config in configs]
