"""State stores: what they promise, Kafka's byte formats, and those that live in memory."""

from moldau.streams.state.contract import Store
from moldau.streams.state.open import open_in_memory

__all__ = ["Store", "open_in_memory"]
