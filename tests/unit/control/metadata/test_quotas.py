import pytest
from tests.unit.control.metadata.cluster_of_one import Cluster

from moldau.control.metadata.image import QuotaKey
from moldau.control.metadata.quotas import AlterQuotas, Match, QuotaChange, QuotaFilter, describe_quotas
from moldau.errors import ApiError, ErrorCode

ALICE = QuotaKey((("user", "alice"),))
EVERYBODY = QuotaKey((("user", None),))
ALICE_WITH_APP = QuotaKey((("client-id", "app"), ("user", "alice")))
ADDRESS = QuotaKey((("ip", "10.0.0.1"),))


@pytest.fixture
def cluster():
    return Cluster()


def alter(cluster, *entries, **options):
    return cluster.run(
        AlterQuotas(
            tuple((entity, tuple(QuotaChange(*change) for change in changes)) for entity, changes in entries), **options
        )
    )


def codes(outcomes):
    return [outcome.code for _, outcome in outcomes]


def test_a_quota_is_found_again_after_the_log_was_replayed(cluster):
    alter(cluster, (ALICE, [("producer_byte_rate", 1000.0)]), (EVERYBODY, [("consumer_byte_rate", 5.0)]))
    assert cluster.reopened().image.client_quotas == {
        ALICE: {"producer_byte_rate": 1000.0},
        EVERYBODY: {"consumer_byte_rate": 5.0},
    }


def test_what_is_set_to_what_it_is_leaves_no_record(cluster):
    alter(cluster, (ALICE, [("producer_byte_rate", 1000.0)]))
    same = AlterQuotas(((ALICE, (QuotaChange("producer_byte_rate", 1000.0), QuotaChange("nope", None))),))
    assert cluster.decide(same).records == ()


def test_an_entity_changes_as_a_whole_or_not_at_all(cluster):
    outcomes = alter(cluster, (ALICE, [("producer_byte_rate", 7.0), ("nope", 1.0)]), (EVERYBODY, [("nope", None)]))
    assert codes(outcomes) == [ErrorCode.INVALID_REQUEST, ErrorCode.NONE]
    assert cluster.image.client_quotas == {}


def test_an_entity_named_twice_changes_not_at_all(cluster):
    outcomes = alter(cluster, (ALICE, [("producer_byte_rate", 7.0)]), (ALICE, [("consumer_byte_rate", 7.0)]))
    assert codes(outcomes) == [ErrorCode.INVALID_REQUEST]
    assert cluster.image.client_quotas == {}


def test_the_last_quota_of_an_entity_takes_the_entity_with_it(cluster):
    alter(cluster, (ALICE, [("producer_byte_rate", 7.0)]))
    alter(cluster, (ALICE, [("producer_byte_rate", None)]))
    assert cluster.image.client_quotas == {}


def test_a_validation_writes_nothing(cluster):
    request = AlterQuotas(((ALICE, (QuotaChange("producer_byte_rate", 7.0),)),), validate_only=True)
    assert cluster.decide(request).records == ()


def test_a_host_counts_as_an_address_when_it_was_found(cluster):
    host = QuotaKey((("ip", "broker.example"),))
    limit = [("connection_creation_rate", 5.0)]
    assert codes(alter(cluster, (host, limit))) == [ErrorCode.INVALID_REQUEST]
    assert codes(alter(cluster, (host, limit), hosts=frozenset({"broker.example"}))) == [ErrorCode.NONE]


def test_a_request_has_an_end(cluster):
    many = tuple(
        (QuotaKey((("user", str(number)),)), (QuotaChange("producer_byte_rate", 1.0),)) for number in range(10_001)
    )
    with pytest.raises(ApiError) as refused:
        cluster.decide(AlterQuotas(many))
    assert refused.value.code is ErrorCode.POLICY_VIOLATION


@pytest.mark.parametrize(
    ("filters", "strict", "expected"),
    [
        ([], False, [ALICE, EVERYBODY, ALICE_WITH_APP, ADDRESS]),
        ([], True, []),
        ([QuotaFilter("user", Match.EXACT, "alice")], False, [ALICE, ALICE_WITH_APP]),
        ([QuotaFilter("user", Match.EXACT, "alice")], True, [ALICE]),
        ([QuotaFilter("user", Match.DEFAULT, None)], False, [EVERYBODY]),
        ([QuotaFilter("user", Match.SPECIFIED, None)], True, [ALICE, EVERYBODY]),
        ([QuotaFilter("client-id", Match.EXACT, "other")], False, []),
        ([QuotaFilter("ip", Match.SPECIFIED, None)], False, [ADDRESS]),
    ],
)
def test_a_filter_finds_the_entities_that_match_every_part_of_it(cluster, filters, strict, expected):
    for entity in (ALICE, EVERYBODY, ALICE_WITH_APP):
        alter(cluster, (entity, [("producer_byte_rate", 7.0)]))
    alter(cluster, (ADDRESS, [("connection_creation_rate", 7.0)]))
    found = describe_quotas(cluster.machine.situation(), filters, strict=strict)
    assert [entity for entity, _ in found] == expected
