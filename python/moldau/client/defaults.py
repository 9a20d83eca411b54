"""Where Moldau's clients start from another value than librdkafka does, and why. What a user sets is never touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from moldau.client.settings import Settings


@dataclass(frozen=True, slots=True)
class Default:
    """A value for a setting that was not given; `applies` looks at those that were."""

    name: str
    value: str
    who: str
    """Which client, as the table in docs/reference says it."""
    note: str
    applies: Callable[[Settings], bool] = lambda _: True


PRODUCER_DEFAULTS = (
    Default(
        name="partitioner",
        value="murmur2_random",
        who="producer",
        note="Puts a key where Java's producer puts it. librdkafka's own is `consistent_random`.",
    ),
    Default(
        name="metadata.recovery.strategy",
        value="none",
        who="producer with a `transactional.id`",
        note="librdkafka (2.16) that has lost its last broker and begins again from `bootstrap.servers` waits for ever "
        "in `send_offsets_to_transaction()`. Set `rebootstrap`, its own default, where the addresses of all brokers "
        "may change while a producer lives.",
        applies=lambda settings: bool(settings.get("transactional.id")),
    ),
)


def with_producer_defaults(settings: Settings) -> Settings:
    """The settings, in librdkafka's names, with ours for what was left open."""
    return {each.name: each.value for each in PRODUCER_DEFAULTS if each.applies(settings)} | settings
