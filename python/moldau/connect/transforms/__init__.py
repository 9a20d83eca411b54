"""Transforms and predicates: all of Kafka 4.3; those of Debezium stand in `debezium`.

One that works on the key or on the value is two classes, `FlattenKey` and `FlattenValue` for Kafka's `Flatten$Key` and
`Flatten$Value`. What they do is recorded from Kafka's own classes (`tests/golden/connect`).
"""
