"""Kafka's protocol spoken by ourselves, for what librdkafka has no call for: one broker, one question at a time.

`connection` sends and reads frames, `security` opens a connection as librdkafka's settings say (plain, TLS, SASL PLAIN,
SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER with a callback), `brokers` remembers who there is to ask. Plain blocking
sockets with a deadline for each question; no threads of its own.
"""

from __future__ import annotations

from moldau.client.protocol.brokers import Address, Brokers
from moldau.client.protocol.connection import BrokerConnection
from moldau.client.protocol.errors import (
    AuthenticationError,
    ConnectionLostError,
    ForeignAnswerError,
    ProtocolError,
    SecuritySettingError,
    UnservedError,
)

__all__ = [
    "Address",
    "AuthenticationError",
    "BrokerConnection",
    "Brokers",
    "ConnectionLostError",
    "ForeignAnswerError",
    "ProtocolError",
    "SecuritySettingError",
    "UnservedError",
]
