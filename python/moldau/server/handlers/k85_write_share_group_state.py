"""WriteShareGroupState (KIP-932), for brokers: this node coordinates no share groups."""

from moldau.server.handlers import Api
from moldau.server.not_offered import share_state as handle

__all__ = ["API", "handle"]

API = Api(85, "WriteShareGroupState", (0, 1), note="refused: NOT_COORDINATOR")
