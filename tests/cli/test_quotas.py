import pytest
from tests.cli.conftest import moldau


def listed(servers, *whom):
    return moldau("quota", "list", *whom, "-o", "json", servers=servers).json


def test_quotas_are_set_seen_and_taken_away(servers):
    whom = ("--user", "alice", "--client-id", "app")
    assert moldau("quota", "set", *whom, "--produce", "1000", "--mutations", "0.5", servers=servers).code == 0
    who = {"user": "alice", "client_id": "app", "ip": None, "defaults": []}
    assert listed(servers, *whom) == [
        {**who, "quota": "controller_mutation_rate", "value": 0.5},
        {**who, "quota": "producer_byte_rate", "value": 1000.0},
    ]
    assert moldau("quota", "unset", "produce", "controller_mutation_rate", *whom, servers=servers).code == 0
    assert listed(servers, *whom) == []


def test_a_default_is_told_from_a_side_that_does_not_count(servers):
    moldau("quota", "set", "--every-user", "--fetch", "1000000000", servers=servers)
    (quota,) = listed(servers, "--every-user")
    assert (quota["user"], quota["client_id"], quota["defaults"]) == (None, None, ["user"])
    table = moldau("quota", "list", "--every-user", servers=servers).out
    assert "(default)" in table
    assert "1000000000" in table
    moldau("quota", "unset", "fetch", "--every-user", servers=servers)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("set", "--produce", "1"), "for whom"),
        (("set", "--user", "alice"), "no quota is named"),
        (("unset", "--user", "alice"), "no quota is named"),
        (("unset", "speed", "--user", "alice"), "no quota 'speed'"),
        (("set", "--user", "alice", "--every-user", "--produce", "1"), "two quotas"),
    ],
)
def test_a_command_that_does_not_say_what_to_do_is_told_so(servers, words, said):
    ended = moldau("quota", *words, servers=servers)
    assert ended.code == 2
    assert said in ended.err


def test_what_the_broker_refuses_is_passed_on(servers):
    ended = moldau("quota", "set", "--user", "alice", "--produce", "-1", servers=servers)
    assert ended.code == 1
    assert "INVALID_REQUEST" in ended.err
    assert "greater than 0" in ended.err
