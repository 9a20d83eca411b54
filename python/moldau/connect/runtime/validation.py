"""What is wrong with a connector's configuration: setting by setting, as `PUT …/config/validate` answers it.

A setting that nobody declared is no error, as it is none in Kafka; it is shown without a definition, and the nearest
one that there is stands among its recommended values.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from moldau.connect.config_def import ConfigDef, ConfigKey, ConfigValue, config_infos, nearest
from moldau.connect.errors import ConfigError, ConnectError
from moldau.connect.plugin import SinkConnector, SourceConnector
from moldau.connect.plugins import Kind, Plugins, version_of
from moldau.connect.runtime.config_provider import ConfigResolver
from moldau.connect.runtime.connector_config import (
    OPEN_PREFIXES,
    check_sink,
    check_versions,
    common,
    with_chains,
    with_sink,
    with_source,
)
from moldau.connect.runtime.exactly_once_rules import check_exactly_once
from moldau.connect.runtime.plugin_versions import why_not
from moldau.connect.runtime.refusals import BadRequestError, NotFoundError
from moldau.connect.runtime.settings import WorkerSettings, with_prefix
from moldau.connect.runtime.topic_creation import groups_of

logger: Final = logging.getLogger("moldau.connect.validation")

Config = Mapping[str, str | None]


class Validation:
    """One for each worker."""

    def __init__(self, plugins: Plugins, settings: WorkerSettings, resolver: ConfigResolver) -> None:
        self._plugins = plugins
        self._settings = settings
        self._resolver = resolver

    def judge(self, raw: Config) -> dict[str, Any]:
        """Kafka's ConfigInfos. Raises BadRequestError when there is no such connector."""
        config = self._resolver.resolve(raw)
        name = config.get("connector.class") or ""
        try:
            connector = self._plugins.new_connector(name)
        except ConnectError as error:
            raise BadRequestError(str(error)) from error
        framework = self._framework(connector, config, self._settings)
        values = framework.validate_all(config)
        check_versions(values, config, self._plugins)
        if isinstance(connector, SinkConnector):
            check_sink(values, config)
        else:
            self._check_topics(values, config)
            check_exactly_once(values, config, connector, enabled=self._settings.exactly_once)
        given = {key: value for key, value in config.items() if value is not None}
        try:
            own_def: ConfigDef = connector.config()
            own = connector.validate(given)
        except Exception as error:
            logger.exception("the validation of %s failed", name)
            raise BadRequestError(f"{name} cannot judge its configuration: {error}") from error
        keys = {**framework.keys, **own_def.keys}
        found = {**values, **{each.name: each for each in own}}
        for kind in ("key", "value", "header"):
            converter = self._converter_def(kind, config)
            if converter is not None:
                for key, value in self._of_converter(kind, converter, config):
                    keys.setdefault(key.name, key)
                    found.setdefault(value.name, value)
        if own_def.keys:
            self._note_unknown(config, keys, found)
        self._hide_resolved(raw, found)
        groups = [*framework.groups, *(each for each in own_def.groups if each not in framework.groups)]
        return config_infos(name, keys, found.values(), groups)

    def _framework(self, connector: Any, config: Config, settings: WorkerSettings | None) -> ConfigDef:
        found = common(config, self._plugins, settings)
        found = with_source(found) if isinstance(connector, SourceConnector) else with_sink(found)
        return with_chains(found, config, self._plugins)

    @staticmethod
    def _check_topics(values: Mapping[str, ConfigValue], config: Config) -> None:
        try:
            groups_of(config)
        except ConfigError as error:
            values["topic.creation.groups"].errors.append(str(error))

    def _converter_def(self, kind: str, config: Config) -> ConfigDef | None:
        """The settings of a converter that the connector has for itself."""
        name = config.get(f"{kind}.converter")
        if not name:
            return None
        try:
            found: ConfigDef = self._plugins.new(
                name, Kind.HEADER_CONVERTER if kind == "header" else Kind.CONVERTER
            ).config()
        except ConnectError:
            # The class is judged by its own rule.
            return None
        except Exception:
            logger.exception("%s does not say its settings, so those below %s.converter. are not judged", name, kind)
            return None
        return found

    @staticmethod
    def _of_converter(kind: str, converter: ConfigDef, config: Config) -> Iterator[tuple[ConfigKey, ConfigValue]]:
        prefix = f"{kind}.converter."
        values = converter.validate_all({"converter.type": kind, **with_prefix(config, prefix)})
        for name, key in converter.keys.items():
            value = values[name]
            value.name = prefix + name
            yield replace(key, name=prefix + name), value

    @staticmethod
    def _note_unknown(config: Config, keys: Mapping[str, Any], found: dict[str, ConfigValue]) -> None:
        for name, value in config.items():
            if name in keys or name in found or name.startswith(OPEN_PREFIXES):
                continue
            near = nearest(name, keys)
            found[name] = ConfigValue(name, value, [near] if near else [])
            logger.warning(
                "%s is no setting of %s%s",
                name,
                config.get("connector.class"),
                f"; did you mean {near}?" if near else "",
            )

    @staticmethod
    def _hide_resolved(raw: Config, found: Mapping[str, ConfigValue]) -> None:
        """What a config provider said is never shown."""
        for name, value in found.items():
            written = raw.get(name)
            if written is not None and "${" in written:
                value.value = written

    def settings_of(self, name: str, version: str | None = None) -> list[dict[str, Any]]:
        """The settings of a plugin. Raises NotFoundError; BadRequestError when it is not there in that version."""
        try:
            found = self._plugins.find(name)
        except ConnectError as error:
            raise NotFoundError(f"Unknown plugin {name}.") from error
        try:
            reason = why_not(name, version_of(found), version)
        except ValueError as error:
            raise BadRequestError(f"Invalid version specification: {error}") from error
        if reason is not None:
            raise BadRequestError(reason)
        plugin = self._plugins.new(name)
        config = getattr(plugin, "config", None)
        if config is None:
            raise BadRequestError(
                f"Invalid plugin class {name}. Valid types are sink, source, converter, header_converter, "
                "transformation, predicate."
            )
        keys = dict(config().keys)
        if issubclass(found, (SourceConnector, SinkConnector)):
            for key, value in self._framework(plugin, {"connector.class": name}, None).keys.items():
                keys.setdefault(key, value)
        return [key.info() for key in keys.values()]
