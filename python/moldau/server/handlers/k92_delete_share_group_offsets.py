"""DeleteShareGroupOffsets (KIP-932): this node serves no share groups."""

from moldau.server.handlers import Api
from moldau.server.not_offered import share_groups as handle

__all__ = ["API", "handle"]

API = Api(92, "DeleteShareGroupOffsets", (0, 0), note="refused: UNSUPPORTED_VERSION, share.version is 0")
