"""DeleteShareGroupState (KIP-932), for brokers: this node coordinates no share groups."""

from moldau.server.handlers import Api
from moldau.server.not_offered import share_state as handle

__all__ = ["API", "handle"]

API = Api(86, "DeleteShareGroupState", (0, 0), note="refused: NOT_COORDINATOR")
