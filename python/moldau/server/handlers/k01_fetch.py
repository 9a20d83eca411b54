"""Fetch: answered in Rust."""

from moldau.server.handlers import Api

API = Api(1, "Fetch", (4, 18), hot=True)
