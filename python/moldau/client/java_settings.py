"""Every setting of Kafka's Java clients that librdkafka does not read as it stands, and what becomes of it here.

This is the one table: the code translates by it, and the page of documentation is printed from it. A setting that has
the same name and meaning in both worlds has no row. Source: ProducerConfig, ConsumerConfig and AdminClientConfig of
Apache Kafka 4.3; a test compares the names with a list that the Java clients printed.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from moldau.client.settings import Converter, Fate, JavaSetting, Role, Settings, UnusableValueError

P, C, A = Role.PRODUCER, Role.CONSUMER, Role.ADMIN
EVERY = (P, C, A)

ASSIGNORS = {
    "RangeAssignor": "range",
    "RoundRobinAssignor": "roundrobin",
    "CooperativeStickyAssignor": "cooperative-sticky",
}
ASSIGNOR_PACKAGE = "org.apache.kafka.clients.consumer."


# How values are converted.


def whole_number(value: Any) -> int:
    """A number as Java's properties have it: an int, or text with one."""
    try:
        if isinstance(value, bool):
            raise TypeError
        return int(str(value).strip())
    except (TypeError, ValueError):
        raise UnusableValueError("must be a whole number") from None


def truth(value: Any) -> bool:
    """A boolean as Java's properties have it."""
    text = str(value).strip().lower()
    if text not in {"true", "false"}:
        raise UnusableValueError("must be true or false")
    return text == "true"


def number_as(name: str, scale: Callable[[int], int] = int) -> Converter:
    return lambda value, _: {name: scale(whole_number(value))}


def text_as(*names: str) -> Converter:
    return lambda value, _: dict.fromkeys(names, value)


def kilobytes(size_bytes: int) -> int:
    """Bytes to KiB, rounded up: a buffer is never smaller than asked for."""
    return max(1, -(-size_bytes // 1024))


def system_default(size_bytes: int) -> int:
    """Java says -1 for the operating system's buffer size, librdkafka 0."""
    return max(0, size_bytes)


def level_of(codec: str) -> Converter:
    """Java has one level for each codec, librdkafka one for the codec in use."""

    def convert(value: Any, settings: Mapping[str, Any]) -> Settings:
        in_use = settings.get("compression.type", settings.get("compression.codec"))
        return {"compression.level": whole_number(value)} if in_use == codec else {}

    return convert


def assignors(value: Any, _: Mapping[str, Any]) -> Settings:
    given = value if isinstance(value, list | tuple) else str(value).split(",")
    words = (str(item).strip().removeprefix("class ").removeprefix(ASSIGNOR_PACKAGE) for item in given)
    names = [ASSIGNORS.get(word) or word.lower().replace("_", "-") for word in words]
    for name in names:
        if name not in ASSIGNORS.values():
            raise UnusableValueError(
                f"{name} is not an assignor of this client", f"there are {', '.join(ASSIGNORS.values())}"
            )
    return {"partition.assignment.strategy": ",".join(names)}


def offset_reset(value: Any, _: Mapping[str, Any]) -> Settings:
    text = str(value).lower()
    if text.startswith("by_duration"):
        raise UnusableValueError(
            "by_duration is not in this client",
            "look the offsets up with offsets_for_times() and give them to assign() in on_assign",
        )
    return {"auto.offset.reset": "error" if text == "none" else text}


def login(value: Any, _: Mapping[str, Any]) -> Settings:
    """User and password out of a JAAS line for PLAIN or SCRAM."""
    match = re.fullmatch(r"\s*\S*?(Plain|Scram)LoginModule\s+required\s+(.*?);?\s*", str(value), re.DOTALL)
    pairs = re.findall(r"""(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;]+))""", match[2]) if match else []
    options = {key: re.sub(r"\\(.)", r"\1", double) or single or bare for key, double, single, bare in pairs}
    if not {"username", "password"} <= options.keys():
        raise UnusableValueError(
            "only PLAIN and SCRAM logins with username and password are read from it",
            "set sasl.username and sasl.password, or oauth_cb for OAUTHBEARER",
        )
    return {"sasl.username": options["username"], "sasl.password": options["password"]}


def store_type(settings: Mapping[str, Any], store: str) -> str:
    return str(settings.get(f"ssl.{store}.type", "JKS")).upper()


def truststore(value: Any, settings: Mapping[str, Any]) -> Settings:
    if store_type(settings, "truststore") != "PEM":
        raise UnusableValueError(
            "a Java trust store cannot be read",
            "export it (keytool -exportcert -rfc -keystore FILE) and name the PEM file in ssl.ca.location",
        )
    return {"ssl.ca.location": value}


def keystore(value: Any, settings: Mapping[str, Any]) -> Settings:
    kind = store_type(settings, "keystore") if "ssl.keystore.type" in settings else "PKCS12"
    if kind == "JKS":
        raise UnusableValueError(
            "a JKS key store cannot be read",
            "convert it (keytool -importkeystore -deststoretype PKCS12) and name the new file here",
        )
    if kind == "PEM":
        return {"ssl.certificate.location": value, "ssl.key.location": value}
    return {"ssl.keystore.location": value}


def ignored_keys(value: Any, _: Mapping[str, Any]) -> Settings:
    return {"partitioner": "random"} if truth(value) else {}


def no_two_phase(value: Any, _: Mapping[str, Any]) -> Settings:
    if truth(value):
        raise UnusableValueError("two-phase commit is not in this client", "leave it out")
    return {}


# How rows are written.


def translated(
    name: str,
    roles: tuple[Role, ...],
    becomes: str,
    convert: Converter,
    note: str = "",
    implies: tuple[tuple[str, Any], ...] = (),
) -> JavaSetting:
    return JavaSetting(name, frozenset(roles), Fate.TRANSLATED, becomes, note, convert, implies)


def ours(name: str, roles: tuple[Role, ...], note: str, convert: Converter) -> JavaSetting:
    return JavaSetting(name, frozenset(roles), Fate.OURS, "", note, convert)


def without_effect(note: str, roles: tuple[Role, ...], *names: str) -> list[JavaSetting]:
    return [JavaSetting(name, frozenset(roles), Fate.WITHOUT_EFFECT, "", note) for name in names]


def refused(note: str, roles: tuple[Role, ...], *names: str) -> list[JavaSetting]:
    return [JavaSetting(name, frozenset(roles), Fate.REFUSED, "", note) for name in names]


JAVA_SETTINGS: tuple[JavaSetting, ...] = (
    translated(
        "buffer.memory",
        (P,),
        "`queue.buffering.max.kbytes` (bytes → KiB)",
        number_as("queue.buffering.max.kbytes", kilobytes),
        "Also lifts librdkafka's limit of 100,000 buffered messages (`queue.buffering.max.messages=0`), as Java has "
        "none. `produce()` raises `BufferError` when the buffer is full: call `poll()` and produce again.",
        (("queue.buffering.max.messages", 0),),
    ),
    translated(
        "max.request.size",
        (P,),
        "`message.max.bytes`",
        number_as("message.max.bytes"),
        "The default is 1,000,000 here, 1,048,576 in Java.",
    ),
    *(
        translated(
            f"compression.{codec}.level",
            (P,),
            "`compression.level`",
            level_of(codec),
            f"Where `compression.type` is `{codec}`; otherwise it says nothing, as in Java.",
        )
        for codec in ("gzip", "lz4", "zstd")
    ),
    translated(
        "partitioner.ignore.keys",
        (P,),
        "`partitioner=random`",
        ignored_keys,
        "Where true: records with a key are spread like records without.",
    ),
    translated(
        "transaction.two.phase.commit.enable",
        (P,),
        "nothing",
        no_two_phase,
        "`true` is refused: the client underneath has no two-phase commit.",
    ),
    translated("fetch.max.wait.ms", (C,), "`fetch.wait.max.ms`", number_as("fetch.wait.max.ms")),
    translated(
        "partition.assignment.strategy",
        (C,),
        "`partition.assignment.strategy`",
        assignors,
        "Java's class names, with or without their package, become `range`, `roundrobin`, `cooperative-sticky`. There "
        "is no eager `StickyAssignor`.",
    ),
    translated(
        "auto.offset.reset",
        (C,),
        "`auto.offset.reset`",
        offset_reset,
        "`none` becomes `error`; `by_duration:…` is refused: use `offsets_for_times()` in `on_assign`.",
    ),
    translated(
        "request.timeout.ms",
        (C, A),
        "`socket.timeout.ms`",
        number_as("socket.timeout.ms"),
        "In a producer the name means the same in both worlds.",
    ),
    translated(
        "receive.buffer.bytes",
        EVERY,
        "`socket.receive.buffer.bytes`",
        number_as("socket.receive.buffer.bytes", system_default),
        "-1 becomes 0: the system's default.",
    ),
    translated(
        "send.buffer.bytes",
        EVERY,
        "`socket.send.buffer.bytes`",
        number_as("socket.send.buffer.bytes", system_default),
        "-1 becomes 0: the system's default.",
    ),
    translated(
        "sasl.jaas.config",
        EVERY,
        "`sasl.username`, `sasl.password`",
        login,
        "For PLAIN and SCRAM. For OAUTHBEARER set `oauth_cb` or `sasl.oauthbearer.method=oidc`.",
    ),
    translated(
        "ssl.truststore.location",
        EVERY,
        "`ssl.ca.location`",
        truststore,
        "Where `ssl.truststore.type=PEM`; a Java trust store must be exported to PEM first.",
    ),
    translated("ssl.truststore.certificates", EVERY, "`ssl.ca.pem`", text_as("ssl.ca.pem")),
    translated(
        "ssl.keystore.location",
        EVERY,
        "`ssl.keystore.location`",
        keystore,
        "PKCS12 as it is; PEM becomes `ssl.certificate.location` and `ssl.key.location`; JKS is refused.",
    ),
    translated("ssl.keystore.certificate.chain", EVERY, "`ssl.certificate.pem`", text_as("ssl.certificate.pem")),
    translated("ssl.keystore.key", EVERY, "`ssl.key.pem`", text_as("ssl.key.pem")),
    ours(
        "max.poll.records",
        (C,),
        "How many messages `consume()` returns at most when it is called without `num_messages`.",
        number_as("max.poll.records"),
    ),
    ours(
        "max.block.ms",
        (P,),
        "How long `produce()` may wait for the partitions of a topic when `partitioner` is a callable (60,000). A full "
        "buffer raises `BufferError` at once.",
        number_as("max.block.ms"),
    ),
    *without_effect(
        "Pass `timeout=` to the call.",
        (C, A),
        "default.api.timeout.ms",
    ),
    *without_effect(
        "Measured otherwise: set `statistics.interval.ms` and `stats_cb`.",
        EVERY,
        "metric.reporters",
        "metrics.num.samples",
        "metrics.recording.level",
        "metrics.sample.window.ms",
    ),
    *without_effect(
        "Records without a key go to one partition for `sticky.partitioning.linger.ms`, then to the next.",
        (P,),
        "partitioner.adaptive.partitioning.enable",
        "partitioner.availability.timeout.ms",
    ),
    *without_effect(
        "Subscriptions by pattern see internal topics: write a pattern that leaves them out.",
        (C,),
        "exclude.internal.topics",
        "internal.throw.on.fetch.stable.offset.unsupported",
    ),
    *without_effect("What is known of a topic is kept as long as the producer lives.", (P,), "metadata.max.idle.ms"),
    *without_effect("Admin requests are retried until the call's timeout.", (A,), "retries"),
    *without_effect(
        "One timeout for the whole setup of a connection: `socket.connection.setup.timeout.ms`.",
        EVERY,
        "socket.connection.setup.timeout.max.ms",
    ),
    *without_effect(
        "TLS is OpenSSL's: its own versions, algorithms and random source; `ssl.cipher.suites` and `ssl.curves.list` "
        "restrict it. The type of a store is read together with its location.",
        EVERY,
        "ssl.enabled.protocols",
        "ssl.keymanager.algorithm",
        "ssl.keystore.type",
        "ssl.protocol",
        "ssl.provider",
        "ssl.secure.random.implementation",
        "ssl.trustmanager.algorithm",
        "ssl.truststore.password",
        "ssl.truststore.type",
    ),
    *without_effect(
        "Logins and tickets are renewed by librdkafka (`sasl.kerberos.kinit.cmd`, `oauth_cb`).",
        EVERY,
        "sasl.kerberos.ticket.renew.jitter",
        "sasl.kerberos.ticket.renew.window.factor",
        "sasl.login.connect.timeout.ms",
        "sasl.login.read.timeout.ms",
        "sasl.login.refresh.buffer.seconds",
        "sasl.login.refresh.min.period.seconds",
        "sasl.login.refresh.window.factor",
        "sasl.login.refresh.window.jitter",
        "sasl.login.retry.backoff.max.ms",
        "sasl.login.retry.backoff.ms",
    ),
    *without_effect(
        "Tokens are checked by the broker, not by its clients.",
        EVERY,
        "sasl.oauthbearer.clock.skew.seconds",
        "sasl.oauthbearer.expected.audience",
        "sasl.oauthbearer.expected.issuer",
        "sasl.oauthbearer.jwks.endpoint.refresh.ms",
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms",
        "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms",
        "sasl.oauthbearer.jwks.endpoint.url",
        "sasl.oauthbearer.jwt.validator.class",
        "sasl.oauthbearer.scope.claim.name",
    ),
    *without_effect(
        "Name and secret are sent as they are, as in Java without it.", EVERY, "sasl.oauthbearer.header.urlencode"
    ),
    *refused(
        "leave it out and pass bytes or str to produce(); for Avro, JSON Schema or Protobuf call the serializer on the "
        "value, or use confluent_kafka.SerializingProducer",
        (P,),
        "key.serializer",
        "value.serializer",
    ),
    *refused(
        "leave it out: message.key() and message.value() are bytes; for Avro, JSON Schema or Protobuf call the "
        "deserializer on them, or use confluent_kafka.DeserializingConsumer",
        (C,),
        "key.deserializer",
        "value.deserializer",
    ),
    *refused(
        "pass partitioner=FUNCTION with FUNCTION(key_bytes, all_partitions, available), or one of librdkafka's names",
        (P,),
        "partitioner.class",
    ),
    *refused("wrap produce() or consume() in a function of yours", (P, C), "interceptor.classes"),
    *refused("read the secret in Python and set the value itself", EVERY, "config.providers"),
    *refused(
        "set bootstrap.servers: requests are sent to the controller by the brokers", (A,), "bootstrap.controllers"
    ),
    *refused("configure OpenSSL (ssl.providers, ssl.engine.location) instead", EVERY, "security.providers"),
    *refused("set ssl.ca.location, ssl.certificate.location and ssl.key.location", EVERY, "ssl.engine.factory.class"),
    *refused(
        "pass a Python callable as oauth_cb, or set sasl.oauthbearer.method=oidc",
        EVERY,
        "sasl.client.callback.handler.class",
        "sasl.login.callback.handler.class",
        "sasl.login.class",
        "sasl.oauthbearer.jwt.retriever.class",
    ),
    *refused(
        "it is called sasl.oauthbearer.assertion.jwt.template.file here",
        EVERY,
        "sasl.oauthbearer.assertion.template.file",
    ),
    *refused("use confluent_kafka.ShareConsumer for share groups", (C,), "share.acquire.mode"),
)


@functools.cache
def rows_for(role: Role) -> Mapping[str, JavaSetting]:
    """The rows that this client reads, by name."""
    return {row.name: row for row in JAVA_SETTINGS if role in row.roles}
