"""Whether what was written with one Protobuf file can be read with another.

`members.py` says what a field is, `comparison.py` compares; `messages.py` and `fields.py` hold the rules, each a
function named after what it demands. The names of broken rules are those of Confluent's registry, as are the verdicts;
where ours is stricter, the rule says so.
"""

from moldau.registry.compat.protobuf.comparison import FIELD_RULES, MESSAGE_RULES, check

__all__ = ["FIELD_RULES", "MESSAGE_RULES", "check"]
