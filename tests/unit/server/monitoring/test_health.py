"""A node is ready when every condition holds, and says which one does not."""

from __future__ import annotations

from types import SimpleNamespace

from moldau.server.core_types import DirectoryStatus
from moldau.server.monitoring.health import Phase, checks

HEALTHY = DirectoryStatus("/data", online=True, error=None, total_bytes=10, usable_bytes=5)
FAILED = DirectoryStatus("/data2", online=False, error="Input/output error", total_bytes=-1, usable_bytes=-1)


def node(*, stopped_by=None, loading=0, transactions_loading=0):
    transactions = SimpleNamespace(topic="__transaction_state", loading_count=transactions_loading)
    return SimpleNamespace(
        metadata=SimpleNamespace(stopped_by=stopped_by),
        groups=SimpleNamespace(topic="__consumer_offsets", loading_count=loading),
        transactions=SimpleNamespace(coordinators=transactions),
    )


def why_not(phase, shell, directories):
    return {check.name: check.reason for check in checks(phase, shell, directories) if not check.ok}


def test_a_serving_node_with_healthy_disks_is_ready():
    assert why_not(Phase.SERVING, node(), [HEALTHY]) == {}


def test_a_node_that_starts_or_stops_is_not_ready():
    assert "being loaded" in why_not(Phase.STARTING, None, [HEALTHY])["serving"]
    assert "stopping" in why_not(Phase.STOPPING, node(), [HEALTHY])["serving"]


def test_one_healthy_directory_is_enough_and_the_failed_one_is_told():
    found = {check.name: check for check in checks(Phase.SERVING, node(), [HEALTHY, FAILED])}
    assert found["directories"].ok
    assert found["directories"].reason == "/data2: Input/output error"
    assert why_not(Phase.SERVING, node(), [FAILED]) == {"directories": "/data2: Input/output error"}


def test_a_node_that_cannot_follow_its_metadata_is_not_ready():
    reason = why_not(Phase.SERVING, node(stopped_by=ValueError("a torn record")), [HEALTHY])["metadata"]
    assert "a torn record" in reason


def test_a_node_whose_groups_are_being_loaded_is_not_ready():
    assert "3 partitions" in why_not(Phase.SERVING, node(loading=3), [HEALTHY])["groups"]


def test_a_node_whose_transactions_are_being_loaded_is_not_ready():
    reasons = why_not(Phase.SERVING, node(transactions_loading=2), [HEALTHY])
    assert reasons == {"transactions": "2 partitions of __transaction_state are being loaded"}
