"""Debezium's transforms: events of an outbox table, rows out of their envelopes, topics of sharded tables.

What they do is recorded from Debezium's own classes (`tests/golden/debezium/transforms.jsonl`). Where they differ, on
purpose, stands at each.
"""
