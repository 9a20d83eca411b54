"""The same topology over the same records on Moldau and on its peers, one broker for all: what a record costs a client.

`python -m bench.versus.streams --help`. `load.py` has the records and what must come of them, `orders_registry.py` the
schema of those in Avro, `rows.py` the topologies by name, `peers.py` how each peer's client is started, `clients/` and
`java/` the clients, `runs.py` the order of things and the clock, `page.py` the table.
"""
