"""Kafka Connect in Python: workers, connectors, transforms and converters that take the configuration people have."""
