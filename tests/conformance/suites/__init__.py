"""Test suites that other people wrote for Kafka clients, run against a broker of ours.

    python -m tests.conformance.suites franz-go
    python -m tests.conformance.suites librdkafka --protocol consumer
    python -m tests.conformance.suites confluent-kafka-python --checkout DIRECTORY

Each suite is a module: it fetches a pinned version through an ordinary package client, builds it once into the user's
cache, runs every test, and says how each ended. A failure that Apache Kafka has too, or that belongs to an area known
to be missing, stands in `allowed/<suite>.tsv` with its reason; any other one fails the run, and so does an allowed
failure that passes: a list that nobody prunes defends nothing.
"""
