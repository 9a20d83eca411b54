"""A broker's settings, merged: flags over environment over file over defaults, each value with where it came from.

Everything that is wrong is found at once and told with its place (`server.properties:12`, `KAFKA_NUM_PARTITIONS`,
`--override`). A key that Kafka does not know is refused with the key that was probably meant; one that Kafka knows
and that has no effect here is accepted, and all of those are told in one warning. An unknown `KAFKA_…` variable is
only warned of: Kubernetes sets such variables by itself for a service that is named kafka.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from moldau.config import ConfigError, Scope, Support, Value, broker_value, find, nearest, parse
from moldau.config.broker_security import STANDARD_AUTHORIZER
from moldau.config.environment import CLUSTER_ID, settings_in, variable_of
from moldau.config.listeners import Listener, parse_address, parse_listeners
from moldau.config.properties import Entry, PropertiesError, parse_properties
from moldau.errors import MoldauError

Source = Literal["flag", "environment", "file", "default"]

STANDALONE: Final[Mapping[str, Value]] = {
    "process.roles": ("broker", "controller"),
    "node.id": 1,
    "controller.listener.names": ("CONTROLLER",),
    "offsets.topic.replication.factor": 1,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
}
"""What Kafka insists on, or sets for three nodes, and what a node that stands alone need not be told."""

EMBEDDED: Final[Mapping[str, Value]] = {
    **STANDALONE,
    "group.initial.rebalance.delay.ms": 0,
    "moldau.replication.factor.clamp": True,
}
"""How `moldau up` and an embedded broker differ from Kafka's defaults."""

RETIRED: Final = (
    "zookeeper.",
    "inter.broker.protocol.version",
    "log.message.format.version",
    "log.message.downconversion.enable",
    "log.message.timestamp.difference.max.ms",
    "control.plane.listener.name",
    "broker.id.generation.enable",
    "reserved.broker.max.id",
    "offsets.commit.required.acks",
    "group.coordinator.new.enable",
    "eligible.leader.replicas.enable",
    "delegation.token.master.key",
    "password.encoder.",
)
"""Keys, or beginnings of keys, that Kafka 4 no longer has and that still stand in many files."""

PLUG_IN_PREFIXES: Final = ("config.providers.", "rsm.config.", "rlmm.config.", "listener.name.", "metrics.jmx.")
"""How the settings of Java plug-ins begin: anything may follow."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from."""

    source: Source
    place: str = ""
    """The file and line, the variable, or the flag."""

    def __str__(self) -> str:
        return self.place or self.source


@dataclass(frozen=True, slots=True)
class Given:
    """One value as somebody wrote it, before it is understood."""

    name: str
    text: str
    origin: Origin


class SettingsError(MoldauError):
    """Everything that is wrong with a broker's settings, one sentence each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True)
class BrokerSettings:
    """What a broker runs with."""

    values: Mapping[str, Value]
    """What is not Kafka's default, by key."""
    origins: Mapping[str, Origin]
    """Where each of `values` came from."""
    listeners: list[Listener]
    cluster_id: str | None = None
    warnings: list[str] = field(default_factory=list)
    """What the user should know, one sentence each."""

    def value(self, name: str) -> Value:
        """What a key has here, default included. `KeyError` for a key that does not exist."""
        return broker_value(self.values, name)

    def integer(self, name: str) -> int:
        """The value of a key that is a whole number."""
        value = self.value(name)
        assert isinstance(value, int)
        return value

    def flag(self, name: str) -> bool:
        """The value of a key that is true or false."""
        value = self.value(name)
        assert isinstance(value, bool)
        return value

    def text(self, name: str) -> str:
        """The value of a key that is a string and not null."""
        value = self.value(name)
        assert isinstance(value, str)
        return value

    def words(self, name: str) -> tuple[str, ...]:
        """The value of a key that is a list and not null."""
        value = self.value(name)
        assert isinstance(value, tuple)
        return value

    @property
    def log_directories(self) -> tuple[str, ...]:
        """`log.dirs`, or `log.dir` when it is not set."""
        return self.words("log.dirs") if self.value("log.dirs") is not None else self.words("log.dir")

    def origin(self, name: str) -> Origin:
        """Where the value of a key came from."""
        return self.origins.get(name, Origin("default"))


def load(
    *,
    file: tuple[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Iterable[Given] = (),
    base: Mapping[str, Value] = STANDALONE,
) -> BrokerSettings:
    """Merge what was written in a file, in the environment and in flags.

    Args:
        file: name and text of a `.properties` file.
        environment: the process's variables; those that are no settings are left alone.
        overrides: what the flags say.
        base: values in place of Kafka's defaults.

    Raises:
        SettingsError: with everything that is wrong.
    """
    problems: list[str] = []
    warnings: list[str] = []
    given = [
        *_from_file(file, problems, warnings),
        *_from_environment(environment or {}, warnings),
        *overrides,
    ]
    values, origins = dict(base), dict.fromkeys(base, Origin("default"))
    for name, (value, origin) in _understand(given, problems).items():
        values[name], origins[name] = value, origin
    _listen_where_advertised(values, origins)
    warnings.extend(_without_effect(values, origins))
    warnings.extend(_doubtful(values))
    warnings.extend(_never_asked(values))
    problems.extend(_contradictions(values, origins))
    listeners, listener_problems = parse_listeners(values)
    problems.extend(listener_problems)
    if problems:
        raise SettingsError(problems)
    return BrokerSettings(values, origins, listeners, (environment or {}).get(CLUSTER_ID) or None, warnings)


def _from_file(file: tuple[str, str] | None, problems: list[str], warnings: list[str]) -> list[Given]:
    if file is None:
        return []
    name, text = file
    try:
        entries = parse_properties(text)
    except PropertiesError as error:
        problems.append(f"{name}:{error.line}: {error.problem}")
        return []
    cut = [entry.line for entry in entries if _without_remark(entry) != entry.value]
    if cut:
        lines = ", ".join(map(str, cut))
        warnings.append(f"{name}: taken for remarks behind a value, which Kafka would read as part of it: line {lines}")
    return [Given(entry.name, _without_remark(entry), Origin("file", f"{name}:{entry.line}")) for entry in entries]


def _without_remark(entry: Entry) -> str:
    """The value without ` # …` behind it. Properties have no such remarks, people write them all the same.

    A secret may contain anything and is left as it is.
    """
    key = find(Scope.BROKER, entry.name)
    if key is None or key.sensitive:
        return entry.value
    return re.split(r"\s+#", entry.value, maxsplit=1)[0]


def _from_environment(environment: Mapping[str, str], warnings: list[str]) -> list[Given]:
    given = []
    for name, (variable, text) in settings_in(environment).items():
        if _is_known(name):
            given.append(Given(name, text, Origin("environment", variable)))
            continue
        close = nearest(name)
        hint = f"; did you mean {variable_of(close)}?" if close else ""
        warnings.append(f"{variable} is no setting of Kafka and was left out{hint}")
    return given


def _listen_where_advertised(values: dict[str, Value], origins: dict[str, Origin]) -> None:
    """With `KAFKA_ADVERTISED_LISTENERS` alone the Docker images listen on every interface at the advertised ports."""
    advertised = values.get("advertised.listeners")
    origin = origins.get("advertised.listeners")
    if "listeners" in values or not isinstance(advertised, tuple) or origin is None or origin.source != "environment":
        return
    addresses = [address for address in map(parse_address, advertised) if address is not None]
    values["listeners"] = tuple(f"{address.name}://0.0.0.0:{address.port}" for address in addresses)
    origins["listeners"] = origin


def _is_known(name: str) -> bool:
    return find(Scope.BROKER, name) is not None or name.startswith((*RETIRED, *PLUG_IN_PREFIXES))


def _understand(given: list[Given], problems: list[str]) -> dict[str, tuple[Value, Origin]]:
    """Parse what was given. The last one counts, as in Java: a file may say a thing twice."""
    understood: dict[str, tuple[Value, Origin]] = {}
    for one in given:
        key = find(Scope.BROKER, one.name)
        if key is None:
            if _is_known(one.name):
                understood[one.name] = (one.text, one.origin)
            else:
                close = nearest(one.name)
                hint = f"; did you mean {close}?" if close else ""
                problems.append(f"{one.origin}: {one.name} is no setting of Kafka{hint}")
            continue
        try:
            understood[one.name] = (parse(key, one.text), one.origin)
        except ConfigError as error:
            problems.append(f"{one.origin}: {error}")
    return understood


def _without_effect(values: Mapping[str, Value], origins: Mapping[str, Origin]) -> list[str]:
    """One warning for every key that was set to something else than its default and that does not count here."""
    reasons: dict[str, list[str]] = {}
    for name, value in values.items():
        if origins[name].source == "default":
            continue
        key = find(Scope.BROKER, name)
        if key is None:
            reason = "Kafka 4 no longer has it" if name.startswith(RETIRED) else "it is a setting of a Java plug-in"
        elif key.support is Support.HONOURED or value == key.default:
            continue
        else:
            reason = key.reason
        reasons.setdefault(reason, []).append(name)
    if not reasons:
        return []
    lines = [f"  {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return ["\n".join(["these settings are accepted and have no effect here:", *lines])]


def _doubtful(values: Mapping[str, Value]) -> list[str]:
    """What Kafka would accept as well and what will surprise somebody on a single node."""
    if values.get("moldau.replication.factor.clamp"):
        return []
    consequences = {
        "default.replication.factor": "topics are refused unless they are created with one replica",
        "offsets.topic.replication.factor": "no consumer group can commit, because its topic cannot be created",
    }
    return [
        f"{name} is {values[name]} and there is one node: {consequence}; "
        f"{name}=1 or moldau.replication.factor.clamp=true changes that"
        for name, consequence in consequences.items()
        if values.get(name, 1) != 1
    ]


def _contradictions(values: Mapping[str, Value], origins: Mapping[str, Origin]) -> list[str]:
    """What two settings say against each other. Kafka refuses the same."""
    problems = []
    if values.get("broker.id", -1) not in (-1, values["node.id"]):
        problems.append(f"{origins['broker.id']}: broker.id must be the same as node.id ({values['node.id']})")
    for name in ("log.retention.ms", "log.retention.minutes", "log.retention.hours"):
        value = values.get(name)
        if isinstance(value, int) and (value == 0 or value < -1):
            problems.append(f"{origins[name]}: {name} must be unlimited (-1) or at least 1")
    problems += _access_problems(values, origins)
    roles = values["process.roles"]
    if not isinstance(roles, tuple) or "broker" not in roles:
        problems.append(f"{origins['process.roles']}: a node without the broker role is not supported yet")
    return problems


def _never_asked(values: Mapping[str, Value]) -> list[str]:
    """Settings of the authorizer where there is none."""
    if values.get("authorizer.class.name"):
        return []
    names = [name for name in ("super.users", "allow.everyone.if.no.acl.found") if values.get(name)]
    if not names:
        return []
    return [f"{' and '.join(names)} without authorizer.class.name: nothing is protected, everybody may do everything"]


def _access_problems(values: Mapping[str, Value], origins: Mapping[str, Origin]) -> list[str]:
    """An authorizer that is not here is refused, not ignored: without it everybody may do everything."""
    problems = []
    authorizer = values.get("authorizer.class.name")
    if authorizer not in (None, "", STANDARD_AUTHORIZER):
        problems.append(
            f"{origins['authorizer.class.name']}: authorizer.class.name is {authorizer}; there is no JVM to load a "
            f"class into, and the one authorizer that is here is {STANDARD_AUTHORIZER}"
        )
    problems += [
        f"{origins['super.users']}: super.users has {user!r}, which is no principal; a user is written User:name"
        for user in super_users(values.get("super.users"))
        if ":" not in user
    ]
    return problems


def super_users(value: Value) -> tuple[str, ...]:
    """The principals in a value of `super.users`."""
    return tuple(user for each in str(value or "").split(";") if (user := each.strip()))
