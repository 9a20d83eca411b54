"""A bucket of S3, or of anything that speaks its protocol, through obstore.

A large object goes up in parts while it is written; the parts are nothing until the upload is completed. What a killed
process leaves behind are parts that no listing shows: a lifecycle rule of the bucket removes them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from moldau.connect.connectors.s3.storage import ObjectExistsError, Storage, Upload
from moldau.connect.errors import ConnectError, DataError, RetriableError

if TYPE_CHECKING:
    from obstore import WritableFile
    from obstore.store import ClientConfig, RetryConfig

# Parts that may be on their way at once, per open object, beside the one that is being filled.
PARTS_IN_FLIGHT = 2
# A part may be 2 GiB and the line slow; the store's own time-outs are shorter.
REQUEST_TIMEOUT = timedelta(minutes=5)

Returned = TypeVar("Returned")


@dataclass(frozen=True)
class BucketSettings:
    """What is said about the bucket; credentials that are None come from where AWS's own tools look for them."""

    name: str
    region: str
    endpoint: str | None = None
    """`http://host:port`; None for AWS itself."""
    path_style: bool = True
    access_key_id: str | None = None
    secret_access_key: str | None = None
    part_bytes: int = 26_214_400
    retries: int = 3
    backoff_ms: int = 200
    encryption: str = ""
    kms_key_id: str = ""
    customer_key: str | None = None
    proxy_url: str = ""


class BucketStorage(Storage):
    """Objects in a bucket."""

    def __init__(self, settings: BucketSettings) -> None:
        self.settings = settings
        config: dict[str, Any] = {"region": settings.region, **_credentials(settings), **_encryption(settings)}
        if settings.endpoint is not None:
            config["endpoint"] = settings.endpoint
        plain = (settings.endpoint or "").startswith("http://")
        client: ClientConfig = {"timeout": REQUEST_TIMEOUT, "allow_http": plain}
        if settings.proxy_url:
            client["proxy_url"] = settings.proxy_url
        retries: RetryConfig = {
            "max_retries": settings.retries,
            "backoff": {"init_backoff": timedelta(milliseconds=max(settings.backoff_ms, 1))},
        }
        try:
            self.store = S3Store(
                settings.name,
                virtual_hosted_style_request=not settings.path_style,
                client_options=client,
                retry_config=retries,
                **config,
            )
        except (BaseError, ValueError) as error:
            raise ConnectError(f"the store cannot be opened: {_first_line(error)}") from error

    def check(self) -> None:
        # Credentials that may write need not be allowed to list: a refusal is not yet an error, a wrong secret is.
        try:
            self.call(lambda: obstore.list_with_delimiter(self.store, "moldau-looks-whether-the-bucket-is-there/"))
        except AccessDeniedError:
            return

    def create(self, key: str, *, replace: bool = True) -> Upload:
        if any(part in {"", ".", ".."} for part in key.split("/")) or not key.isprintable():
            raise DataError(f"{key!r} cannot be the name of an object: a part is empty, '.' or '..', or does not print")
        return BucketUpload(key, self, replace=replace)

    def exists(self, key: str) -> bool:
        try:
            self.call(lambda: obstore.head(self.store, key))
        except MissingError:
            return False
        return True

    def call(self, request: Callable[[], Returned]) -> Returned:
        """Ask the store; what it refuses is said as `store_error` says it."""
        try:
            return request()
        except (BaseError, OSError, ValueError) as error:
            raise store_error(error, self.settings) from error


class BucketUpload(Upload):
    """One object on its way: one request when it is smaller than a part, else a multi-part upload."""

    def __init__(self, key: str, storage: BucketStorage, *, replace: bool) -> None:
        super().__init__(key)
        self._storage = storage
        self._replace = replace
        self._held: list[bytes] | None = None if replace else []
        """With `replace=False`: what fits in one conditional request."""
        self._writer: WritableFile | None = None

    def _write(self, data: Any) -> None:
        chunk = data if isinstance(data, bytes) else bytes(data)
        if self._held is not None:
            self._held.append(chunk)
            if self.position + len(chunk) <= self._storage.settings.part_bytes:
                return
            chunk, self._held = b"".join(self._held), None
        writer = self._writer = self._writer or self._open()
        self._storage.call(lambda: writer.write(chunk))

    def _commit(self) -> None:
        storage = self._storage
        if self._held is not None:
            content = b"".join(self._held)
            storage.call(lambda: obstore.put(storage.store, self.key, content, mode="create"))
            return
        # The last request of a multi-part upload cannot be made conditional through obstore: look just before it.
        if not self._replace and storage.exists(self.key):
            raise ObjectExistsError(f"s3://{storage.settings.name}/{self.key} is there already")
        writer = self._writer or self._open()
        storage.call(writer.close)
        self._writer = None

    def _abort(self) -> None:
        writer, self._writer, self._held = self._writer, None, None
        if writer is None:
            return
        try:
            # obstore throws an upload away when its context ends with an error.
            writer.__exit__(ConnectError, None, None)
        except (BaseError, OSError):
            # The store is out of reach or has thrown it away itself; whoever aborts has the error that counts.
            return

    def _open(self) -> WritableFile:
        return obstore.open_writer(
            self._storage.store,
            self.key,
            buffer_size=self._storage.settings.part_bytes,
            max_concurrency=PARTS_IN_FLIGHT,
        )


class MissingError(ConnectError):
    """There is no such object."""


class AccessDeniedError(ConnectError):
    """The credentials are good, and not allowed to do this."""


_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]*)</Code>")
_MESSAGE = re.compile(r"<Message>([^<]*)</Message>")
_MACHINE = "/latest/api/token"
"""Where obstore asks the machine itself for credentials, when nobody else has any."""
_HINTS = {
    "NoSuchBucket": "make the bucket, or correct s3.bucket.name, s3.region or store.url",
    "SignatureDoesNotMatch": "the secret does not belong to the key: aws.secret.access.key, or AWS_SECRET_ACCESS_KEY",
    "InvalidAccessKeyId": "the store does not know the key: aws.access.key.id, or AWS_ACCESS_KEY_ID",
    "ExpiredToken": "the session of these credentials is over: get new ones",
    "AccessDenied": "the credentials need s3:PutObject, s3:AbortMultipartUpload and s3:ListBucket for this bucket",
    "NoCredentials": "set aws.access.key.id and aws.secret.access.key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "PermanentRedirect": "the bucket is in another region: s3.region",
    "AuthorizationHeaderMalformed": "the bucket is in another region: s3.region",
}


def store_error(error: Exception, settings: BucketSettings) -> ConnectError:
    """Say what a store refused in its own words, with what to do; retriable when the next try may go well."""
    text = str(error)
    where = f"bucket {settings.name!r} at {settings.endpoint or 'AWS, ' + settings.region}"
    if isinstance(error, AlreadyExistsError):
        return ObjectExistsError(f"{where}: {_first_line(error)}")
    status = int(match[1]) if (match := _STATUS.search(text)) else None
    code = match[1] if (match := _CODE.search(text)) else ""
    if not code and "redirect without LOCATION" in text:
        code = "PermanentRedirect"
    if isinstance(error, PermissionDeniedError | UnauthenticatedError):
        code = code or "AccessDenied"
    said = match[1] if (match := _MESSAGE.search(text)) else _first_line(error)
    if _MACHINE in text:
        code, said = "NoCredentials", "neither the settings nor the environment have any, and the machine gives none"
    message = f"{where}: {code + ': ' if code else ''}{said}"
    if hint := _HINTS.get(code):
        message += f"\nhint: {hint}"
    if isinstance(error, FileNotFoundError) and code in {"", "NoSuchKey"}:
        return MissingError(message)
    if code == "AccessDenied":
        return AccessDeniedError(message)
    if code in {"PermanentRedirect", "NoCredentials"}:
        return ConnectError(message)
    passes = status is None or status >= 500 or status in {408, 429} or code in {"RequestTimeout", "NoSuchUpload"}
    return (RetriableError if passes and not isinstance(error, ValueError) else ConnectError)(message)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


def _encryption(settings: BucketSettings) -> dict[str, str]:
    config = {"server_side_encryption": settings.encryption} if settings.encryption else {}
    if settings.kms_key_id and settings.encryption.startswith("aws:kms"):
        config["sse_kms_key_id"] = settings.kms_key_id
    if settings.customer_key:
        config |= {"server_side_encryption": "sse-c", "sse_customer_key_base64": settings.customer_key}
    return config


def _credentials(settings: BucketSettings) -> dict[str, str]:
    """Key and secret of the settings, else of a profile; obstore looks at the environment and the machine itself."""
    if settings.access_key_id and settings.secret_access_key:
        return {"access_key_id": settings.access_key_id, "secret_access_key": settings.secret_access_key}
    if "AWS_ACCESS_KEY_ID" in os.environ:
        return {}
    profile = os.environ.get("AWS_PROFILE", "default")
    path = Path(os.environ.get("AWS_SHARED_CREDENTIALS_FILE", Path.home() / ".aws" / "credentials"))
    found = ConfigParser(interpolation=None)
    try:
        found.read(path)
    except (OSError, ConfigParserError) as error:
        raise ConnectError(f"{path} cannot be read: {error}") from error
    section = dict(found[profile]) if found.has_section(profile) else {}
    names = {"aws_access_key_id": "access_key_id", "aws_secret_access_key": "secret_access_key",
             "aws_session_token": "session_token"}  # fmt: skip
    return {ours: section[theirs] for theirs, ours in names.items() if theirs in section}
