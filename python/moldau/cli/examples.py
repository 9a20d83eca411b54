"""Examples that stand below the help of a command, and that a test runs."""

from __future__ import annotations

from typing import Final

EXAMPLES: Final[dict[str, tuple[str, ...]]] = {
    "topic create": (
        "moldau topic create orders --partitions 24",
        "moldau topic create users -p 6 -c cleanup.policy=compact --if-absent",
    ),
    "topic offsets": ("moldau topic offsets orders", "moldau topic offsets orders --at @-1h"),
    "topic trim": ("moldau topic trim orders --before @-7d", "moldau topic trim orders:0 --before 1 --execute"),
    "topic config": ("moldau topic config orders --set retention.ms=3600000",),
    "group seek": (
        "moldau group seek billing --to @-1h --topic orders",
        "moldau group seek billing --to earliest --save before.csv --execute",
        "moldau group seek billing --to-file before.csv --execute",
    ),
    "streams run": ("moldau streams run revenue.py:topology -b kafka:9092 --exactly-once --http 127.0.0.1:7070",),
    "streams topology": ("moldau streams topology revenue.py:topology",),
    "streams reset": (
        "moldau streams reset revenue --input-topics orders",
        "moldau streams reset revenue --input-topics orders --to @-1h --execute",
    ),
    "consume": (
        "moldau consume orders --from @-1h:end",
        "moldau consume orders --from -10 --end --format '%p/%o %T{iso} %k %v\\n'",
        "moldau consume orders --from :end --filter 'value.amount > 10'",
        "moldau consume orders --from earliest --end -o jsonl",
    ),
    "produce": (
        "echo 'customer-1:{\"amount\": 12}' | moldau produce orders --key-separator :",
        "moldau produce users --key customer-1 --tombstone",
        "moldau consume orders -f :end -o jsonl | moldau produce copy --json",
    ),
    "config show": ("moldau config show topic orders", "moldau config show broker 1 --all"),
    "config set": ("moldau config set topic orders retention.ms=3600000 segment.ms=600000",),
    "config explain": ("moldau config explain retention.ms",),
    "log dump": ("moldau log dump kafka-data/orders-0 --records",),
    "profile create": ("moldau profile create work -b kafka:9092 -X security.protocol=ssl",),
}


def epilogue(command: str) -> str:
    """What stands below the help of a command."""
    return "\n".join(["Examples:", *(f"  {line}" for line in EXAMPLES.get(command, ()))])
