"""The settings of the sink: those of Confluent's connector under their names, and a few of our own.

What cannot be done is refused with a reason (`REFUSED`); what only says how Java is to do it is accepted and does
nothing, which its documentation says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from moldau.connect.config_def import NO_DEFAULT, ConfigDef, ConfigValue, Importance, Type, invalid
from moldau.connect.config_validators import CaseInsensitiveValidString, Range, ValidString
from moldau.connect.connectors.s3.formats.parquet import EXTENSIONS
from moldau.connect.connectors.s3.formats.parquet import REFUSED as REFUSED_CODECS
from moldau.connect.connectors.s3.zones import zone_of
from moldau.connect.errors import ConfigError

S3: Final = "io.confluent.connect.s3."
STORAGE: Final = "io.confluent.connect.storage."
FORMATS: Final = {
    f"{S3}format.parquet.ParquetFormat": "ParquetFormat",
    f"{S3}format.avro.AvroFormat": "AvroFormat",
    f"{S3}format.json.JsonFormat": "JsonFormat",
    f"{S3}format.bytearray.ByteArrayFormat": "ByteArrayFormat",
}
PARTITIONERS: Final = {
    f"{STORAGE}partitioner.{name}": name
    for name in ("DefaultPartitioner", "HourlyPartitioner", "DailyPartitioner", "TimeBasedPartitioner",
                 "FieldPartitioner")
}  # fmt: skip
EXTRACTORS: Final = {
    name: f"{STORAGE}partitioner.TimeBasedPartitioner${name}TimestampExtractor"
    for name in ("Wallclock", "Record", "RecordField")
}
COMPATIBILITIES: Final = ("NONE", "BACKWARD", "FORWARD", "FULL")
SMALLEST_PART: Final = 5 * 1024 * 1024
LARGEST_PART: Final = (1 << 31) - 1

REFUSED: Final = {
    "s3.acl.canned": "an ACL cannot be sent with an upload here; let the bucket's policy say who may read",
    "s3.object.tagging": "objects cannot be tagged after their upload here",
    "s3.wan.mode": "the accelerated endpoint is not served; set store.url to the endpoint to use",
}
"""Settings that would be broken promises: any value but their default is an error."""


class _OneOf:
    """One of the names of a table, long or short, or `module:Class`."""

    def __init__(self, names: Mapping[str, str], *, own: bool = True) -> None:
        self._names = names
        self._own = own

    def ensure_valid(self, name: str, value: Any) -> None:
        text = str(value)
        if text not in self._names and text not in self._names.values() and not (self._own and ":" in text):
            raise invalid(name, value, f"Value must be one of: {self}")

    def __str__(self) -> str:
        return ", ".join(self._names) + (", or module:Class" if self._own else "")


class _Part:
    def ensure_valid(self, name: str, value: Any) -> None:
        if value is None:
            raise invalid(name, value, "Part size must be non-null")
        if value < SMALLEST_PART:
            raise invalid(name, value, f"Part size must be at least: {SMALLEST_PART} bytes (5MB)")

    def __str__(self) -> str:
        return f"[{SMALLEST_PART},...,{LARGEST_PART}]"


class _Codec:
    def ensure_valid(self, name: str, value: Any) -> None:
        if value not in EXTENSIONS:
            why = REFUSED_CODECS.get(value)
            raise invalid(name, value, f"Value must be one of: {self}" if why is None else why)

    def __str__(self) -> str:
        return ", ".join(EXTENSIONS)


class _Zone:
    def ensure_valid(self, name: str, value: Any) -> None:
        if value:
            try:
                zone_of(value)
            except ValueError as error:
                raise invalid(name, value, str(error)) from error

    def __str__(self) -> str:
        return "a name of the time zone database, UTC, or [+-]hh:mm"


class _Refused:
    """The default, since anything else asks for what is not done."""

    def __init__(self, default: object) -> None:
        self._default = default

    def ensure_valid(self, name: str, value: Any) -> None:
        if value not in {self._default, None, ""}:
            raise invalid(name, value, REFUSED[name])

    def __str__(self) -> str:
        return "not served"


HIGH, MEDIUM, LOW = Importance.HIGH, Importance.MEDIUM, Importance.LOW
MAX_LONG: Final = (1 << 63) - 1

# A setting: its name, what it is, its default, a rule, how much it matters, its documentation.
_Row = tuple[str, Type, Any, Any, Importance, str]
_CONNECTOR: tuple[_Row, ...] = (
    ("format.class", Type.CLASS, NO_DEFAULT, _OneOf(FORMATS), HIGH, "How records are written."),
    ("flush.size", Type.INT, NO_DEFAULT, Range(1), HIGH, "Records of one partition after which its files end."),
    ("rotate.interval.ms", Type.LONG, -1, None, HIGH,
     "Span of the records' own time after which files end; -1 for never. A partition that gets no records ends none."),
    ("rotate.schedule.interval.ms", Type.LONG, -1, None, MEDIUM,
     "Span of wall clock time, from midnight in timezone, after which files end, idle ones too; names then differ."),
    ("rotate.file.on.partition.change", Type.BOOLEAN, True, None, LOW,
     "With rotate.interval.ms: whether a record for another path ends the files of the one before."),
    ("rotate.size.bytes", Type.LONG, -1, None, MEDIUM,
     "Moldau's own: size of a file, roughly, at which the files of its partition end; -1 for any size."),
    ("schema.compatibility", Type.STRING, "NONE", None, HIGH,
     "When records with another schema may share a file: NONE, BACKWARD, FORWARD, FULL. Another word means NONE."),
    ("retry.backoff.ms", Type.LONG, 5000, Range(0), LOW, "Wait before a partition is tried again after a failure."),
    ("filename.offset.zero.pad.width", Type.INT, 10, Range(0), LOW, "Digits of an offset in a name, at least."),
    ("parquet.codec", Type.STRING, "snappy", _Codec(), LOW, "Compression of Parquet; its name is in the object's."),
    ("parquet.row.group.bytes", Type.LONG, 64 << 20, Range(1 << 20), LOW,
     "Moldau's own: size of a row group before compression, which is held in memory for each open file."),
    ("avro.codec", Type.STRING, "null", ValidString("null", "deflate", "snappy", "bzip2"), LOW,
     "Compression of Avro files."),
    ("enhanced.avro.schema.support", Type.BOOLEAN, True, None, LOW, "Whether Avro schemas keep enumerations."),
    ("connect.meta.data", Type.BOOLEAN, True, None, LOW, "Whether Avro schemas say what Connect knows beyond Avro."),
    ("allow.optional.map.keys", Type.BOOLEAN, False, None, LOW, "Whether keys of maps may be optional strings."),
    ("schemas.cache.config", Type.INT, 1000, None, LOW, "No effect: what is compiled of a schema is kept."),
    ("shutdown.timeout.ms", Type.LONG, 3000, None, LOW, "No effect: there is nothing to wait for."),
    ("partitioner.max.open.files", Type.INT, -1, None, LOW, "Files that one partition may have open; -1 for any."),
    ("behavior.on.null.values", Type.STRING, "fail", CaseInsensitiveValidString("ignore", "fail", "write"), LOW,
     "What a record without a value does: it is left out, ends the task, or is written by its key."),
    ("report.null.values.to.dlq", Type.BOOLEAN, True, None, LOW, "Whether ignored ones are reported as errors are."),
    ("tombstone.encoded.partition", Type.STRING, "tombstone", None, LOW, "The path of written records without value."),
    ("max.write.duration.ms", Type.LONG, MAX_LONG, Range(1), LOW, "How long one call of put may write."),
    ("enable.conditional.writes", Type.BOOLEAN, True, None, LOW,
     "With rotate.schedule.interval.ms, without keys and headers: an object that is there is never replaced."),
    ("max.files.scan.limit", Type.INT, 100, Range(1), LOW, "Names that are tried when one is taken."),
)  # fmt: skip
_STORAGE: tuple[_Row, ...] = (
    ("storage.class", Type.CLASS, f"{S3}storage.S3Storage", _OneOf({f"{S3}storage.S3Storage": "S3Storage"}, own=False),
     HIGH, "The only one there is."),
    ("store.url", Type.STRING, None, None, HIGH,
     "http(s)://host:port of a store that speaks S3's protocol, or file:///folder."),
    ("topics.dir", Type.STRING, "topics", None, HIGH, "Folder above those of the topics."),
    ("directory.delim", Type.STRING, "/", None, MEDIUM, "What stands between folders."),
    ("file.delim", Type.STRING, "+", None, MEDIUM, "What stands between topic, partition and offset."),
    ("s3.bucket.name", Type.STRING, "", None, HIGH, "The bucket; needed unless store.url is a folder."),
    ("s3.region", Type.STRING, "us-west-2", None, MEDIUM, "The bucket's region."),
    ("s3.part.size", Type.INT, 25 << 20, _Part(), HIGH, "Bytes of one part; up to three are held for each open file."),
    ("s3.part.retries", Type.INT, 3, Range(0), MEDIUM, "How often a request is repeated."),
    ("s3.retry.backoff.ms", Type.LONG, 200, Range(0), LOW, "Wait before a request is repeated, growing."),
    ("s3.path.style.access.enabled", Type.BOOLEAN, True, None, LOW, "host/bucket/key rather than bucket.host/key."),
    ("s3.credentials.provider.class", Type.CLASS, "software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider",
     None, LOW, "Only the default chain: settings, environment, profile, web identity, container, machine."),
    ("aws.access.key.id", Type.STRING, "", None, HIGH, "The key; found as AWS's tools find it when it is empty."),
    ("aws.secret.access.key", Type.PASSWORD, "", None, HIGH, "Its secret."),
    ("s3.ssea.name", Type.STRING, "", ValidString("", "AES256", "aws:kms", "aws:kms:dsse"), LOW,
     "How the store encrypts objects."),
    ("s3.sse.customer.key", Type.PASSWORD, "", None, LOW, "Your own key in base64, that objects are encrypted with."),
    ("s3.sse.kms.key.id", Type.STRING, "", None, LOW, "The key of KMS that objects are encrypted with."),
    ("s3.acl.canned", Type.STRING, None, _Refused(None), LOW, "Not served."),
    ("s3.wan.mode", Type.BOOLEAN, False, _Refused(default=False), MEDIUM, "Not served."),
    ("s3.object.tagging", Type.BOOLEAN, False, _Refused(default=False), LOW, "Not served."),
    ("s3.object.tagging.key.value.pairs", Type.LIST, "", None, LOW, "No effect."),
    ("s3.object.behavior.on.tagging.error", Type.STRING, "ignore", None, LOW, "No effect."),
    ("s3.compression.type", Type.STRING, "none", ValidString("none", "gzip"), LOW, "Compression of JSON and bytes."),
    ("s3.compression.level", Type.INT, -1, Range(-1, 9), LOW, "0 (none) to 9 (smallest), -1 for the usual."),
    ("json.decimal.format", Type.STRING, "BASE64", CaseInsensitiveValidString("BASE64", "NUMERIC"), MEDIUM,
     "How JSON has decimals."),
    ("format.bytearray.extension", Type.STRING, ".bin", None, LOW, "Extension of objects of bytes."),
    ("format.bytearray.separator", Type.STRING, None, None, LOW, "What follows each record of bytes; a new line."),
    ("s3.proxy.url", Type.STRING, "", None, LOW, "A proxy on the way to the store."),
    ("s3.proxy.user", Type.STRING, None, None, LOW, "Its user."),
    ("s3.proxy.password", Type.PASSWORD, None, None, LOW, "Its password."),
    ("s3.http.send.expect.continue", Type.BOOLEAN, True, None, LOW, "No effect."),
    ("s3.send.digest", Type.BOOLEAN, False, None, LOW, "No effect: each request carries a signed SHA-256 of its body."),
    ("s3.elastic.buffer.enable", Type.BOOLEAN, False, None, LOW, "No effect: buffers grow with what is in them."),
    ("s3.elastic.buffer.init.capacity", Type.INT, 131072, Range(4096), LOW, "No effect."),
    ("s3.schema.partition.affix.type", Type.STRING, "NONE", ValidString("SUFFIX", "PREFIX", "NONE"), LOW,
     "Whether the name of the schema is part of the path, before or behind the partitioner's."),
    ("store.kafka.keys", Type.BOOLEAN, False, None, LOW, "Whether keys are stored beside values."),
    ("store.kafka.headers", Type.BOOLEAN, False, None, LOW, "Whether headers are stored beside values."),
    ("keys.format.class", Type.CLASS, f"{S3}format.avro.AvroFormat", _OneOf(FORMATS), LOW, "How keys are written."),
    ("headers.format.class", Type.CLASS, f"{S3}format.avro.AvroFormat", _OneOf(FORMATS), LOW,
     "How headers are written."),
)  # fmt: skip
_PARTITIONER: tuple[_Row, ...] = (
    ("partitioner.class", Type.CLASS, f"{STORAGE}partitioner.DefaultPartitioner", _OneOf(PARTITIONERS), HIGH,
     "Which path a record has below its topic."),
    ("partition.field.name", Type.LIST, "", None, MEDIUM, "FieldPartitioner: the fields; a.b is one inside of one."),
    ("partition.duration.ms", Type.LONG, -1, None, MEDIUM,
     "TimeBasedPartitioner: span of one path; -1 for the shortest thing that path.format names."),
    ("path.format", Type.STRING, "", None, MEDIUM, "TimeBasedPartitioner: a pattern of Joda-Time."),
    ("locale", Type.STRING, "", None, MEDIUM, "The language of names in path.format."),
    ("timezone", Type.STRING, "", _Zone(), MEDIUM, "The time zone of path.format, and of rotate.schedule.interval.ms."),
    ("timestamp.extractor", Type.STRING, "Wallclock", _OneOf(EXTRACTORS), MEDIUM, "Where a record's time is."),
    ("timestamp.field", Type.STRING, "timestamp", None, MEDIUM, "RecordField: the field; a.b is one inside of one."),
)  # fmt: skip


def _definition() -> ConfigDef:
    definition = ConfigDef()
    for group, rows in (("Connector", _CONNECTOR), ("Storage", _STORAGE), ("Partitioner", _PARTITIONER)):
        for order, (name, kind, default, rule, importance, doc) in enumerate(rows, 1):
            definition.define(name, kind, default, rule, importance, doc, group=group, order=order)
    return definition


CONFIG: Final = _definition()


def parse(props: Mapping[str, str]) -> dict[str, Any]:
    """Return the values of all settings, defaults included. Raises `ConfigError` for the first that cannot be used."""
    values = CONFIG.parse(props)
    for name, message in conflicts(values):
        raise ConfigError(message, name=name, value=values[name])
    # White space is what separators are made of, and reading a setting takes it away.
    values["format.bytearray.separator"] = props.get("format.bytearray.separator", "\n")
    return values


def validate(props: Mapping[str, str]) -> list[ConfigValue]:
    """Return what each setting was read as, with everything that is wrong, those of several settings together too."""
    found = CONFIG.validate_all(props)
    if not any(value.errors for value in found.values()):
        for name, message in conflicts({name: value.value for name, value in found.items()}):
            found[name].errors.append(message)
    return list(found.values())


def short_name(table: Mapping[str, str], name: str) -> str:
    """Return the short name of a class, whichever it was called by."""
    return table.get(name, name)


def is_folder(values: Mapping[str, Any]) -> bool:
    """Whether objects go to a folder of this machine."""
    return (values["store.url"] or "").startswith("file://")


def conflicts(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong with settings that are right one by one: pairs of a setting and a message."""
    found = []
    if not values["s3.bucket.name"] and not is_folder(values):
        found.append(("s3.bucket.name", 'Missing required configuration "s3.bucket.name" which has no default value.'))
    url = values["store.url"]
    if url and not url.startswith(("http://", "https://", "file:///")):
        message = f"Invalid value {url} for configuration store.url: it begins with http://, https:// or file:///"
        found.append(("store.url", message))
    if values["rotate.schedule.interval.ms"] > 0 and not values["timezone"]:
        found.append(("timezone", "timezone configuration must be set when using rotate.schedule.interval.ms"))
    provider = values["s3.credentials.provider.class"]
    if not str(provider).endswith("DefaultCredentialsProvider") and not str(provider).endswith("ProviderChain"):
        message = f"{provider} is not here: settings, environment, profile, web identity and machine are looked at"
        found.append(("s3.credentials.provider.class", message))
    if values["s3.compression.type"] != "none":
        used = [("format.class", "data", True), ("keys.format.class", "keys", values["store.kafka.keys"]),
                ("headers.format.class", "headers", values["store.kafka.headers"])]  # fmt: skip
        for name, what, stored in used:
            if stored and short_name(FORMATS, str(values[name])) not in {"JsonFormat", "ByteArrayFormat"}:
                message = f"Compression Type gzip not valid for {what} format class: ( {values[name]} )."
                found += [(name, message), ("s3.compression.type", message)]
    if values["behavior.on.null.values"].lower() == "write" and not values["store.kafka.keys"]:
        message = "Writing Kafka record keys to storage is mandatory when tombstone writing is enabled."
        found += [("store.kafka.keys", message), ("behavior.on.null.values", message)]
    if values["store.kafka.headers"] and short_name(FORMATS, str(values["headers.format.class"])) == "ByteArrayFormat":
        found.append(("headers.format.class", "headers are no bytes: use Avro, JSON or Parquet"))
    return found
