"""The clients in Python, each a program: `CLIENT BOOTSTRAP ROW GUARANTEE SUFFIX FOLDER`.

Topics are `orders`, `payments`, `customers` and `out` with the suffix behind them. A client runs until it is
terminated. Those of the peers import nothing of Moldau: they run in environments of their own.
"""
