"""Whether what is valid under one JSON schema is valid under another.

`node.py` reads schemas, `writer.py` what they say together, `comparison.py` compares; the other modules hold the rules,
each a function named after what it demands. The names of broken rules are those of Confluent's registry where it has
one for it, since those are what its users look for.
"""

from moldau.registry.compat.json_schema.comparison import RULES, check

__all__ = ["RULES", "check"]
