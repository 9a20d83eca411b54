"""Commands that speak the protocol itself, to a broker that wants TLS and a login."""

import pytest
from tests.cli.conftest import moldau
from tests.unit.client.fake_broker import FakeBroker
from tests.unit.client.fake_security import ScramServer, TlsBroker, certificate_in

from moldau.client.protocol.questions import (
    ALTER_CLIENT_QUOTAS,
    CREATE_ACLS,
    DELETE_ACLS,
    DESCRIBE_ACLS,
    DESCRIBE_CLIENT_QUOTAS,
    DESCRIBE_CONFIGS,
    DESCRIBE_QUORUM,
    DESCRIBE_TRANSACTIONS,
    INCREMENTAL_ALTER_CONFIGS,
    LIST_TRANSACTIONS,
    SASL_AUTHENTICATE,
    SASL_HANDSHAKE,
)

RULE = ("--topic", "t", "--allow-principal", "User:a", "--operation", "Read")
OK = {"error_code": 0}
ONE_RESOURCE = {"resource_type": 4, "resource_name": "", **OK}
ANSWERS = {
    ALTER_CLIENT_QUOTAS: {"entries": [OK]},
    CREATE_ACLS: {"results": [OK]},
    DELETE_ACLS: {"filter_results": [OK]},
    DESCRIBE_CONFIGS: {"results": [{**ONE_RESOURCE, "configs": []}]},
    DESCRIBE_QUORUM: {**OK, "topics": [{"partitions": [{"leader_id": 1, "current_voters": [{"replica_id": 1}]}]}]},
    DESCRIBE_TRANSACTIONS: {"transaction_states": [{**OK, "transactional_id": "x", "transaction_state": "Empty"}]},
    INCREMENTAL_ALTER_CONFIGS: {"responses": [ONE_RESOURCE]},
}
COMMANDS = {
    "api-versions": None,
    "cluster features": None,
    "cluster quorum": DESCRIBE_QUORUM,
    "acl list": DESCRIBE_ACLS,
    f"acl add {' '.join(RULE)}": CREATE_ACLS,
    f"acl remove {' '.join(RULE)}": DELETE_ACLS,
    "config show broker default": DESCRIBE_CONFIGS,
    "config set broker default log.retention.ms=7": INCREMENTAL_ALTER_CONFIGS,
    "quota list": DESCRIBE_CLIENT_QUOTAS,
    "quota set --user a --produce 7": ALTER_CLIENT_QUOTAS,
    "txn list": LIST_TRANSACTIONS,
    "txn describe x": DESCRIBE_TRANSACTIONS,
}


def answer(api_key, _version, _request):
    return ANSWERS.get(api_key, OK)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return certificate_in(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def broker(certificate):
    with TlsBroker(ScramServer("sha512", b"pencil", answers=answer), certificate) as behind_tls:
        yield behind_tls


def settings(certificate=None, password="pencil", **more):
    given = {
        "security.protocol": "sasl_plaintext" if certificate is None else "sasl_ssl",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "user",
        "sasl.password": password,
        **({} if certificate is None else {"ssl.ca.location": str(certificate / "cert.pem")}),
        **{name.replace("_", "."): value for name, value in more.items()},
    }
    return [word for name, value in given.items() for word in ("-X", f"{name}={value}")]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_its_own_protocol_logs_in_with_scram_over_tls(broker, certificate, command):
    asked = COMMANDS[command]
    before = len(broker.of(SASL_AUTHENTICATE)), len(broker.of(asked))
    ended = moldau(*command.split(), *settings(certificate), "-o", "json", servers=broker.address)
    assert (ended.code, ended.err) == (0, "")
    # The proof, and the answer to its challenge.
    assert len(broker.of(SASL_AUTHENTICATE)) == before[0] + 2
    assert len(broker.of(asked)) == before[1] + (asked is not None)


def test_a_wrong_password_is_refused_in_the_words_of_the_broker(broker, certificate):
    ended = moldau("api-versions", *settings(certificate, password="ink"), servers=broker.address)
    assert (ended.code, ended.out, ended.err) == (1, "", "error: Authentication failed\n")


def test_a_certificate_that_nobody_vouches_for_is_refused_with_the_setting_to_give(broker):
    ended = moldau("quota", "list", *settings(security_protocol="sasl_ssl"), servers=broker.address)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: the certificate of 127.0.0.1 is not trusted: ")
    assert "\nhint: ssl.ca.location names who signed it\n" in ended.err


def test_a_mechanism_that_the_broker_lacks_is_said_with_those_that_it_has():
    def refuse(api_key, _version, _request):
        return {"error_code": 33, "mechanisms": ["PLAIN"]} if api_key == SASL_HANDSHAKE else OK

    with FakeBroker(refuse) as plain:
        ended = moldau("txn", "list", *settings(), servers=plain.address)
    assert ended.code == 1
    assert ended.err == "error: the broker does not know SCRAM-SHA-512; it knows: PLAIN\n"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"sasl_mechanism": "GSSAPI"}, "sasl.mechanism: GSSAPI is not known here"),
        (
            {"sasl_mechanism": "OAUTHBEARER"},
            "oauth_cb: OAUTHBEARER needs a function that gives the token, or sasl.oauthb",
        ),
        ({"security_protocol": "ssl", "ssl_ca_location": "/nowhere"}, "the settings of TLS cannot be used"),
    ],
)
def test_security_that_cannot_be_used_is_wrong_usage(more, said):
    with FakeBroker(answer) as plain:
        ended = moldau("acl", "list", *settings(**more), servers=plain.address)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"error: {said}")


def test_an_api_that_the_broker_lacks_is_said_by_name():
    with FakeBroker(answer, versions={DESCRIBE_QUORUM: (0, -1)}) as old:
        ended = moldau("cluster", "quorum", servers=old.address)
    assert ended.code == 1
    assert ended.err == (
        "error: this broker does not serve DescribeQuorum\nhint: `moldau api-versions` shows what it serves\n"
    )
