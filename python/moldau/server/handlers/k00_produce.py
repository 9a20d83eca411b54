"""Produce: answered in Rust. Versions 0 to 2 are advertised for the sake of old librdkafka and refused."""

from moldau.server.handlers import Api

API = Api(0, "Produce", (3, 13), advertised_lowest=0, hot=True, note="0 to 2 advertised, refused (KAFKA-18659)")
