"""Where a worker keeps configurations: in a topic that all workers of a group read, or in memory.

A store calls its listener for each change, in whatever thread the change came by; the listener may not wait. What is
written is in the next snapshot when the writing call returns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from moldau.connect.runtime.config_records import (
    Config,
    ConfigState,
    Event,
    Pair,
    RestartRequest,
    SessionKey,
    connector_records,
    fencing_record,
    logger_record,
    removal_records,
    restart_record,
    session_key_record,
    target_state_record,
    task_records,
)
from moldau.connect.runtime.fenced_writer import FencedWriter, PrivilegeLostError
from moldau.connect.runtime.names import TargetState
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings, text_of

Listener = Callable[[Event], None]
Records = Sequence[Pair] | Callable[[ConfigState], Sequence[Pair]]
"""What to write, or what says it when it is shown all that was written before."""


class ConfigStore:
    """The configurations. `_append` is what differs between memory and a topic."""

    def __init__(self) -> None:
        self._state = ConfigState()
        self._lock = threading.Lock()
        # Whoever leads decides and writes under it, as if it were one step.
        self._leading = threading.RLock()
        self._listener: Listener = lambda _event: None
        self._started = False

    def start(self, listener: Listener) -> None:
        """Read what is there; the listener hears what comes after that."""
        self._listener = listener
        self._open()
        self._started = True

    def stop(self) -> None:
        """Close the clients, if there are any."""

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Return when everything is in the snapshot that was written until now, by whomever, or nobody waits for it."""

    def lead(self) -> None:
        """This worker leads: nobody writes as the leader who did before. Cheap when that is so already."""

    def follow(self) -> None:
        """This worker does not lead."""

    def snapshot(self) -> ConfigState:
        """What is known, unchanged by what comes."""
        with self._lock:
            return self._state.snapshot()

    # What only the leader may write.

    def put_connector(self, name: str, config: Config, target: TargetState | None = None) -> None:
        """Create or replace a connector's configuration."""
        self._append_as_leader(connector_records(name, config, target))

    def remove_connector(self, name: str) -> None:
        """Forget a connector and its tasks."""
        self._append_as_leader(removal_records(name))

    def put_tasks(self, name: str, configs: Sequence[Config]) -> None:
        """Replace the configurations of a connector's tasks, all at once."""
        self._append_as_leader(task_records(name, configs))

    def put_restart(self, request: RestartRequest) -> None:
        """Have a connector, and perhaps its tasks, restarted by whoever runs them."""
        self._append_as_leader([restart_record(request)])

    def put_fencing(self, name: str, judge: Callable[[ConfigState], int | None]) -> None:
        """Older tasks of a connector were shut out: how many there may be now is said by `judge`, None for nothing.

        It is shown all that is written, and nobody writes anything before what it says is.
        """

        def records(state: ConfigState) -> Sequence[Pair]:
            count = judge(state)
            return [] if count is None else [fencing_record(name, count)]

        self._append_as_leader(records)

    def put_session_key(self, key: SessionKey) -> None:
        """Replace the key with which workers sign."""
        self._append_as_leader([session_key_record(key)])

    # What any worker may.

    def put_target_state(self, name: str, state: TargetState) -> None:
        """Say what a connector shall be."""
        self._append([target_state_record(name, state)])

    def put_logger(self, namespace: str, level: str) -> None:
        """Set a log level everywhere."""
        self._append([logger_record(namespace, level)])

    def _open(self) -> None:
        """Nothing to read in memory."""

    def _append(self, pairs: Sequence[Pair]) -> None:
        for key, value in pairs:
            self._take(key, value, self._state.offset + 1)

    def _append_as_leader(self, records: Records) -> None:
        with self._leading:
            pairs = records(self.snapshot()) if callable(records) else records
            self._append(pairs)

    def _take(self, key: str | None, value: bytes | None, offset: int) -> None:
        with self._lock:
            event = self._state.apply(key, value, offset)
        if event is not None and self._started:
            self._listener(event)


class TopicConfigStore(ConfigStore):
    """The configurations in the config topic. With a `writer` the leader's records are written in its transactions."""

    def __init__(self, topic: TopicSettings, clients: Clients, writer: FencedWriter | None = None) -> None:
        super().__init__()
        self._log = TopicLog(topic, clients, lambda key, value, offset: self._take(text_of(key), value, offset))
        self._writer = writer

    def stop(self) -> None:
        """Close the clients."""
        if self._writer is not None:
            self._writer.relinquish()
        self._log.stop()

    def refresh(self, given_up: Callable[[], bool] | None = None) -> None:
        """Read to the end."""
        self._log.read_to_end(given_up=given_up)

    def lead(self) -> None:
        """Claim to be the only one, which ends what one before has left open. Raises ConnectError."""
        if self._writer is not None:
            with self._leading:
                if self._writer.claim():
                    self._log.read_to_end()

    def follow(self) -> None:
        """Claim it anew when this worker leads again."""
        if self._writer is not None:
            with self._leading:
                self._writer.relinquish()

    def _open(self) -> None:
        self._log.start()

    def _append(self, pairs: Sequence[Pair]) -> None:
        self._log.write(pairs)
        self._log.read_to_end()

    def _append_as_leader(self, records: Records) -> None:
        with self._leading:
            if self._writer is None:
                if callable(records):
                    self._log.read_to_end()
                super()._append_as_leader(records)
                return
            try:
                self._write_fenced(self._writer, records)
            except PrivilegeLostError:
                # By one that leads no more, as a rule, or that led in between: a second claim is the last.
                self._write_fenced(self._writer, records)
            self._log.read_to_end()

    def _write_fenced(self, writer: FencedWriter, records: Records) -> None:
        if writer.claim() or callable(records):
            self._log.read_to_end()
        pairs = records(self.snapshot()) if callable(records) else records
        if pairs:
            writer.write(pairs)
