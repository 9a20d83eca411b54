"""The REST interface: `routes` is the table of endpoints, one module for each noun behind it, `app` the ASGI side."""
