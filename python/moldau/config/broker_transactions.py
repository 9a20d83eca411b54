"""Producer ids and transactions.

Facts are Apache Kafka 4.3's; the sentences and the reasons are ours. How to read a row: `key.row`.
"""

from __future__ import annotations

from typing import Final

from moldau.config.key import AtLeast, ConfigKey, row, table
from moldau.config.words import BOOLEAN, CLUSTER_WIDE, INT, SHORT

KEYS: Final[dict[str, ConfigKey]] = table(
    row(
        INT,
        "transaction.state.log.min.isr",
        2,
        "Replicas in sync that a write to __transaction_state needs.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.state.log.load.buffer.size",
        5_242_880,
        "How much is read at a time when transactions are loaded.",
        AtLeast(1),
        no_effect="coordinators read their logs a megabyte at a time",
    ),
    row(
        SHORT,
        "transaction.state.log.replication.factor",
        3,
        "Replicas of __transaction_state.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.state.log.num.partitions",
        50,
        "Partitions of __transaction_state.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.state.log.segment.bytes",
        104_857_600,
        "Segment size of __transaction_state.",
        AtLeast(1),
    ),
    row(
        BOOLEAN,
        "transaction.partition.verification.enable",
        True,
        "Whether a partition asks the coordinator if a transaction is real.",
        dynamic=CLUSTER_WIDE,
    ),
    row(
        INT,
        "producer.id.expiration.ms",
        86_400_000,
        "A partition forgets an idempotent producer that is silent for this long.",
        AtLeast(1),
        dynamic=CLUSTER_WIDE,
        no_effect="a silent producer is forgotten after a day",
    ),
    row(
        INT,
        "producer.id.expiration.check.interval.ms",
        600_000,
        "How often silent producers are looked for.",
        AtLeast(1),
        internal=True,
        no_effect="silent producers are looked for with retention: log.retention.check.interval.ms",
    ),
    row(
        INT,
        "transactional.id.expiration.ms",
        604_800_000,
        "A transactional id that is unused for this long is forgotten.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.max.timeout.ms",
        900_000,
        "The longest transaction timeout that a producer may ask for.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        10_000,
        "How often transactions that ran out of time are aborted.",
        AtLeast(1),
    ),
    row(
        INT,
        "transaction.remove.expired.transaction.cleanup.interval.ms",
        3_600_000,
        "How often forgotten transactional ids are removed.",
        AtLeast(1),
    ),
    row(
        BOOLEAN,
        "transaction.two.phase.commit.enable",
        False,
        "Whether an outside coordinator may keep transactions open without a timeout.",
        no_effect="two-phase commit (KIP-939) is not stable in Kafka 4.3, and not served",
    ),
    row(
        INT,
        "add.partitions.to.txn.retry.backoff.ms",
        20,
        "How long to wait before partitions are added to a transaction again.",
        AtLeast(1),
    ),
    row(
        INT,
        "add.partitions.to.txn.retry.backoff.max.ms",
        100,
        "The upper bound of that wait.",
        AtLeast(0),
    ),
)
