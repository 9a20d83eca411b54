import base64
import hashlib
import hmac

import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.scram import (
    AlterCredentials,
    Mechanism,
    RemoveCredential,
    SetCredential,
    describe_credentials,
)
from moldau.errors import ErrorCode

# RFC 7677, section 3: user "user", password "pencil", and what the server proves to the client.
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
AUTH_MESSAGE = (
    b"n=user,r=rOprNGfwEbeRWgbNEkqO,"
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,"
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
)
SERVER_SIGNATURE = "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.fixture
def cluster():
    return Cluster()


def credential(user="alice", mechanism=Mechanism.SHA_256, iterations=4096):
    return SetCredential(user, mechanism, iterations, b"salt", b"p" * 32)


def test_the_keys_that_are_kept_are_those_of_the_rfc(cluster):
    salted = hashlib.pbkdf2_hmac("sha256", b"pencil", SALT, 4096)
    cluster.run(AlterCredentials((SetCredential("user", Mechanism.SHA_256, 4096, SALT, salted),)))
    kept = cluster.reopened().image.scram_credentials["user", Mechanism.SHA_256]
    signature = hmac.digest(kept.server_key, AUTH_MESSAGE, "sha256")
    assert base64.b64encode(signature).decode() == SERVER_SIGNATURE
    assert salted not in (kept.stored_key, kept.server_key)


def test_nobody_is_told_a_key(cluster):
    cluster.run(AlterCredentials((credential(), credential("bob", Mechanism.SHA_512, 8192))))
    described = describe_credentials(cluster.machine.situation(), None)
    assert [(each.user, each.credentials) for each in described] == [("alice", ((1, 4096),)), ("bob", ((2, 8192),))]


def test_a_user_changes_once_in_a_request_or_not_at_all(cluster):
    outcomes = cluster.run(
        AlterCredentials((credential(), credential("bob"), RemoveCredential("bob", Mechanism.SHA_256)))
    )
    assert [(user, outcome.code) for user, outcome in outcomes] == [
        ("alice", ErrorCode.NONE),
        ("bob", ErrorCode.DUPLICATE_RESOURCE),
    ]
    assert {user for user, _ in cluster.image.scram_credentials} == {"alice"}


def test_a_credential_that_is_not_there_cannot_be_removed(cluster):
    cluster.run(AlterCredentials((credential(),)))
    ((_, outcome),) = cluster.run(AlterCredentials((RemoveCredential("alice", Mechanism.SHA_512),)))
    assert outcome.code is ErrorCode.RESOURCE_NOT_FOUND
    cluster.run(AlterCredentials((RemoveCredential("alice", Mechanism.SHA_256),)))
    assert cluster.reopened().image.scram_credentials == {}
