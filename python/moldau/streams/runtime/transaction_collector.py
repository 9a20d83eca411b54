"""Where records leave a thread under exactly-once: the same batches, in transactions of a producer of our own.

A transaction is begun with the first work after a commit. One in which a record was refused cannot be committed: the
record is remembered, and the thread does the work since the last commit again without it. It does so when the commit is
due, not before: until then more that are refused become known. The transaction that does without them is committed as
soon as all of them have come again, so that it hardly gets to others that nobody knows of yet.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final

from moldau.client.membership import Commit, GroupMetadata
from moldau.client.producing import ProduceError, RecordProducer, UnfinishedError
from moldau.client.protocol.partitions import Partition
from moldau.streams.errors import StreamsError
from moldau.streams.runtime.batch_collector import BatchCollector
from moldau.streams.runtime.exception_handlers import Failure, Handler
from moldau.streams.runtime.left_out import LeftOut
from moldau.streams.runtime.outcomes import ProductionError, TaskMigratedError, outcome_of

logger: Final = logging.getLogger("moldau.streams")


class TransactionCollector(BatchCollector):
    """Output of one thread under exactly-once. Belongs to that thread."""

    def __init__(
        self,
        producer: RecordProducer,
        *,
        handler: Handler,
        patience_s: float,
        dead_letters: str | None = None,
        left_out: LeftOut,
    ) -> None:
        super().__init__(producer, handler=handler, patience_s=patience_s, dead_letters=dead_letters, left_out=left_out)
        self._in_transaction = False
        self._begins_again: TaskMigratedError | None = None
        """Why the transaction that is open cannot be committed."""

    def initialise(self) -> None:
        """Fence whoever has written in our name, and wait until what they left open is aborted.

        Raises:
            ProductionError: the cluster does not answer, or refuses it.
        """
        self._persist(self._producer.init_transactions)

    def begin(self) -> None:
        """Begin a transaction, if none is open."""
        if not self._in_transaction:
            try:
                self._producer.begin_transaction()
            except ProduceError as error:
                raise outcome_of(error) from error
            self._in_transaction = True

    def dead_letter(self, failure: Failure) -> None:
        """Write a record that is left behind to the dead letters, if there are any, in the transaction. (KIP-1034)"""
        if self._dead_letters is not None:
            self.begin()
            super().dead_letter(failure)

    def flush(self) -> None:
        """Wait until everything is delivered.

        Raises:
            TaskMigratedError: records were refused, and the handler goes on: it is to be done again without them.
            ProductionError: a record was refused.
        """
        super().flush()
        if self._begins_again is not None:
            raise self._begins_again

    @property
    def wants_commit(self) -> bool:
        """Whether all that was refused before has come again, and nothing else was refused since."""
        return self._begins_again is None and self._left_out.have_come

    def commit(self, offsets: Mapping[Partition, Commit], group: GroupMetadata) -> None:
        """Commit the transaction with these offsets; begin one if nothing was written since the last.

        Raises:
            TaskMigratedError: it is not committed, or it is not known whether it is.
            FencedInstanceError: another process has come as this static member.
            ProductionError: the cluster refuses it for good, or has not said what became of it.
        """
        self.begin()
        producer = self._producer
        self._persist(lambda timeout_s: producer.send_offsets_to_transaction(offsets, group, timeout_s))
        self._persist(producer.commit_transaction)
        self._in_transaction = False
        self._left_out.committed()

    def abort(self) -> None:
        """Undo what was written since the last commit, as far as that can be said to the cluster."""
        self._failed = self._begins_again = None
        # Dead letters would be aborted with the rest.
        self._letters.clear()
        self._left_out.aborted()
        if self._in_transaction:
            self._in_transaction = False
            try:
                self._producer.abort_transaction(self._patience_s)
            except ProduceError as error:
                # A fenced producer has nothing left to abort; else the cluster's transaction timeout will do it.
                logger.info("the transaction could not be aborted: %s", error)

    def _persist(self, call: Callable[[float], None]) -> None:
        try:
            call(self._patience_s)
        except UnfinishedError as error:
            raise ProductionError(str(error)) from error
        except ProduceError as error:
            raise outcome_of(error) from error

    def _go_on_without(self, failure: Failure) -> None:
        self._left_out.add(failure.topic, failure.key, failure.value, failure.error)
        self._begins_again = self._begins_again or TaskMigratedError(
            f"{failure.topic} refused a record, which is left out: the transaction is begun again without it"
        )

    def _broken(self, error: Exception) -> StreamsError:
        return outcome_of(error)
