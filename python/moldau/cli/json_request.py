"""A request with JSON to a service that the command line drives: the schema registry, a Connect worker."""

from __future__ import annotations

import base64
import json
import urllib.parse
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from moldau.cli.outcome import UsageError


def json_request(
    base: str,
    method: str,
    path: Sequence[str],
    query: Mapping[str, str],
    body: Mapping[str, Any] | None,
    content_type: str,
) -> urllib.request.Request:
    """The request; `path` are segments, quoted here. user:password@ of `base` becomes a header.

    Raises:
        UsageError: `base` is no URL of HTTP.
    """
    parts = urllib.parse.urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError(f"{base!r} is no URL", "write http://host:port")
    place = parts.netloc.rpartition("@")[2]
    quoted = "/".join(urllib.parse.quote(segment, safe="") for segment in path)
    url = f"{parts.scheme}://{place}{parts.path.rstrip('/')}/{quoted}"
    if query:
        url += "?" + urllib.parse.urlencode(query)
    headers = {"Accept": content_type, "Content-Type": content_type}
    if parts.username is not None:
        headers["Authorization"] = _basic(parts.username, parts.password or "")
    content = None if body is None else json.dumps(body).encode()
    return urllib.request.Request(url, content, headers, method=method)  # noqa: S310 (http or https, see above)


def _basic(user: str, password: str) -> str:
    both = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password)}"
    return "Basic " + base64.b64encode(both.encode()).decode()
