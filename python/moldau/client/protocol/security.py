"""What librdkafka's settings say about security, for connections of our own.

`security.protocol` plaintext, ssl, sasl_plaintext, sasl_ssl. TLS with authorities, a certificate and revocation lists
from files or, as PEM, from the settings themselves. SASL PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, and OAUTHBEARER with an
`oauth_cb` or with the tokens of an authorisation server (`oidc`). Not known here, and refused by name: GSSAPI,
keystores (PKCS#12), engines and providers of OpenSSL, callbacks that verify certificates.
"""

from __future__ import annotations

import secrets
import socket
import ssl
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import AuthenticationError, ConnectionLostError, SecuritySettingError
from moldau.client.protocol.questions import SASL_AUTHENTICATE, SASL_HANDSHAKE
from moldau.client.protocol.scram import HASHES, ScramExchange
from moldau.errors import ErrorCode

if TYPE_CHECKING:
    from moldau.client.protocol.oidc import Token

PROTOCOLS: Final = frozenset({"plaintext", "ssl", "sasl_plaintext", "sasl_ssl"})
MECHANISMS: Final = frozenset({"PLAIN", "OAUTHBEARER", *HASHES})
_REFUSED: Final = (
    "ssl.keystore.location",
    "ssl.engine.location",
    "ssl.engine.id",
    "ssl.providers",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "ssl.certificate.verify_cb",
    "ssl_certificate",
    "ssl_key",
    "ssl_ca",
)
_MS: Final = 1000

OAuthCallback = Callable[[str], "tuple[Any, ...]"]
"""As confluent-kafka's `oauth_cb`: of `sasl.oauthbearer.config` makes (token, expiry in seconds since 1970[, principal,
extensions])."""


@dataclass(frozen=True, slots=True)
class Security:
    """How to open a connection."""

    tls: ssl.SSLContext | None = None
    mechanism: str | None = None
    user: str = ""
    password: str = ""
    token: Token | None = None

    def open(self, connection: socket.socket, host: str) -> socket.socket:
        """The same connection, encrypted if it shall be.

        Raises:
            AuthenticationError: the broker's certificate is not trusted, or ours not taken.
            ConnectionLostError: it ended meanwhile.
        """
        if self.tls is None:
            return connection
        try:
            return self.tls.wrap_socket(connection, server_hostname=host)
        except ssl.SSLCertVerificationError as error:
            connection.close()
            raise AuthenticationError(
                f"the certificate of {host} is not trusted: {error.verify_message}\n"
                "hint: ssl.ca.location names who signed it"
            ) from error
        except OSError as error:
            connection.close()
            raise ConnectionLostError(
                f"no TLS connection to {host}: {error}\nhint: is it a listener with TLS? security.protocol says so"
            ) from error

    def log_in(self, connection: BrokerConnection, timeout_s: float) -> int:
        """Say who we are; returns how long the broker believes it, ms, 0 for ever.

        Raises:
            AuthenticationError: the broker refused.
        """
        mechanism = self.mechanism
        assert mechanism is not None
        answer = connection.ask(SASL_HANDSHAKE, lambda _: {"mechanism": mechanism}, timeout_s)
        if int(answer.error_code.value) == ErrorCode.ILLEGAL_SASL_STATE:
            raise AuthenticationError(
                "this listener asks for no login\nhint: security.protocol=plaintext, or ssl, in place of sasl_…"
            )
        if int(answer.error_code.value):
            offered = ", ".join(answer.mechanisms) or "none"
            raise AuthenticationError(f"the broker does not know {mechanism}; it knows: {offered}")
        login = _Login(connection, timeout_s)
        if mechanism == "PLAIN":
            login.say(f"\0{self.user}\0{self.password}".encode())
        elif mechanism == "OAUTHBEARER":
            assert self.token is not None
            token, extensions = self.token()
            if login.say(_bearer(token, extensions)):
                # The broker has said what is wrong with the token, and waits for this to refuse. (RFC 7628, 3.2.3)
                login.say(b"\x01")
        else:
            scram = ScramExchange(mechanism, self.user, self.password, secrets.token_urlsafe(24))
            scram.verify(login.say(scram.final(login.say(scram.first()))))
        return login.lifetime_ms


class _Login:
    """Passes tokens to and fro."""

    def __init__(self, connection: BrokerConnection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self.lifetime_ms = 0

    def say(self, token: bytes) -> bytes:
        answer = self._connection.ask(SASL_AUTHENTICATE, lambda _: {"auth_bytes": token}, self._timeout_s)
        if int(answer.error_code.value):
            raise AuthenticationError(answer.error_message or "the broker refused the login")
        lifetime = getattr(answer, "session_lifetime", None)
        self.lifetime_ms = 0 if lifetime is None else round(lifetime.total_seconds() * _MS)
        return bytes(answer.auth_bytes)


def _bearer(token: str, extensions: Mapping[str, str]) -> bytes:
    more = "".join(f"{name}={value}\x01" for name, value in extensions.items())
    return f"n,,\x01auth=Bearer {token}\x01{more}\x01".encode()


def security_of(settings: Mapping[str, Any]) -> Security:
    """What settings ask for, by librdkafka's names; others are left alone.

    Raises:
        SecuritySettingError: something is asked for that is not known here, or a file cannot be used.
    """
    protocol = str(settings.get("security.protocol") or "plaintext").lower()
    if protocol not in PROTOCOLS:
        raise SecuritySettingError(
            f"security.protocol: there is no {protocol}; there are {', '.join(sorted(PROTOCOLS))}"
        )
    context = _context(settings) if protocol.endswith("ssl") else None
    if not protocol.startswith("sasl"):
        return Security(context)
    mechanism = str(settings.get("sasl.mechanism") or settings.get("sasl.mechanisms") or "GSSAPI").upper()
    if mechanism not in MECHANISMS:
        raise SecuritySettingError(
            f"sasl.mechanism: {mechanism} is not known here\nhint: use one of {', '.join(sorted(MECHANISMS))}"
        )
    if mechanism == "OAUTHBEARER":
        return Security(context, mechanism, token=_token_source(settings))
    user, password = settings.get("sasl.username"), settings.get("sasl.password")
    if user is None or password is None:
        raise SecuritySettingError(f"sasl.username, sasl.password: {mechanism} needs both")
    return Security(context, mechanism, str(user), str(password))


def _token_source(settings: Mapping[str, Any]) -> Token:
    if str(settings.get("sasl.oauthbearer.method") or "").lower() == "oidc":
        from moldau.client.protocol.oidc import token_source

        return token_source(settings)
    callback: OAuthCallback | None = settings.get("oauth_cb")
    if callback is None:
        raise SecuritySettingError(
            "oauth_cb: OAUTHBEARER needs a function that gives the token, or sasl.oauthbearer.method=oidc"
        )
    config = str(settings.get("sasl.oauthbearer.config") or "")

    def token() -> tuple[str, Mapping[str, str]]:
        try:
            given = callback(config)
            return str(given[0]), dict(given[3]) if len(given) > 3 and given[3] else {}
        except Exception as error:
            # As librdkafka has it: whoever gives tokens may be back in a moment.
            raise ConnectionLostError(f"oauth_cb gave no token: {error!r}") from error

    return token


def _context(settings: Mapping[str, Any]) -> ssl.SSLContext:
    refused = [name for name in _REFUSED if settings.get(name)]
    if refused:
        raise SecuritySettingError(
            f"{', '.join(refused)}: not known to connections of our own\n"
            "hint: ssl.ca.location, ssl.certificate.location and ssl.key.location name files in PEM"
        )
    try:
        return _loaded(settings)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SecuritySettingError(f"the settings of TLS cannot be used: {error}") from error


def _loaded(settings: Mapping[str, Any]) -> ssl.SSLContext:
    authorities = settings.get("ssl.ca.location")
    if authorities in {None, "", "probe"}:
        context = ssl.create_default_context(cadata=settings.get("ssl.ca.pem") or None)
    elif Path(str(authorities)).is_dir():
        context = ssl.create_default_context(capath=str(authorities))
    else:
        context = ssl.create_default_context(cafile=str(authorities))
    if settings.get("ssl.cipher.suites"):
        context.set_ciphers(str(settings["ssl.cipher.suites"]))
    if settings.get("ssl.crl.location"):
        context.load_verify_locations(cafile=str(settings["ssl.crl.location"]))
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if str(settings.get("ssl.endpoint.identification.algorithm", "https")).lower() in {"none", ""}:
        context.check_hostname = False
    if str(settings.get("enable.ssl.certificate.verification", "true")).lower() == "false":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _load_certificate(context, settings)
    return context


def _load_certificate(context: ssl.SSLContext, settings: Mapping[str, Any]) -> None:
    """Our own certificate, from a file or from the settings; OpenSSL reads files only, so the latter go through one."""
    password = settings.get("ssl.key.password")
    certificate, key = settings.get("ssl.certificate.location"), settings.get("ssl.key.location")
    if certificate:
        context.load_cert_chain(certificate, key, password)
        return
    certificate, key = settings.get("ssl.certificate.pem"), settings.get("ssl.key.pem")
    if certificate:
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(f"{key or ''}\n{certificate}\n")
            file.flush()
            context.load_cert_chain(file.name, None, password)
