"""OffsetForLeaderEpoch: answered in Rust."""

from moldau.server.handlers import Api

API = Api(23, "OffsetForLeaderEpoch", (2, 4), hot=True)
