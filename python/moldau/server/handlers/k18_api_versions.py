"""ApiVersions: answered in Rust from this folder's table. An unknown version gets version 0, UNSUPPORTED_VERSION."""

from moldau.server.handlers import Api

API = Api(18, "ApiVersions", (0, 4), hot=True)
