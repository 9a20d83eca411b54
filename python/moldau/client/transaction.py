"""One transaction, from begin to commit or abort, and what to do when either fails.

The rules are KIP-98's and librdkafka's: an error says by itself whether the same call may be made again
(`retriable`) or whether the producer is of no more use (`fatal`, for instance because another one has taken its
`transactional.id`; aborting fails too then). A commit that ran out of time may have happened: it must be asked again,
not aborted.

The block's own exception is never hidden by what goes wrong while aborting; that is added to it as a note. One
exception: if the consumer could not be sent back, going on would skip messages, so that error is raised from the
block's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from confluent_kafka import KafkaError, KafkaException

if TYPE_CHECKING:
    from moldau.client.consumer import Consumer
    from moldau.client.producer import Producer

ATTEMPTS = 3


@contextmanager
def transact(producer: Producer, consumer: Consumer | None, timeout: float) -> Iterator[None]:
    """Begin, then commit what the block produced, or abort it. See Producer.transaction."""
    producer.begin_transaction()
    try:
        yield
        send_offsets(producer, consumer, timeout)
    except BaseException as error:
        roll_back(producer, consumer, error, timeout)
        raise
    try:
        patiently(lambda: producer.commit_transaction(timeout))
    except BaseException as error:
        if isinstance(error, KafkaException) and not reason(error).retriable():
            roll_back(producer, consumer, error, timeout)
        else:
            error.add_note("it is not known whether the transaction was committed: call commit_transaction() again")
        raise


def send_offsets(producer: Producer, consumer: Consumer | None, timeout: float) -> None:
    """Add the consumer's positions, if it has any, to the transaction."""
    positions = consumer.position(consumer.assignment()) if consumer is not None else []
    valid = [position for position in positions if position.offset >= 0]
    if consumer is not None and valid:
        group = consumer.consumer_group_metadata()
        patiently(lambda: producer.send_offsets_to_transaction(valid, group, timeout))


def roll_back(producer: Producer, consumer: Consumer | None, error: BaseException, timeout: float) -> None:
    """Abort, and send the consumer back: the messages of this transaction are to be had again."""
    try:
        patiently(lambda: producer.abort_transaction(timeout))
    except KafkaException as failure:
        error.add_note(f"the transaction could not be aborted either: {reason(failure).str()}")
    if consumer is not None:
        consumer.seek_to_committed()


def patiently(call: Callable[[], None]) -> None:
    """Make the call, again while its error says that this may help."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return call()
        except KafkaException as error:
            if attempt == ATTEMPTS or not reason(error).retriable():
                raise
    raise AssertionError("the last attempt returned or raised")


def reason(error: KafkaException) -> KafkaError:
    """The KafkaError inside a KafkaException."""
    inner = error.args[0] if error.args else None
    return inner if isinstance(inner, KafkaError) else KafkaError(KafkaError._FAIL, str(error))  # noqa: SLF001
