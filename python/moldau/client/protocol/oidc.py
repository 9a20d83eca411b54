"""Tokens for OAUTHBEARER from an authorisation server, as librdkafka's `sasl.oauthbearer.method=oidc` (KIP-768).

One POST with the client's name and secret gives a token (RFC 6749, 4.4, client credentials), a new one for each login:
nothing is kept. Other grants are refused by name. A server that sends us on to another one is not followed: the secret
was meant for the first.
"""

from __future__ import annotations

import base64
import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import urlencode, urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, OpenerDirector, Request, build_opener

from moldau.client.protocol.errors import AuthenticationError, ConnectionLostError, SecuritySettingError

Token = Callable[[], "tuple[str, Mapping[str, str]]"]
"""Gives the bearer's token and the extensions of SASL."""

GRANT: Final = "client_credentials"
TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 1 << 20
REASON_CHARACTERS_MAX: Final = 300
_PREFIX: Final = "sasl.oauthbearer."
_NEEDED: Final = ("client.id", "client.secret", "token.endpoint.url")


def token_source(settings: Mapping[str, Any]) -> Token:
    """What asks for a token, from librdkafka's settings.

    Raises:
        SecuritySettingError: one is missing, or asks for what is not known here.
    """

    def setting(name: str) -> str:
        return str(settings.get(_PREFIX + name) or "")

    missing = [_PREFIX + name for name in _NEEDED if not setting(name)]
    if missing:
        raise SecuritySettingError(f"{', '.join(missing)}: {_PREFIX}method=oidc needs all of them")
    if setting("grant.type") not in {"", GRANT}:
        raise SecuritySettingError(f"{_PREFIX}grant.type: {setting('grant.type')} is not known here\nhint: {GRANT} is")
    url = setting("token.endpoint.url")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise SecuritySettingError(f"{_PREFIX}token.endpoint.url: {url!r} is no address\nhint: https://host/path")
    form = {"grant_type": GRANT, **({"scope": setting("scope")} if setting("scope") else {})}
    who = base64.b64encode(f"{setting('client.id')}:{setting('client.secret')}".encode()).decode()
    headers = {"Authorization": f"Basic {who}", "Accept": "application/json"}
    request = Request(url, urlencode(form).encode(), headers)  # noqa: S310 (the scheme was looked at)
    extensions = _extensions(setting("extensions"))
    opener = build_opener(HTTPSHandler(context=_context(settings)), _StayHere)
    return lambda: (_token(request, opener), extensions)


class _StayHere(HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """No second request; the answer that asks for one is an error."""


def _token(request: Request, opener: OpenerDirector) -> str:
    url = request.full_url
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            body = answer.read(ANSWER_BYTES_MAX)
    except HTTPError as error:
        said = error.read(REASON_CHARACTERS_MAX).decode(errors="replace").strip()
        message = f"{url} gave no token: {error.code} {error.reason}" + (f", {said}" if said else "")
        if error.code >= 500:
            raise ConnectionLostError(message) from error
        raise AuthenticationError(message) from error
    except OSError as error:
        raise ConnectionLostError(f"{url} gave no token: {getattr(error, 'reason', error)}") from error
    try:
        token = json.loads(body)["access_token"]
    except (ValueError, KeyError, TypeError) as error:
        raise AuthenticationError(f"{url} gave no token: there is no access_token in its answer") from error
    return str(token)


def _extensions(text: str) -> dict[str, str]:
    pairs = [one.partition("=") for one in text.split(",") if one.strip()]
    if not all(separator and name.strip() for name, separator, _ in pairs):
        raise SecuritySettingError(f"{_PREFIX}extensions: {text!r} is not of the form name=value,name=value")
    return {name.strip(): value for name, _, value in pairs}


def _context(settings: Mapping[str, Any]) -> ssl.SSLContext:
    """Whom to trust with the secret; brokers may have another authority."""
    try:
        return ssl.create_default_context(
            cafile=settings.get("https.ca.location") or None, cadata=settings.get("https.ca.pem") or None
        )
    except (OSError, ValueError) as error:
        raise SecuritySettingError(f"https.ca.location, https.ca.pem: {error}") from error
