"""StreamsGroupDescribe (KIP-1071): this node serves no streams groups."""

from moldau.server.handlers import Api
from moldau.server.not_offered import streams_groups as handle

__all__ = ["API", "handle"]

API = Api(89, "StreamsGroupDescribe", (0, 0), note="refused: UNSUPPORTED_VERSION, streams.version is 0")
