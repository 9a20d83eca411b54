"""How a node is watched from outside: `/metrics`, `/livez`, `/readyz` on an HTTP listener of its own.

It reads and never changes anything. `moldau.observe` declares the names; what grows with the number of partitions is
rendered by Rust.
"""
