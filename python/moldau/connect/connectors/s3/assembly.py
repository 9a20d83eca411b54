"""From settings to the parts of the sink: its store, partitioner, formats and rules of rotation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from moldau.connect.connectors.s3 import partitioners, settings, timestamps
from moldau.connect.connectors.s3.compatibility import Compatibility
from moldau.connect.connectors.s3.folder import FolderStorage
from moldau.connect.connectors.s3.formats.avro import AvroFormat
from moldau.connect.connectors.s3.formats.avro_schema import AvroSchemas
from moldau.connect.connectors.s3.formats.parquet import ParquetFormat
from moldau.connect.connectors.s3.formats.text import ByteArrayFormat, JsonFormat
from moldau.connect.connectors.s3.formats.views import HeadersView, KeyView
from moldau.connect.connectors.s3.formats.writer import Format, View
from moldau.connect.connectors.s3.partitioners import Partitioner, SchemaPartitioner, TimeBasedPartitioner
from moldau.connect.connectors.s3.rotation import Rotation
from moldau.connect.connectors.s3.storage import Storage
from moldau.connect.connectors.s3.timestamps import TimestampExtractor
from moldau.connect.connectors.s3.zones import zone_of
from moldau.connect.converters.json import JsonConverter
from moldau.connect.errors import ConfigError
from moldau.connect.plugins import load, made

ENDPOINTS: Final = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
"""Variables by which AWS's tools are sent to another store, the first that is set."""


def make_storage(values: Mapping[str, Any]) -> Storage:
    """Open the folder or the bucket that settings name."""
    if settings.is_folder(values):
        return FolderStorage(Path(unquote(urlsplit(values["store.url"]).path)))
    # A folder needs no obstore.
    from moldau.connect.connectors.s3.bucket import BucketSettings, BucketStorage

    secret = values["aws.secret.access.key"]
    return BucketStorage(
        BucketSettings(
            name=values["s3.bucket.name"],
            region=values["s3.region"],
            endpoint=values["store.url"] or next(filter(None, map(os.environ.get, ENDPOINTS)), None),
            path_style=values["s3.path.style.access.enabled"],
            access_key_id=values["aws.access.key.id"] or None,
            secret_access_key=secret.value or None,
            part_bytes=values["s3.part.size"],
            retries=values["s3.part.retries"],
            backoff_ms=values["s3.retry.backoff.ms"],
            encryption=values["s3.ssea.name"],
            kms_key_id=values["s3.sse.kms.key.id"],
            customer_key=values["s3.sse.customer.key"].value or None,
            proxy_url=_proxy(values),
        )
    )


def make_partitioner(values: Mapping[str, Any]) -> Partitioner:
    """Make and configure the partitioner. Raises `ConfigError` for a class or a setting that cannot be used."""
    name = settings.short_name(settings.PARTITIONERS, str(values["partitioner.class"]))
    found = made(load(name)) if ":" in name else getattr(partitioners, name)()
    if not isinstance(found, Partitioner):
        raise ConfigError(f"{name} is no Partitioner of moldau.connect.connectors.s3.partitioners",
                          name="partitioner.class", value=name)  # fmt: skip
    affix = values["s3.schema.partition.affix.type"]
    partitioner = found if affix == "NONE" else SchemaPartitioner(found, affix)
    extractor = _extractor(str(values["timestamp.extractor"])) if isinstance(found, TimeBasedPartitioner) else None
    partitioner.configure({**values, "timestamp.extractor.instance": extractor})
    return partitioner


def extractor_of(partitioner: Partitioner) -> TimestampExtractor | None:
    """Return where a partitioner has times from, None when it does not look at times."""
    inner = partitioner.inner if isinstance(partitioner, SchemaPartitioner) else partitioner
    return inner.timestamp_extractor if isinstance(inner, TimeBasedPartitioner) else None


def make_rotation(values: Mapping[str, Any]) -> Rotation:
    """Return the rules by which files end and are named."""
    scheduled = values["rotate.schedule.interval.ms"]
    writes_tombstones = values["behavior.on.null.values"].lower() == "write"
    return Rotation(
        flush_size=values["flush.size"],
        interval_ms=values["rotate.interval.ms"],
        schedule_interval_ms=scheduled,
        zone=zone_of(values["timezone"]) if scheduled > 0 else None,
        on_partition_change=values["rotate.file.on.partition.change"],
        size_bytes=values["rotate.size.bytes"],
        compatibility=Compatibility.named(values["schema.compatibility"]),
        max_open_files=values["partitioner.max.open.files"],
        # Names are remembered for whoever must not replace what is there.
        max_files_scan=values["max.files.scan.limit"] if never_replaces(values) else 0,
        tombstone_partition=values["tombstone.encoded.partition"] if writes_tombstones else None,
        topics_dir=values["topics.dir"],
        directory_delim=values["directory.delim"],
        file_delim=values["file.delim"],
        zero_pad_width=values["filename.offset.zero.pad.width"],
    )


def make_parts(values: Mapping[str, Any]) -> list[tuple[View, Format]]:
    """Return what is stored of a record, and how: its value first."""
    parts: list[tuple[View, Format]] = [(View(), make_format(values["format.class"], values))]
    if values["store.kafka.keys"]:
        parts.append((KeyView(), make_format(values["keys.format.class"], values)))
    if values["store.kafka.headers"]:
        parts.append((HeadersView(), make_format(values["headers.format.class"], values)))
    return parts


def never_replaces(values: Mapping[str, Any]) -> bool:
    """Whether an object that is there stays: `enable.conditional.writes`, which counts for scheduled rotation only."""
    return bool(
        values["enable.conditional.writes"]
        and values["rotate.schedule.interval.ms"] > 0
        and not values["store.kafka.keys"]
        and not values["store.kafka.headers"]
    )


def make_format(name: str, values: Mapping[str, Any]) -> Format:
    """Make one format. Raises `ConfigError` when it is not here."""
    short = settings.short_name(settings.FORMATS, str(name))
    level = values["s3.compression.level"] if values["s3.compression.type"] == "gzip" else None
    if short == "ParquetFormat":
        return ParquetFormat(values["parquet.codec"], values["parquet.row.group.bytes"])
    if short == "AvroFormat":
        schemas = AvroSchemas(
            enumerations=values["enhanced.avro.schema.support"],
            remarks=values["connect.meta.data"],
            optional_map_keys=values["allow.optional.map.keys"],
        )
        return AvroFormat(values["avro.codec"], schemas)
    if short == "ByteArrayFormat":
        separator = values["format.bytearray.separator"].encode()
        return ByteArrayFormat(values["format.bytearray.extension"], separator, level)
    if short == "JsonFormat":
        converter = JsonConverter()
        converter.configure({"schemas.enable": "false", "decimal.format": values["json.decimal.format"]}, is_key=False)
        return JsonFormat(converter, level)
    found = made(load(short)) if ":" in short else None
    if not isinstance(found, Format):
        raise ConfigError(f"{name} is no format that is here", name="format.class", value=name)
    return found


def _extractor(name: str) -> TimestampExtractor:
    short = {long: short for short, long in settings.EXTRACTORS.items()}.get(name, name)
    found = made(load(short)) if ":" in short else getattr(timestamps, f"{short}TimestampExtractor")()
    if not isinstance(found, TimestampExtractor):
        raise ConfigError(f"{name} is no TimestampExtractor of moldau.connect.connectors.s3.timestamps",
                          name="timestamp.extractor", value=name)  # fmt: skip
    return found


def _proxy(values: Mapping[str, Any]) -> str:
    """Return the proxy with its user and password in it."""
    url, user = values["s3.proxy.url"], values["s3.proxy.user"]
    if not url or not user:
        return str(url)
    password = values["s3.proxy.password"]
    secret = f":{quote(password.value, safe='')}" if password is not None else ""
    scheme, _, rest = str(url).partition("://")
    return f"{scheme}://{quote(user, safe='')}{secret}@{rest}"
