"""ListOffsets: answered in Rust."""

from moldau.server.handlers import Api

API = Api(2, "ListOffsets", (1, 11), hot=True)
