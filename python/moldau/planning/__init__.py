"""How large a topic and its cluster have to be: the sizing rules of the streaming guide as arithmetic.

    plan = size(Load(peak_mb_s=100, consumers=4, replication_factor=3), Limits())
    plan.partitions.value          # 24
    plan.partitions.why            # "… need 10; 2 times that for headroom is 20; rounded up …"

Pure: it imports no client and asks no cluster. Every number comes with the rule that decided it. What the numbers
cannot know (the disk of a certain machine, the size of a certain message) is an argument with the guide's default.
"""

from moldau.planning.load import Limits, Load, LoadError
from moldau.planning.sizing import Figure, Plan, size

__all__ = ["Figure", "Limits", "Load", "LoadError", "Plan", "size"]
