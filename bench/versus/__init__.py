"""The same load on Moldau and on Apache Kafka, side by side on one machine. `python -m bench.versus --help`.

A number for one broker says little: another machine, another disk, another number. So every row here is measured on
both brokers in turn, several rounds interleaved, by the same client program, and reported as a ratio with its spread.
`load/` holds the client programs, `peers.py` the two brokers as processes, `report.py` the table.
"""
