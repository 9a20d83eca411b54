"""The settings that every connector has, and those that its transforms, predicates and topic groups add.

Names, types, defaults, groups and orders are Kafka's; forms are drawn from them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from moldau.connect.config_def import ConfigDef, ConfigValue, Importance, Type, Width, invalid
from moldau.connect.config_validators import (
    AllOf,
    CaseInsensitiveValidString,
    NonEmptyString,
    NonEmptyStringWithoutControlChars,
    NonNull,
    Range,
    Rule,
    ValidString,
)
from moldau.connect.errors import ConnectError
from moldau.connect.plugins import Kind, Plugins, version_of
from moldau.connect.runtime.assembly import names_in
from moldau.connect.runtime.plugin_versions import Wanted, why_not
from moldau.connect.runtime.settings import WorkerSettings

COMMON: Final = "Common"
TRANSFORMS: Final = "Transforms"
PREDICATES: Final = "Predicates"
ERRORS: Final = "Error Handling"
TOPIC_CREATION: Final = "Topic Creation"
EXACTLY_ONCE: Final = "Exactly Once Support"
OFFSETS_TOPIC: Final = "offsets.topic"

VERSION_DOC: Final = "The version of the plugin, or a range of versions; there is one, and another one is refused."
OPEN_PREFIXES: Final = (
    "producer.override.",
    "consumer.override.",
    "admin.override.",
    "topic.creation.",
    "transforms.",
    "predicates.",
    "key.converter.",
    "value.converter.",
    "header.converter.",
    "errors.deadletterqueue.",
)
"""What stands below them is for others to judge."""

Config = Mapping[str, str | None]


class OneOf:
    """Recommends the plugins of a kind, or the only version that there is."""

    def __init__(self, values: list[str]) -> None:
        self._values = values

    def valid_values(self, name: str, parsed: Mapping[str, Any]) -> list[Any]:
        """All of them."""
        del name, parsed
        return list(self._values)

    def visible(self, name: str, parsed: Mapping[str, Any]) -> bool:
        """Always."""
        del name, parsed
        return True


def _unique(kind: str) -> AllOf:
    def check(name: str, value: Any) -> None:
        if len(set(value)) < len(value):
            raise invalid(name, value, "Duplicate alias provided.")

    return AllOf(NonNull(), Rule(check, f"unique {kind} aliases"))


def _regex(name: str, value: Any) -> None:
    try:
        re.compile(value or "")
    except re.error as error:
        raise invalid(name, value, f"Invalid regex: {error}") from error


def _at_least_zero_if_any(name: str, value: Any) -> None:
    if value is not None:
        Range(0).ensure_valid(name, value)


def common(config: Config, plugins: Plugins, settings: WorkerSettings | None) -> ConfigDef:
    """What every connector has; without `settings` the worker's own converters are no defaults."""
    found = ConfigDef()
    found.define(
        "name",
        Type.STRING,
        validator=NonEmptyStringWithoutControlChars(),
        importance=Importance.HIGH,
        doc="The name of the connector, unique in its group of workers.",
        group=COMMON,
        order=1,
        width=Width.MEDIUM,
        display_name="Connector name",
    )
    found.define(
        "connector.class",
        Type.STRING,
        importance=Importance.HIGH,
        doc="The connector: Java's name of the class, its short form, or module:Class of a Python one.",
        group=COMMON,
        order=2,
        width=Width.LONG,
        display_name="Connector class",
    )
    _version(found, "connector", config.get("connector.class"), plugins, order=3, importance=Importance.MEDIUM)
    found.define(
        "tasks.max",
        Type.INT,
        1,
        Range(1),
        Importance.HIGH,
        "How many tasks the connector may have at most.",
        group=COMMON,
        order=4,
        width=Width.SHORT,
        display_name="Tasks max",
    )
    found.define(
        "tasks.max.enforce",
        Type.BOOLEAN,
        True,
        None,
        Importance.LOW,
        "Whether a connector that wants more tasks fails.",
        group=COMMON,
        order=5,
        width=Width.SHORT,
        display_name="Enforce tasks max",
    )
    for order, kind in ((6, "key"), (8, "value"), (10, "header")):
        _converter(found, kind, config, plugins, settings, order)
    _chains(found)
    _errors(found)
    return found


def _version_there(name: str | None, plugins: Plugins) -> str | None:
    try:
        return version_of(plugins.find(name or ""))
    except Exception:  # noqa: BLE001 (the class itself is judged by its own rule)
        return None


def _version(
    found: ConfigDef, prefix: str, name: str | None, plugins: Plugins, *, order: int, importance: Importance
) -> None:
    version = _version_there(name, plugins)
    found.define(
        f"{prefix}.plugin.version",
        Type.STRING,
        version,
        None,
        importance,
        VERSION_DOC,
        group=COMMON,
        order=order,
        width=Width.MEDIUM if prefix == "connector" else Width.SHORT,
        display_name=f"{prefix.partition('.')[0].capitalize()} {'converter ' if '.' in prefix else ''}version",
        recommender=OneOf([version] if version else []),
    )


def _converter(
    found: ConfigDef, kind: str, config: Config, plugins: Plugins, settings: WorkerSettings | None, order: int
) -> None:
    wanted = Kind.HEADER_CONVERTER if kind == "header" else Kind.CONVERTER

    def check(name: str, value: Any) -> None:
        if value is not None:
            try:
                plugins.find(value, wanted)
            except Exception as error:
                raise invalid(name, value, str(error)) from error

    name = f"{kind}.converter"
    default = None if settings is None else settings[name]
    found.define(
        name,
        Type.CLASS,
        default,
        Rule(check, f"a {wanted.value.replace('_', ' ')}"),
        Importance.LOW,
        f"How {kind}s become bytes and come back; the worker's setting holds without it.",
        group=COMMON,
        order=order,
        width=Width.SHORT,
        display_name=f"{kind.capitalize()} converter class",
        recommender=OneOf(sorted(plugins.names(wanted))),
    )
    _version(found, name, config.get(name) or default, plugins, order=order + 1, importance=Importance.LOW)


def _chains(found: ConfigDef) -> None:
    for order, name, kind, group in (
        (12, "transforms", "transformation", TRANSFORMS),
        (13, "predicates", "predicate", PREDICATES),
    ):
        found.define(
            name,
            Type.LIST,
            [],
            _unique(kind),
            Importance.LOW,
            f"Names for the {kind}s of records, separated by commas; {name}.NAME.type says what each is.",
            group=group,
            order=order,
            width=Width.LONG,
            display_name=group,
        )
    found.define(
        "config.action.reload",
        Type.STRING,
        "restart",
        ValidString("none", "restart"),
        Importance.LOW,
        "What happens when a config provider has another value: nothing, or a restart. Moldau reads values at starts.",
        group=COMMON,
        order=14,
        width=Width.MEDIUM,
        display_name="Reload Action",
    )


def _errors(found: ConfigDef) -> None:
    rows = (
        (
            "errors.retry.timeout",
            Type.LONG,
            0,
            None,
            Width.MEDIUM,
            "Retry Timeout for Errors",
            "For how many milliseconds what failed is tried again; 0 never, -1 for ever.",
        ),
        (
            "errors.retry.delay.max.ms",
            Type.LONG,
            60000,
            None,
            Width.MEDIUM,
            "Maximum Delay Between Retries for Errors",
            "How long the pauses between tries get at most.",
        ),
        (
            "errors.tolerance",
            Type.STRING,
            "none",
            ValidString("none", "all"),
            Width.SHORT,
            "Error Tolerance",
            "none: an error stops the task; all: the record is left out.",
        ),
        ("errors.log.enable", Type.BOOLEAN, False, None, Width.SHORT, "Log Errors", "Whether each error is logged."),
        (
            "errors.log.include.messages",
            Type.BOOLEAN,
            False,
            None,
            Width.SHORT,
            "Log Error Details",
            "Whether the record is logged with it.",
        ),
    )
    for order, (name, kind, default, validator, width, display_name, doc) in enumerate(rows, 1):
        found.define(
            name,
            kind,
            default,
            validator,
            Importance.MEDIUM,
            doc,
            group=ERRORS,
            order=order,
            width=width,
            display_name=display_name,
        )


def with_source(found: ConfigDef) -> ConfigDef:
    """What source connectors have."""
    found.define(
        "topic.creation.groups",
        Type.LIST,
        [],
        None,
        Importance.LOW,
        "Names for groups of topics that the worker creates (KIP-158).",
        group=TOPIC_CREATION,
        order=1,
        width=Width.LONG,
        display_name="Topic Creation Groups",
    )
    found.define(
        "exactly.once.support",
        Type.STRING,
        "requested",
        CaseInsensitiveValidString("requested", "required"),
        Importance.MEDIUM,
        "required: refuse to run where a record might come twice.",
        group=EXACTLY_ONCE,
        order=2,
        width=Width.SHORT,
        display_name="Exactly once support",
    )
    found.define(
        "transaction.boundary",
        Type.STRING,
        "poll",
        CaseInsensitiveValidString("poll", "interval", "connector"),
        Importance.MEDIUM,
        "Where transactions end: with each poll, after a time, or where the connector says.",
        group=EXACTLY_ONCE,
        order=3,
        width=Width.SHORT,
        display_name="Transaction Boundary",
    )
    found.define(
        "transaction.boundary.interval.ms",
        Type.LONG,
        None,
        Rule(_at_least_zero_if_any, "[0,...]"),
        Importance.LOW,
        "After how long a transaction ends, if transaction.boundary is interval.",
        group=EXACTLY_ONCE,
        order=4,
        width=Width.SHORT,
        display_name="Transaction boundary interval",
    )
    return found.define(
        "offsets.storage.topic",
        Type.STRING,
        None,
        NonEmptyString(),
        Importance.LOW,
        "An offsets topic of the connector's own; the worker's is used without it.",
        group=OFFSETS_TOPIC,
        order=1,
        width=Width.LONG,
        display_name="Offsets topic",
    )


def with_sink(found: ConfigDef) -> ConfigDef:
    """What sink connectors have."""
    found.define(
        "topics",
        Type.LIST,
        [],
        None,
        Importance.HIGH,
        "The topics to read, separated by commas.",
        group=COMMON,
        order=4,
        width=Width.LONG,
        display_name="Topics",
    )
    found.define(
        "topics.regex",
        Type.STRING,
        "",
        Rule(_regex, "valid regex"),
        Importance.HIGH,
        "A pattern for the names of the topics to read.",
        group=COMMON,
        order=4,
        width=Width.LONG,
        display_name="Topics regex",
    )
    queue = "errors.deadletterqueue."
    found.define(
        f"{queue}topic.name",
        Type.STRING,
        "",
        None,
        Importance.MEDIUM,
        "The topic for records that failed; none without it.",
        group=ERRORS,
        order=6,
        width=Width.MEDIUM,
        display_name="Dead Letter Queue Topic Name",
    )
    found.define(
        f"{queue}topic.replication.factor",
        Type.SHORT,
        3,
        None,
        Importance.MEDIUM,
        "Its replicas when it is created.",
        group=ERRORS,
        order=7,
        width=Width.MEDIUM,
        display_name="Dead Letter Queue Topic Replication Factor",
    )
    return found.define(
        f"{queue}context.headers.enable",
        Type.BOOLEAN,
        False,
        None,
        Importance.MEDIUM,
        "Whether headers of a failed record say why it failed.",
        group=ERRORS,
        order=8,
        width=Width.MEDIUM,
        display_name="Enable Error Context Headers",
    )


def with_chains(found: ConfigDef, config: Config, plugins: Plugins) -> ConfigDef:
    """The settings of the transforms and predicates that a configuration names."""
    for names, kind, group in (
        ("transforms", Kind.TRANSFORMATION, TRANSFORMS),
        ("predicates", Kind.PREDICATE, PREDICATES),
    ):
        for alias in dict.fromkeys(names_in(config.get(names))):
            _link(found, f"{names}.{alias}.", kind, f"{group}: {alias}", config, plugins)
    return found


def _link(found: ConfigDef, prefix: str, kind: Kind, group: str, config: Config, plugins: Plugins) -> None:
    def check(name: str, value: Any) -> None:
        if value is not None:
            try:
                plugins.find(value, kind)
            except Exception as error:
                raise invalid(name, value, str(error)) from error

    found.define(
        f"{prefix}type",
        Type.CLASS,
        validator=Rule(check, f"a {kind.value}"),
        importance=Importance.HIGH,
        doc=f"What the {kind.value} is.",
        group=group,
        order=0,
        width=Width.LONG,
        display_name=f"{kind.value.capitalize()} type for {prefix.split('.')[1]}",
        recommender=OneOf(plugins.names(kind)),
    )
    version = _version_there(config.get(f"{prefix}type"), plugins)
    found.define(
        f"{prefix}plugin.version",
        Type.STRING,
        version,
        None,
        Importance.LOW,
        VERSION_DOC,
        group=group,
        order=1,
        width=Width.SHORT,
        display_name=f"{kind.value.capitalize()} version for {prefix.split('.')[1]}",
        recommender=OneOf([version] if version else []),
    )
    if kind is Kind.TRANSFORMATION:
        known = names_in(config.get("predicates"))

        def check_predicate(name: str, value: Any) -> None:
            if value and value not in known:
                raise invalid(name, value, "it is none of the names in predicates")

        found.define(
            f"{prefix}predicate",
            Type.STRING,
            None,
            Rule(check_predicate, "a predicate"),
            Importance.MEDIUM,
            "The predicate that decides to which records it is applied.",
            group=group,
            order=1,
        )
        found.define(
            f"{prefix}negate",
            Type.BOOLEAN,
            False,
            None,
            Importance.MEDIUM,
            "Whether it is applied to those of which the predicate is not true.",
            group=group,
            order=2,
        )
    chosen = config.get(f"{prefix}type")
    try:
        settings = plugins.new(chosen or "", kind).config()
    except Exception:  # noqa: BLE001 (the type itself is judged by its own rule)
        return
    found.embed(prefix, group, 3, settings)


def check_versions(values: Mapping[str, ConfigValue], config: Config, plugins: Plugins) -> None:
    """Refuses what asks for another version of a plugin than the one that there is, and what is no version."""
    chains = [f"{names}.{alias}" for names in ("transforms", "predicates") for alias in names_in(config.get(names))]
    converters = [f"{kind}.converter" for kind in ("key", "value", "header")]
    named_by = {"connector": "connector.class", **{each: each for each in converters}}
    for prefix, names in {**named_by, **{chain: f"{chain}.type" for chain in chains}}.items():
        name, setting = config.get(names), f"{prefix}.plugin.version"
        asked = config.get(setting)
        if asked is None:
            continue
        try:
            if not name:
                # No plugin is named: a converter is the worker's own, in whatever version it is, as in Kafka. A
                # transform or predicate without a type is refused by the rule of its type.
                Wanted(asked)
                continue
            reason = why_not(name, version_of(plugins.find(name)), asked)
        except ValueError as error:
            values[setting].errors.append(str(invalid(setting, asked, str(error))))
            continue
        except ConnectError:
            # The class is judged by its own rule.
            continue
        if reason is not None:
            for each in (names, setting):
                values[each].errors.append(reason)


def check_sink(values: Mapping[str, ConfigValue], config: Config) -> None:
    """The rules about several settings of a sink, in Kafka's words."""
    topics, regex = names_in(config.get("topics")), (config.get("topics.regex") or "").strip()
    queue = (config.get("errors.deadletterqueue.topic.name") or "").strip()

    def say(message: str, *names: str) -> None:
        for name in names:
            values[name].errors.append(message)

    if topics and regex:
        say("topics and topics.regex are mutually exclusive options, but both are set.", "topics", "topics.regex")
    elif not topics and not regex:
        say("Must configure one of topics or topics.regex", "topics", "topics.regex")
    if queue and queue in topics:
        say(
            f"The DLQ topic '{queue}' may not be included in the list of topics ('{','.join(topics)}') consumed by the "
            "connector",
            "topics",
        )
    try:
        if queue and regex and re.fullmatch(regex, queue):
            say(
                f"The DLQ topic '{queue}' may not be included in the regex matching topics ('{regex}') consumed by the "
                "connector",
                "topics.regex",
            )
    except re.error:
        return
