"""HTTP for everything of Moldau that speaks it (registry, Connect, metrics, later the console): one ASGI server.

It knows sockets, an ASGI server and how a service is run, and nothing about what is served.
"""

from moldau.http.server import HttpAddressError, HttpServer
from moldau.http.thread import Ready, ServiceThread, run_until_a_signal

__all__ = ["HttpAddressError", "HttpServer", "Ready", "ServiceThread", "run_until_a_signal"]
