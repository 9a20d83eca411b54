"""What holds for every load: more of it never needs less, and everybody gets a share."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from moldau.planning import Limits, Load, size

RATES = st.floats(0.001, 100_000, allow_nan=False)
LOADS = st.builds(
    Load,
    peak_mb_s=RATES,
    record_bytes=st.integers(1, 10_000_000),
    consumers=st.integers(1, 200),
    groups=st.integers(1, 20),
    replication_factor=st.integers(1, 5),
    retention_s=st.integers(1, 10**8),
    growth=st.floats(1, 10),
    headroom=st.floats(1, 5),
    compression=st.floats(1, 20),
)
LIMITS = st.builds(
    Limits,
    partition_write_mb_s=st.floats(0.1, 1000),
    partition_read_mb_s=st.floats(0.1, 1000),
    broker_partitions=st.integers(1, 200_000),
    broker_disk_bytes=st.none() | st.integers(10**9, 10**15),
    disk_fill=st.floats(0.1, 1),
)


@given(LOADS, LIMITS)
def test_consumers_and_replicas_share_evenly_and_nobody_is_without(load, limits):
    plan = size(load, limits)
    assert plan.partitions.value >= load.consumers
    assert plan.partitions.value % load.consumers == 0
    assert plan.partitions.value % load.replication_factor == 0
    assert plan.brokers.value >= load.replication_factor


@given(LOADS, LIMITS)
def test_every_partition_and_broker_keeps_within_its_limits(load, limits):
    plan = size(load, limits)
    peak = load.peak_mb_s * load.growth
    tolerance = 1 + 1e-9
    assert peak <= plan.partitions.value * limits.partition_write_mb_s * tolerance
    assert peak * load.groups <= plan.partitions.value * limits.partition_read_mb_s * tolerance
    replicas = plan.partitions.value * load.replication_factor
    assert replicas <= plan.brokers.value * limits.broker_partitions
    assert plan.network_in_per_broker.value <= limits.broker_network_mb_s * 10**6 * tolerance
    assert plan.network_out_per_broker.value <= limits.broker_network_mb_s * 10**6 * tolerance
    if limits.broker_disk_bytes is not None:
        assert plan.disk_per_broker.value <= limits.broker_disk_bytes


@given(LOADS, LIMITS, st.floats(1, 10))
def test_more_load_never_needs_less(load, limits, factor):
    smaller, larger = size(load, limits), size(replace(load, peak_mb_s=load.peak_mb_s * factor), limits)
    for name in ("partitions", "brokers", "disk"):
        assert getattr(larger, name).value >= getattr(smaller, name).value


@given(LOADS, LIMITS)
def test_longer_retention_and_another_group_never_need_less(load, limits):
    before = size(load, limits)
    longer = size(replace(load, retention_s=load.retention_s * 2), limits)
    crowded = size(replace(load, groups=load.groups + 1), limits)
    assert longer.disk.value >= before.disk.value
    assert crowded.partitions.value >= before.partitions.value
    assert crowded.brokers.value >= before.brokers.value


@given(LOADS, LIMITS)
def test_what_the_retention_needs_fits_into_retention_bytes(load, limits):
    plan = size(load, limits)
    written = load.peak_mb_s * load.growth * 10**6 / load.compression * load.retention_s / plan.partitions.value
    assert int(plan.configs["retention.bytes"]) * (1 + 1e-9) >= written
