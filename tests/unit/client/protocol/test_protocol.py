"""Logins, addresses and versions of connections of our own."""

import errno
import socket
import time

import pytest
from tests.unit.client.fake_broker import FakeBroker
from tests.unit.client.fake_security import ScramServer, TlsBroker, certificate_in

from moldau.client.protocol.brokers import Address, Brokers, addresses_of
from moldau.client.protocol.errors import AuthenticationError, ConnectionLostError, SecuritySettingError, UnservedError
from moldau.client.protocol.questions import HEARTBEAT, SASL_AUTHENTICATE, SASL_HANDSHAKE
from moldau.client.protocol.scram import ScramExchange
from moldau.client.protocol.security import security_of

SCRAM = {"security.protocol": "SASL_PLAINTEXT", "sasl.username": "user", "sasl.password": "pencil"}


def test_scram_proves_what_the_example_of_its_rfc_proves():
    exchange = ScramExchange("SCRAM-SHA-256", "user", "pencil", "rOprNGfwEbeRWgbNEkqO")
    assert exchange.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    server_first = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert exchange.final(server_first) == (
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
    )
    exchange.verify(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")


@pytest.mark.parametrize(
    "server_first",
    [
        b"r=other,s=W22Z,i=4096",
        b"r=nonce,s=W22Z,i=4096",
        b"r=nonce1,s=W22Z,i=1",
        b"r=nonce1,s=W22Z,i=999999999",
        b"r=nonce1,s=W22Z",
        b"r=nonce1,s=%%%,i=4096",
        b"\xff\xfe",
        b"",
    ],
)
def test_scram_believes_no_broker_that_breaks_the_rules(server_first):
    exchange = ScramExchange("SCRAM-SHA-512", "user", "pencil", "nonce")
    with pytest.raises(AuthenticationError, match="SCRAM"):
        exchange.final(server_first)


@pytest.mark.parametrize("server_final", [b"v=AAAA", b"e=invalid-proof", b"", b"v=\xff"])
def test_scram_believes_no_broker_that_does_not_know_the_password(server_final):
    exchange = ScramExchange("SCRAM-SHA-512", "user", "pencil", "nonce")
    exchange.final(b"r=nonce1,s=W22Z,i=4096")
    with pytest.raises(AuthenticationError, match="SCRAM"):
        exchange.verify(server_final)


def test_names_with_commas_and_equals_signs_are_written_as_the_rfc_says():
    assert ScramExchange("SCRAM-SHA-256", "a,b=c", "x", "n").first() == b"n,,n=a=2Cb=3Dc,r=n"


@pytest.mark.parametrize(("mechanism", "hash_name"), [("SCRAM-SHA-256", "sha256"), ("SCRAM-SHA-512", "sha512")])
def test_a_login_with_scram_opens_the_connection(mechanism, hash_name):
    with FakeBroker(ScramServer(hash_name, b"pencil")) as broker:
        brokers = Brokers({"bootstrap.servers": broker.address, "sasl.mechanism": mechanism, **SCRAM})
        brokers.open_any().close()


def test_a_wrong_password_is_refused_with_the_brokers_words():
    with FakeBroker(ScramServer("sha512", b"another")) as broker:
        brokers = Brokers({"bootstrap.servers": broker.address, "sasl.mechanisms": "SCRAM-SHA-512", **SCRAM})
        with pytest.raises(AuthenticationError, match="Authentication failed"):
            brokers.open_any()


def test_a_session_that_is_nearly_over_is_renewed_on_the_same_connection():
    server = ScramServer("sha512", b"pencil", lifetime_ms=1)
    with FakeBroker(server) as broker:
        brokers = Brokers({"bootstrap.servers": broker.address, "sasl.mechanism": "SCRAM-SHA-512", **SCRAM})
        connection = brokers.open_any()
        values = {"group_id": "g", "generation_id": 1, "member_id": "m"}
        deadline = time.monotonic() + 30
        while server.logins < 2:
            assert time.monotonic() < deadline
            connection.ask(HEARTBEAT, lambda _: values, 30)
        connection.close()


def _sasl(answers):
    def answer(api_key, version, request):
        if api_key == SASL_HANDSHAKE:
            known = request.mechanism != "PLAIN" or answers != []
            return {"error_code": 0 if known else 33, "mechanisms": ["OAUTHBEARER"]}
        return answers.pop(0)

    return answer


def test_a_login_with_plain_says_name_and_password():
    with FakeBroker(_sasl([{"error_code": 0, "auth_bytes": b""}])) as broker:
        settings = {"bootstrap.servers": broker.address, "sasl.mechanism": "PLAIN", **SCRAM}
        Brokers(settings).open_any().close()
        assert [one.auth_bytes for one in broker.of(SASL_AUTHENTICATE)] == [b"\0user\0pencil"]


def test_a_mechanism_that_the_broker_does_not_offer_is_said_with_those_that_it_does():
    with FakeBroker(_sasl([])) as broker:
        settings = {"bootstrap.servers": broker.address, "sasl.mechanism": "PLAIN", **SCRAM}
        with pytest.raises(AuthenticationError, match="it knows: OAUTHBEARER"):
            Brokers(settings).open_any()


def test_a_listener_that_asks_for_no_login_says_which_setting_to_change():
    with FakeBroker(lambda *_: {"error_code": 34, "mechanisms": []}) as broker:
        settings = {"bootstrap.servers": broker.address, "sasl.mechanism": "PLAIN", **SCRAM}
        with pytest.raises(AuthenticationError, match=r"asks for no login\nhint: security\.protocol"):
            Brokers(settings).open_any()


def test_a_listener_without_tls_is_no_partner_for_tls():
    with FakeBroker(lambda *_: None) as broker:
        settings = {"bootstrap.servers": broker.address, "security.protocol": "ssl"}
        with pytest.raises(ConnectionLostError, match=r"no TLS connection.*\nhint: .*security\.protocol"):
            Brokers({**settings, "socket.connection.setup.timeout.ms": 2000}).open_any()


def test_a_bearer_says_its_token_and_hears_what_is_wrong_with_it():
    refusals = [
        {"error_code": 0, "auth_bytes": b'{"status":"invalid_token"}'},
        {"error_code": 58, "error_message": "invalid_token", "auth_bytes": b""},
    ]
    with FakeBroker(_sasl(refusals)) as broker:
        settings = {
            "bootstrap.servers": broker.address,
            "security.protocol": "sasl_plaintext",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.config": "who",
            "oauth_cb": lambda config: (f"token of {config}", 0.0, "me", {"logicalCluster": "l"}),
        }
        with pytest.raises(AuthenticationError, match="invalid_token"):
            Brokers(settings).open_any()
        first, second = (one.auth_bytes for one in broker.of(SASL_AUTHENTICATE))
        assert first == b"n,,\x01auth=Bearer token of who\x01logicalCluster=l\x01\x01"
        assert second == b"\x01"


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"security.protocol": "tls"}, "security.protocol"),
        ({"security.protocol": "sasl_ssl"}, "GSSAPI"),
        ({"security.protocol": "sasl_plaintext", "sasl.mechanism": "PLAIN"}, "sasl.password"),
        ({"security.protocol": "sasl_plaintext", "sasl.mechanism": "OAUTHBEARER"}, "oauth_cb"),
        ({"security.protocol": "ssl", "ssl.keystore.location": "x.p12"}, "ssl.keystore.location"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/nowhere"}, "TLS"),
    ],
)
def test_security_that_is_not_known_here_is_refused_by_name(settings, named):
    with pytest.raises(SecuritySettingError, match=named):
        security_of(settings)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificate_in(tmp_path_factory.mktemp("tls"))


def test_a_connection_with_tls_trusts_whom_it_was_told_to_trust(certificate):
    with TlsBroker(lambda *_: None, certificate) as broker:
        settings = {"bootstrap.servers": broker.address, "security.protocol": "ssl"}
        Brokers({**settings, "ssl.ca.location": str(certificate / "cert.pem")}).open_any().close()
        Brokers({**settings, "ssl.ca.pem": (certificate / "cert.pem").read_text()}).open_any().close()
        with pytest.raises(AuthenticationError, match=r"ssl\.ca\.location"):
            Brokers(settings).open_any()


@pytest.mark.parametrize("form", ["files", "texts"])
def test_a_connection_with_tls_shows_its_own_certificate(certificate, form):
    cert, key = certificate / "cert.pem", certificate / "key.pem"
    own = (
        {"ssl.certificate.location": str(cert), "ssl.key.location": str(key)}
        if form == "files"
        else {"ssl.certificate.pem": cert.read_text(), "ssl.key.pem": key.read_text()}
    )
    with TlsBroker(lambda *_: None, certificate, asks_for_one=True) as broker:
        settings = {
            "bootstrap.servers": broker.address,
            "security.protocol": "ssl",
            "ssl.ca.location": str(certificate / "cert.pem"),
        }
        Brokers({**settings, **own}).open_any().close()
        with pytest.raises(ConnectionLostError):
            Brokers(settings).open_any()


def test_a_broker_that_is_not_there_is_passed_over():
    with FakeBroker(lambda *_: None) as broker:
        brokers = Brokers({"bootstrap.servers": f"127.0.0.1:1,{broker.address}"})
        for _ in range(3):
            brokers.open_any().close()


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_over(monkeypatch):
    def find(host, port, **_):
        return [(family, socket.SOCK_STREAM, 0, "", (host, port)) for family in (socket.AF_INET6, socket.AF_INET)]

    def make(family=socket.AF_INET, *rest, **named):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        return real(family, *rest, **named)

    with FakeBroker(lambda *_: None) as broker:
        real = socket.socket
        monkeypatch.setattr("socket.getaddrinfo", find)
        monkeypatch.setattr("moldau.client.protocol.brokers.socket.socket", make)
        brokers = Brokers({"bootstrap.servers": broker.address})
        brokers.open(addresses_of(broker.address)[0]).close()
        monkeypatch.setattr("socket.getaddrinfo", lambda *place, **named: find(*place, **named)[:1])
        with pytest.raises(ConnectionLostError, match="family not supported"):
            brokers.open(addresses_of(broker.address)[0])


def test_an_api_that_the_broker_lacks_is_said():
    with FakeBroker(lambda *_: None, versions={HEARTBEAT: (7, 9)}) as broker:
        connection = Brokers({"bootstrap.servers": broker.address}).open_any()
        with pytest.raises(UnservedError, match="from 0 to 4"):
            connection.ask(HEARTBEAT, lambda _: {}, 30)
        connection.close()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a:1,b:2", [("a", 1), ("b", 2)]),
        ("SSL://a:1, b", [("a", 1), ("b", 9092)]),
        ("[::1]:5", [("::1", 5)]),
        ("[::1]", [("::1", 9092)]),
    ],
)
def test_addresses_are_read_as_librdkafka_reads_them(text, found):
    assert addresses_of(text) == [Address(*one) for one in found]


@pytest.mark.parametrize("text", ["", "a:0", "a:99999", "a:b", ":9092"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(SecuritySettingError, match=r"bootstrap\.servers"):
        addresses_of(text)
