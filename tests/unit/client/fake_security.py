"""A broker of few words behind TLS and a login."""

import base64
import hashlib
import hmac
import ssl
import subprocess

from tests.unit.client.fake_broker import FakeBroker

from moldau.client.protocol.questions import SASL_AUTHENTICATE, SASL_HANDSHAKE


class ScramServer:
    """The other side of a login with SCRAM, for one user; what is asked besides goes to `answers`."""

    def __init__(self, hash_name, password, lifetime_ms=0, answers=lambda *_: {"error_code": 0}):
        self.hash, self.password, self.lifetime_ms, self.answers = hash_name, password, lifetime_ms, answers
        self.said = ""
        self.logins = 0

    def __call__(self, api_key, version, request):
        if api_key == SASL_HANDSHAKE:
            return {"error_code": 0, "mechanisms": ["SCRAM-SHA-512"]}
        if api_key != SASL_AUTHENTICATE:
            return self.answers(api_key, version, request)
        token = request.auth_bytes.decode()
        if token.startswith("n,,"):
            self.bare = token[3:]
            nonce = self.bare.partition("r=")[2]
            self.said = f"r={nonce}server,s={base64.b64encode(b'salt').decode()},i=4096"
            return {"error_code": 0, "auth_bytes": self.said.encode()}
        without, _, proof = token.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac(self.hash, self.password, b"salt", 4096)
        message = f"{self.bare},{self.said},{without}".encode()
        client_key = hmac.digest(salted, b"Client Key", self.hash)
        signature = hmac.digest(hashlib.new(self.hash, client_key).digest(), message, self.hash)
        if bytes(a ^ b for a, b in zip(client_key, signature, strict=True)) != base64.b64decode(proof):
            return {"error_code": 58, "error_message": "Authentication failed", "auth_bytes": b""}
        self.logins += 1
        server = hmac.digest(hmac.digest(salted, b"Server Key", self.hash), message, self.hash)
        verifier = b"v=" + base64.b64encode(server)
        return {"error_code": 0, "auth_bytes": verifier, "session_lifetime": self.lifetime_ms}


def certificate_in(folder):
    """Makes `cert.pem` and `key.pem` for 127.0.0.1 in the folder, and returns it."""
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"),
        ],
        check=True,
        capture_output=True,
    )
    return folder


class TlsBroker(FakeBroker):
    """One that speaks TLS, with the certificate of that folder."""

    def __init__(self, answers, certificate, *, asks_for_one=False):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
        if asks_for_one:
            self.tls.verify_mode = ssl.CERT_REQUIRED
            self.tls.load_verify_locations(certificate / "cert.pem")
        super().__init__(answers)

    def _serve(self, connection):
        try:
            secure = self.tls.wrap_socket(connection, server_side=True)
        except OSError:
            return
        super()._serve(secure)
