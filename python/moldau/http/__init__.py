"""HTTP for everything of Moldau that speaks it (registry, metrics, later Connect and the console): one ASGI server.

It knows sockets and an ASGI server, and nothing about what is served.
"""

from moldau.http.server import HttpAddressError, HttpServer

__all__ = ["HttpAddressError", "HttpServer"]
