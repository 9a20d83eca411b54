"""Settings of the converters that ask a schema registry, in Confluent's names, and the client that they make.

What is declared in `REFUSED` is understood, but may only have the value at which nothing happens; the message says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from moldau.connect.config_def import NO_DEFAULT, ConfigDef, Importance, Type, invalid
from moldau.connect.config_validators import Range
from moldau.connect.errors import ConfigError

if TYPE_CHECKING:
    from confluent_kafka.schema_registry import SchemaRegistryClient

STRATEGY: Final = "subject.name.strategy"
STRATEGIES: Final = ("TopicNameStrategy", "RecordNameStrategy", "TopicRecordNameStrategy")
PACKAGE: Final = "io.confluent.kafka.serializers.subject."

# name, type, default, doc
ASKING: Final = (
    ("schema.registry.url", Type.LIST, NO_DEFAULT, "Where the registry is; more than one are tried in turn."),
    ("auto.register.schemas", Type.BOOLEAN, True, "Whether schemas are registered. If not, they must be known."),
    ("use.latest.version", Type.BOOLEAN, False, "Whether to write with the newest version of the subject."),
    (
        "latest.compatibility.strict",
        Type.BOOLEAN,
        True,
        "Whether a record fails that has fields which the newest version of the subject does not have.",
    ),
    ("latest.cache.ttl.sec", Type.INT, -1, "How long the newest version is taken for the newest; -1: for good."),
    ("use.schema.id", Type.INT, -1, "The id of the schema to write with; -1: that of the record."),
    ("normalize.schemas", Type.BOOLEAN, False, "Whether the registry brings schemas to one form."),
    (f"key.{STRATEGY}", Type.STRING, f"{PACKAGE}{STRATEGIES[0]}", "What the subjects of keys are named after."),
    (f"value.{STRATEGY}", Type.STRING, f"{PACKAGE}{STRATEGIES[0]}", "What the subjects of values are named after."),
    ("schemas.cache.config", Type.INT, 1000, "How many schemas are remembered."),
    ("basic.auth.credentials.source", Type.STRING, "URL", "Where user and password are: URL or USER_INFO."),
    ("basic.auth.user.info", Type.PASSWORD, "", "user:password"),
    ("schema.registry.basic.auth.user.info", Type.PASSWORD, "", "The older name of basic.auth.user.info."),
    ("bearer.auth.credentials.source", Type.STRING, None, "STATIC_TOKEN or OAUTHBEARER."),
    ("bearer.auth.token", Type.PASSWORD, None, "The token, for STATIC_TOKEN."),
    ("bearer.auth.issuer.endpoint.url", Type.STRING, None, "Where tokens are given out, for OAUTHBEARER."),
    ("bearer.auth.client.id", Type.STRING, None, "For OAUTHBEARER."),
    ("bearer.auth.client.secret", Type.PASSWORD, None, "For OAUTHBEARER."),
    ("bearer.auth.scope", Type.STRING, None, "For OAUTHBEARER."),
    ("bearer.auth.logical.cluster", Type.STRING, None, "Sent with a token."),
    ("bearer.auth.identity.pool.id", Type.STRING, None, "Sent with a token."),
    ("schema.registry.ssl.ca.location", Type.STRING, None, "PEM file with the authorities to trust."),
    ("schema.registry.ssl.certificate.location", Type.STRING, None, "PEM file with our certificate."),
    ("schema.registry.ssl.key.location", Type.STRING, None, "PEM file with its key."),
    ("schema.registry.ssl.key.password", Type.PASSWORD, None, "The password of that key."),
    ("http.read.timeout.ms", Type.INT, 60_000, "How long an answer may take."),
    ("max.retries", Type.INT, 3, "How often the same is asked again after a failure."),
    ("retries.wait.ms", Type.INT, 1000, "The longest wait before the second attempt; doubled each time."),
    ("retries.max.wait.ms", Type.INT, 20_000, "The longest wait of all."),
    ("proxy.host", Type.STRING, "", "An HTTP proxy."),
    ("proxy.port", Type.INT, -1, "Its port."),
)
PREFIX: Final = "io.confluent.kafka.serializers.schema.id."

# name, type, the value at which nothing happens, why no other is taken
REFUSED: Final = (
    ("use.latest.with.metadata", Type.STRING, None, "use use.latest.version or use.schema.id"),
    ("key.schema.id.serializer", Type.STRING, f"{PREFIX}PrefixSchemaIdSerializer", "ids stand before the content"),
    ("value.schema.id.serializer", Type.STRING, f"{PREFIX}PrefixSchemaIdSerializer", "ids stand before the content"),
    ("rule.executors", Type.LIST, "", "rules of schemas are not carried out by converters"),
    ("generalized.sum.type.support", Type.BOOLEAN, False, "enums and unions are written as Confluent's default is"),
    ("schema.backup.enabled", Type.BOOLEAN, False, "it is not supported"),
)
MINIMA: Final = {"schemas.cache.config": 1, "max.retries": 0, "retries.wait.ms": 0, "http.read.timeout.ms": 1}


Data = tuple[tuple[str, bool, str, str], ...]
"""What a converter may do with its data: name, default, the attribute of its own settings, doc."""
Refused = tuple[tuple[str, Type, Any, str], ...]
"""As `REFUSED`."""


def registry_config(data: Data, refused: Refused, *, more: ConfigDef | None = None) -> ConfigDef:
    """The settings of a converter: those of asking the registry, its own, what it refuses, and `more`."""
    config = ConfigDef()
    for name, kind, default, doc in ASKING:
        importance = Importance.HIGH if name == "schema.registry.url" else Importance.MEDIUM
        validator = Range(MINIMA[name]) if name in MINIMA else None
        config.define(name, kind, default, validator, importance, doc)
    _refuse(config, REFUSED)
    for name, default, _, doc in data:
        config.define(name, Type.BOOLEAN, default, None, Importance.MEDIUM, doc)
    for key in more.keys.values() if more is not None else ():
        config.add(key)
    _refuse(config, refused)
    return config


def _refuse(config: ConfigDef, refused: Refused) -> None:
    for name, kind, only, why in refused:
        config.define(name, kind, only, None, Importance.LOW, f"Only {only!r}: {why}.")


def data_settings(settings: Mapping[str, Any], data: Data) -> dict[str, bool]:
    """What is set, by the attributes of the converter's own settings."""
    return {attribute: settings[name] for name, _, attribute, _ in data}


def check_refused(settings: Mapping[str, Any], refused: Refused = REFUSED) -> None:
    """Raises `ConfigError` for a setting that is understood and not supported."""
    for name, kind, only, why in refused:
        value = settings[name]
        if kind is Type.LIST and not value:
            continue
        simple = str(only).rpartition(".")[2] if isinstance(only, str) else only
        if value not in (only, simple):
            raise invalid(name, value, why)


def strategy_of(settings: Mapping[str, Any], *, is_key: bool) -> str:
    """The simple name of the strategy. Raises `ConfigError` for one that there is not."""
    name = f"{'key' if is_key else 'value'}.{STRATEGY}"
    simple: str = str(settings[name]).rpartition(".")[2]
    if simple not in STRATEGIES:
        raise invalid(name, settings[name], f"there are {', '.join(STRATEGIES)}")
    return simple


def client_of(settings: Mapping[str, Any]) -> SchemaRegistryClient:
    """confluent-kafka's client. Raises `ConfigError` when it cannot work with the settings."""
    try:
        from confluent_kafka.schema_registry import SchemaRegistryClient
    except ImportError as error:
        raise ConfigError(
            f"a converter that asks a schema registry needs {error.name}\nhint: pip install 'moldau[registry]'"
        ) from error
    conf: dict[str, Any] = {
        "url": ",".join(settings["schema.registry.url"]),
        "timeout": settings["http.read.timeout.ms"] / 1000,
        "max.retries": settings["max.retries"],
        "retries.wait.ms": settings["retries.wait.ms"],
        "retries.max.wait.ms": settings["retries.max.wait.ms"],
        "cache.capacity": settings["schemas.cache.config"],
    }
    for part in ("ca.location", "certificate.location", "key.location", "key.password"):
        value = settings[f"schema.registry.ssl.{part}"]
        if value is not None:
            conf[f"ssl.{part}"] = getattr(value, "value", value)
    if settings["proxy.host"]:
        conf["proxy"] = f"http://{settings['proxy.host']}:{settings['proxy.port']}"
    conf |= _basic(settings) | _bearer(settings)
    try:
        return SchemaRegistryClient(conf)
    except (ValueError, TypeError, OSError) as error:
        raise ConfigError(
            f"the client of the schema registry cannot be made: {error}", name="schema.registry.url"
        ) from error


def _basic(settings: Mapping[str, Any]) -> dict[str, Any]:
    source = settings["basic.auth.credentials.source"]
    if source not in {"URL", "USER_INFO"}:
        raise invalid("basic.auth.credentials.source", source, "there are URL and USER_INFO")
    given = settings["basic.auth.user.info"].value or settings["schema.registry.basic.auth.user.info"].value
    if source == "USER_INFO" and not given:
        raise invalid("basic.auth.user.info", "", "USER_INFO needs user:password")
    return {"basic.auth.user.info": given} if given else {}


def _bearer(settings: Mapping[str, Any]) -> dict[str, Any]:
    source = settings["bearer.auth.credentials.source"]
    if source is None:
        return {}
    if source not in {"STATIC_TOKEN", "OAUTHBEARER"}:
        raise invalid("bearer.auth.credentials.source", source, "there are STATIC_TOKEN and OAUTHBEARER")
    given = {name: value for name, value in settings.items() if name.startswith("bearer.auth.") and value is not None}
    return {name: getattr(value, "value", value) for name, value in given.items()}
