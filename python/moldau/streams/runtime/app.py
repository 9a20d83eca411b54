"""`KafkaStreams`: a topology that runs over a cluster, in threads of this process.

    KafkaStreams(builder.build(), application_id="orders-app", bootstrap_servers="localhost:9092").run()

runs until the process is told to stop. In a program that does something else beside it, it is a `with` block.

Start-up looks at the cluster first: what is missing or does not fit is an error of `start()`, not of a thread later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Any, Final, Self

from confluent_kafka.admin import AdminClient

from moldau.client.protocol.security import security_of
from moldau.streams.errors import StreamsError
from moldau.streams.persistent import is_on_disk
from moldau.streams.runtime.directory import StateDirectory
from moldau.streams.runtime.environment import Environment, layout_options
from moldau.streams.runtime.foreground import in_foreground
from moldau.streams.runtime.global_thread import GlobalThread
from moldau.streams.runtime.internal_topics import existing_topics, make_ready
from moldau.streams.runtime.layout import lay_out
from moldau.streams.runtime.metrics import exposition, of_threads
from moldau.streams.runtime.queries import LocalTasks, ReadOnlyStore, Router
from moldau.streams.runtime.query_server import QueryServer, ask_instance
from moldau.streams.runtime.settings import StreamsSettings, StreamsSettingsError, load
from moldau.streams.runtime.states import State, StateListener, StateMachine
from moldau.streams.runtime.thread import StreamThread
from moldau.streams.topology.optimization import SETTING as OPTIMIZATION
from moldau.streams.topology.topology import Topology

logger: Final = logging.getLogger("moldau.streams")

CLOSE_TIMEOUT_S: Final = 60.0
QUERY_TIMEOUT_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.05
_LOOK_FOR_SIGNALS_S: Final = 0.2


class UncaughtResponse(Enum):
    """What becomes of the application when a thread fails. (KIP-671)"""

    REPLACE_THREAD = "replace_thread"
    SHUTDOWN_CLIENT = "shutdown_client"
    SHUTDOWN_APPLICATION = "shutdown_application"


UncaughtExceptionHandler = Callable[[Exception], UncaughtResponse]


class KafkaStreams:
    """One instance of an application. Its methods may be called from any thread."""

    def __init__(self, topology: Topology, config: Mapping[str, Any] | None = None, **settings: Any) -> None:
        """Prepare an instance; the cluster is not asked before `start()`.

        Args:
            topology: what to run.
            config: settings by Kafka's names, `{"application.id": "orders-app"}`.
            settings: the same as keywords, with underscores for dots.

        Raises:
            StreamsSettingsError: with every setting that cannot be used.
        """
        self.topology = topology
        self.settings: StreamsSettings = load(config, settings)
        wanted = self.settings.topology_optimization
        if wanted is not None and wanted != topology.optimization:
            raise StreamsSettingsError(
                [f"{OPTIMIZATION}: the topology was built without it; give the same settings to builder.build(...)"]
            )
        self._machine = StateMachine()
        self._uncaught: UncaughtExceptionHandler = lambda _: UncaughtResponse.SHUTDOWN_CLIENT
        self._threads: list[StreamThread] = []
        self._changing = threading.RLock()
        self._environment: Environment | None = None
        self._directory: StateDirectory | None = None
        self._queries: QueryServer | None = None
        self._global: GlobalThread | None = None
        self._global_failure: Exception | None = None
        self._tables_are_there = False
        self.failure: Exception | None = None
        """What the start, or the first thread that failed for good, failed with."""

    @property
    def state(self) -> State:
        """What the instance is doing."""
        return self._machine.state

    def set_state_listener(self, listener: StateListener) -> None:
        """Have `listener(new, old)` called at every change. (`KafkaStreams#setStateListener`)

        It is called in the thread that changes the state: it must not wait for the application, as `close()` does.
        What it raises is logged.
        """
        self._machine.listener = listener

    def set_uncaught_exception_handler(self, handler: UncaughtExceptionHandler) -> None:
        """Have `handler(error)` decide what happens when a thread fails; without it the instance shuts down.

        It is called in the thread that fails: it must not wait for the application, as `close()` does. If it raises,
        that is logged and the instance shuts down.
        """
        self._uncaught = handler

    def start(self) -> Self:
        """Check the cluster, make internal topics, start the threads; returns while they still join the group.

        Raises:
            MissingTopicsError, CopartitionError, InternalTopicError, ClusterError, StateDirectoryError: as they say.
        """
        self._machine.begin()
        try:
            self._environment = self._prepare()
            self._read_global_tables(self._environment)
            if self._queries is not None:
                self._queries.start(self._local(), self._router(), lambda: exposition(self.metrics()))
        except BaseException as error:
            self.failure = error if isinstance(error, Exception) else None
            self._machine.move(State.PENDING_ERROR)
            self._machine.move(State.ERROR)
            self._release()
            raise
        with self._changing:
            if not self.state.is_running_or_rebalancing:
                # Closed by another thread, or by a listener, while the cluster was looked at.
                self._release()
                return self
            self._threads = [self._thread(index + 1) for index in range(self.settings.num_stream_threads)]
            for thread in self._threads:
                thread.start()
        return self

    def _prepare(self) -> Environment:
        settings = self.settings
        # Security that a member of the group does not know is an error here, not of a thread later.
        security_of(settings.consumer(""))
        admin = AdminClient(settings.admin(f"{settings.client_id or settings.application_id}-admin"))
        existing = existing_topics(admin)
        layout = lay_out(self.topology, existing, layout_options(settings))
        make_ready(admin, layout.internal_topics, existing, settings.replication_factor)
        self._directory = StateDirectory(
            settings.application_dir,
            needed=any(is_on_disk(self.topology.stores[store]) for store in layout.stores),
        )
        if settings.application_server:
            self._queries = QueryServer(settings.application_id, settings.application_server)
            settings = replace(settings, application_server=self._queries.address)
        environment = Environment(self.topology, layout, settings, self._directory.process_id, admin)
        environment.whereabouts.look_at_disk(settings.application_dir, layout)
        return environment

    def _read_global_tables(self, environment: Environment) -> None:
        """Begin to read global tables and wait until they are there, or until the application is closed."""
        if not environment.layout.global_sub_topologies:
            return
        thread = self._global = GlobalThread(environment, self._global_ended)
        environment.global_stores.update(thread.stores)
        thread.start()
        while self.state.is_running_or_rebalancing and not thread.caught_up.wait(_LOOK_AGAIN_S):
            if self._global_failure is not None:
                raise self._global_failure
        self._tables_are_there = True

    def _global_ended(self, failure: Exception | None) -> None:
        """Called in the thread that ends. Without its global tables an instance cannot go on, as in Kafka Streams."""
        if failure is None:
            return
        logger.error("the thread of the global tables has failed", exc_info=failure)
        self._global_failure = failure
        if self._tables_are_there:
            self._shut_down(failure)

    def _thread(self, index: int) -> StreamThread:
        assert self._environment is not None
        return StreamThread(self._environment, index, self._thread_changed, self._thread_ended)

    def _thread_changed(self) -> None:
        self._machine.settle(self._state_of_threads)

    def _state_of_threads(self) -> State:
        threads = list(self._threads)
        running = bool(threads) and all(thread.is_running for thread in threads)
        return State.RUNNING if running else State.REBALANCING

    def _thread_ended(self, thread: StreamThread, failure: Exception | None) -> None:
        """Called in the thread that ends."""
        if failure is None:
            return
        logger.error("%s has failed", thread.name, exc_info=failure)
        decision = self._decide(failure)
        if decision is UncaughtResponse.REPLACE_THREAD and not thread.is_stopping:
            with self._changing:
                if not self.state.is_running_or_rebalancing:
                    return
                self._threads.remove(thread)
                new = self._thread(thread.index)
                self._threads.append(new)
                new.start()
            return
        if decision is UncaughtResponse.SHUTDOWN_APPLICATION:
            logger.error("the other instances of %s have to be stopped too", self.settings.application_id)
        self._shut_down(failure)

    def _shut_down(self, failure: Exception) -> None:
        self.failure = self.failure or failure
        if self._machine.move(State.PENDING_ERROR):
            name = f"{self.settings.application_id}-shutdown"
            threading.Thread(target=self._end, args=(State.ERROR,), name=name, daemon=True).start()

    def _decide(self, failure: Exception) -> UncaughtResponse:
        try:
            return self._uncaught(failure)
        except Exception:
            # Without a decision the application would stay as it is, with a thread less and nobody to say so.
            logger.exception("the handler of uncaught exceptions has failed: the instance shuts down")
            return UncaughtResponse.SHUTDOWN_CLIENT

    def _end(self, last: State) -> None:
        with self._changing:
            threads = list(self._threads)
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join()
        self._release()
        self._machine.move(last)

    def _release(self) -> None:
        thread, self._global = self._global, None
        if thread is not None and thread.is_alive():
            thread.stop()
            thread.join()
        if self._queries is not None:
            self._queries.close()
            self._queries = None
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    def close(self, timeout_s: float = CLOSE_TIMEOUT_S) -> bool:
        """Commit, leave the group and end all threads; whether that was done in time. Does nothing the second time."""
        if self._machine.move(State.PENDING_SHUTDOWN):
            threading.Thread(
                target=self._end, args=(State.NOT_RUNNING,), name=f"{self.settings.application_id}-close", daemon=True
            ).start()
        return self._machine.wait(lambda state: state.has_ended, timeout_s)

    def wait_until_running(self, timeout_s: float = CLOSE_TIMEOUT_S) -> Self:
        """Wait until all tasks of this instance are assigned, restored and at work.

        Raises:
            StreamsError: the instance has failed; the failure is chained.
            TimeoutError: it takes longer.
        """
        came = self._machine.wait(lambda state: state is State.RUNNING or state.has_ended, timeout_s)
        if not came:
            raise TimeoutError(f"{self.settings.application_id} is still {self.state.value} after {timeout_s:g} s")
        if self.state is not State.RUNNING:
            raise StreamsError(f"{self.settings.application_id} is {self.state.value}") from self.failure
        return self

    def wait_until_stopped(self, timeout_s: float | None = None) -> bool:
        """Wait until the instance has ended; whether it has."""
        if timeout_s is not None:
            return self._machine.wait(lambda state: state.has_ended, timeout_s)
        # In turns: a signal that comes just before a wait begins, or to another thread, does not interrupt it.
        while not self._machine.wait(lambda state: state.has_ended, _LOOK_FOR_SIGNALS_S):
            pass
        return True

    def run(self) -> None:
        """Run until SIGINT, SIGTERM or the end of the instance, then close: for a program that is nothing else.

        What was started before goes on; a second signal does not wait for the close. While it runs Python's garbage
        collector looks seldom (after 50,000 new containers, not at Python's own threshold), for records are gone
        without it.

        Raises:
            StreamsError: the instance has failed, with the failure chained; or it was closed before, and can be started
                once. And what `start()` raises.
        """
        if self.state.has_ended and self.failure is None:
            # It raises: an instance begins once.
            self._machine.begin()
        with in_foreground(self):
            if self.state is State.CREATED:
                self.start()
            self.wait_until_stopped()
        if self.failure is not None:
            raise StreamsError(f"{self.settings.application_id} has failed: {self.failure}") from self.failure

    def store(self, name: str, timeout_s: float = QUERY_TIMEOUT_S, *, stale: bool = False) -> ReadOnlyStore:
        """A store to ask, whichever instance has what is asked for.

        Other instances are found and answer if they have an `application.server`. A query waits `timeout_s` for a part
        that is being moved and then raises `StoreNotAvailableError`. With `stale` copies answer too, and stores that
        are being restored: without a wait, and perhaps not with the latest. (KIP-535)

        Raises:
            StreamsError: the topology has no such store, or the application was not started.
        """
        return ReadOnlyStore(name, self._router(), self._local().serdes(name), timeout_s, stale=stale)

    @property
    def application_server(self) -> str | None:
        """Where this instance answers queries over HTTP; None if it does not."""
        return None if self._queries is None else self._queries.address

    def _local(self) -> LocalTasks:
        if self._environment is None:
            raise StreamsError(f"{self.settings.application_id} was not started: it has no stores yet")
        return LocalTasks(self._environment, lambda: list(self._threads))

    def _router(self) -> Router:
        local = self._local()
        assert self._environment is not None
        return Router(self._environment, local, partial(ask_instance, self.settings.application_id))

    def metrics(self) -> dict[str, Any]:
        """What the instance, each thread and each task has done since the start: counts, seconds, lag, sizes.

        `runtime/metrics.py` says what there is; over HTTP the same is at `/metrics` in Prometheus' text format.
        """
        return {
            "application_id": self.settings.application_id,
            "state": self.state.value,
            "global_records": 0 if self._global is None else self._global.records,
            "threads": of_threads(list(self._threads)),
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # Whoever interrupts a close does not want to wait for one more.
        if not (isinstance(error, KeyboardInterrupt) and self.state is State.PENDING_SHUTDOWN):
            self.close()
