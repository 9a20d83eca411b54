"""Kafka Connect in Python: workers, connectors, transforms and converters that take the configuration people have.

A connector, a transform or a converter is a class that extends one of `moldau.connect.plugin`; what flows through them
are records (`moldau.connect.records`) whose keys and values may carry a schema (`moldau.connect.data`). The names are
those of Kafka Connect's Java API in Python's spelling, so that its documentation is ours as well.

This package reaches a cluster as any client does, over the protocol.
"""
