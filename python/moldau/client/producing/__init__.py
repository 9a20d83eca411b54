"""Records written by ourselves: whole batches, built in Rust, sent to the leaders of their partitions.

For those who write much and want to know what became of it, not of each record but of each batch. `machine` decides
what to send whom and what an answer means, `producer` has the threads that send. Records wait in a
`moldau._core.RecordAccumulator`. With a transactional id there are transactions: `transactions` decides about those,
`coordination` has the thread that asks the coordinators.
"""

from __future__ import annotations

from moldau.client.producing.errors import (
    AbortableError,
    FatalError,
    NoRoomError,
    ProduceError,
    TooLargeError,
    UnfinishedError,
)
from moldau.client.producing.machine import Delivered, Refused
from moldau.client.producing.producer import RecordProducer
from moldau.client.producing.settings import ProduceSettings, produce_settings

__all__ = [
    "AbortableError",
    "Delivered",
    "FatalError",
    "NoRoomError",
    "ProduceError",
    "ProduceSettings",
    "RecordProducer",
    "Refused",
    "TooLargeError",
    "UnfinishedError",
    "produce_settings",
]
