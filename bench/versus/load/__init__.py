"""The client programs. Each is run as `python -m bench.versus.load.NAME ...` and prints one JSON object.

Three kinds, because each hides something. `wire` sends batches that were encoded beforehand and throws away what it
fetches, so that nearly all work is the broker's; `librdkafka` and the Java tools do what an application does, and on a
machine with few cores they are busier than the broker. A row of the table names its client.
"""
