"""What a herder makes of configurations, with a worker that only notes what it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from moldau.connect.runtime import herder as herder_module
from moldau.connect.runtime.config_stores import ConfigStore
from moldau.connect.runtime.herder import Herder, Stores
from moldau.connect.runtime.membership import Alone
from moldau.connect.runtime.names import ConnectorType, TargetState, TaskId
from moldau.connect.runtime.refusals import RebalancingError, RefusedError
from moldau.connect.runtime.status_stores import MemoryStatusStore

WAIT_S = 30.0


class NotingWorker:
    """Runs nothing; a connector that is started says at once that it wants its tasks divided."""

    def __init__(self) -> None:
        self.settings = SimpleNamespace(distributed=False, exactly_once=False, seconds=lambda _name: self.patience_s)
        self.patience_s = WAIT_S
        self.notes: list[str] = []
        self.noted = threading.Condition()
        self._connectors: dict = {}
        self._tasks: dict = {}

    def note(self, text: str) -> None:
        with self.noted:
            self.notes.append(text)
            self.noted.notify_all()

    def wait_for(self, *texts: str) -> None:
        with self.noted:
            assert self.noted.wait_for(lambda: self.notes[-len(texts) :] == list(texts), WAIT_S), self.notes

    def start(self, listener, _gate):
        self._listener = listener

    def stop(self):
        pass

    def stop_everything(self):
        pass

    def fence_producers(self, *_given):
        pass

    def type_of(self, _config):
        return ConnectorType.SOURCE

    def has_connector(self, name):
        return name in self._connectors

    def connector_configs(self):
        return dict(self._connectors)

    def version_of(self, _name):
        return None

    version_of_task = version_of

    def start_connector(self, name, raw, _target):
        self._connectors[name] = raw
        self.note(f"+{name}")
        self._listener.on_tasks_wanted(name)

    def set_connector_target(self, name, target):
        pass

    set_task_target = set_connector_target

    def stop_connectors(self, names):
        for name in names:
            del self._connectors[name]
            self.note(f"-{name}")

    def divide(self, name):
        return [{"number": "0"}] if name in self._connectors else None

    def has_task(self, task):
        return task in self._tasks

    def task_generations(self):
        return dict(self._tasks)

    def start_task(self, task, _raw, _raw_task, _target, generation):
        self._tasks[task] = generation
        self.note(f"+{task}")

    def stop_tasks(self, tasks):
        for task in tasks:
            del self._tasks[task]
            self.note(f"-{task}")


@pytest.fixture
def herder() -> Iterator[Herder]:
    made = Herder(NotingWorker(), Stores(ConfigStore(), MemoryStatusStore()), Alone(), "here:1")
    made.start()
    yield made
    made.stop()


def create(herder: Herder) -> None:
    herder.create_or_replace("files", {"name": "files"}, replace=False)


def test_a_connector_that_is_deleted_and_created_in_one_breath_is_another_one(herder):
    create(herder)
    herder.worker.wait_for("+files", "+files-0")

    def both():
        herder.delete("files")
        create(herder)
        # As a leader on another machine would have written them by the time that this worker looks.
        herder.configs.put_tasks("files", [{"number": "0"}])

    herder.do(both)
    herder.worker.wait_for("-files-0", "-files", "+files", "+files-0")


def test_a_connector_that_is_configured_as_it_was_divides_nothing_anew(herder):
    create(herder)
    herder.worker.wait_for("+files", "+files-0")
    herder.create_or_replace("files", {"name": "files"}, replace=True)
    herder.worker.wait_for("+files-0", "-files", "+files")


def test_what_is_revoked_while_the_worker_stops_has_stopped_before_the_group_hears_of_it(herder):
    stops, may_end = threading.Event(), threading.Event()

    def stop_everything():
        stops.set()
        assert may_end.wait(WAIT_S)

    herder.worker.stop_everything = stop_everything
    stopping = threading.Thread(target=herder.stop)
    stopping.start()
    assert stops.wait(WAIT_S)
    releasing = threading.Thread(target=herder.release)
    releasing.start()
    releasing.join(0.1)
    assert releasing.is_alive()
    may_end.set()
    releasing.join(WAIT_S)
    stopping.join(WAIT_S)
    assert not releasing.is_alive()


def test_whatever_of_the_end_fails_the_rest_is_closed(herder, caplog):
    closed = []
    for part in ("membership", "configs", "statuses", "worker"):

        def stop(part=part):
            closed.append(part)
            raise ValueError(f"{part} is of no more use")

        getattr(herder, part).stop = stop
    herder.stop()
    assert closed == ["membership", "configs", "statuses", "worker"]
    assert all(f"{part} is of no more use" in caplog.text for part in closed)


def test_a_herder_that_does_not_end_is_left_to_itself(herder, monkeypatch, caplog):
    begun, may_end = threading.Event(), threading.Event()
    monkeypatch.setattr(herder_module, "STOP_EXTRA_S", 0.0)
    monkeypatch.setattr(herder_module, "CONNECTOR_STOP_TIMEOUT_S", 0.0)
    herder.worker.patience_s = 0.0

    def hang():
        begun.set()
        may_end.wait(WAIT_S)

    asking = threading.Thread(target=herder.do, args=(hang,))
    asking.start()
    assert begun.wait(WAIT_S)
    try:
        herder.stop()
        assert "left to itself" in caplog.text
    finally:
        may_end.set()
        asking.join(WAIT_S)


def test_a_change_of_offsets_that_takes_long_holds_up_nobody_but_the_tasks_it_concerns(herder):
    create(herder)
    herder.worker.wait_for("+files", "+files-0")
    herder.stop_connector("files")
    herder.worker.wait_for("-files-0")
    begun, may_end, said = threading.Event(), threading.Event(), []

    def alter_offsets(name, _config, offsets, _timeout_s):
        begun.set()
        assert may_end.wait(WAIT_S)
        return f"{name} is at {offsets}"

    herder.worker.alter_offsets = alter_offsets
    asking = threading.Thread(target=lambda: said.append(herder.offsets.alter("files", [({}, 7)])))
    asking.start()
    assert begun.wait(WAIT_S)
    # Somebody lets it go on too early, and another connector is created.
    herder.set_target_state("files", TargetState.STARTED)
    herder.do(lambda: herder.configs.put_tasks("files", [{"number": "0"}]))
    herder.create_or_replace("others", {"name": "others"}, replace=False)
    herder.worker.wait_for("+others", "+others-0")
    assert not herder.worker.has_task(TaskId("files", 0))
    may_end.set()
    herder.worker.wait_for("+files-0")
    asking.join(WAIT_S)
    assert said == ["files is at [({}, 7)]"]


def test_a_connector_that_is_resumed_while_its_offsets_change_has_tasks_nowhere_until_that_is_done(herder):
    create(herder)
    herder.worker.wait_for("+files", "+files-0")
    herder.stop_connector("files")
    herder.worker.wait_for("-files-0")
    begun, may_end = threading.Event(), threading.Event()

    def alter_offsets(*_given):
        begun.set()
        assert may_end.wait(WAIT_S)

    herder.worker.alter_offsets = alter_offsets
    asking = threading.Thread(target=herder.offsets.alter, args=("files", [({}, 7)]))
    asking.start()
    assert begun.wait(WAIT_S)
    herder.set_target_state("files", TargetState.STARTED)
    # The connector runs here, or on a worker that asks its leader to write the tasks.
    herder.on_tasks_wanted("files")
    with pytest.raises(RebalancingError, match="offsets of connector files are changing"):
        herder.put_tasks("files", [{"number": "0"}])
    herder.do(lambda: herder._make_it_so(herder.configs.snapshot()))
    assert not herder.configs.snapshot().tasks
    may_end.set()
    herder.worker.wait_for("+files-0")
    asking.join(WAIT_S)


def test_a_herder_that_stops_begins_nothing_of_what_it_is_asked(herder):
    begun, may_end, done = threading.Event(), threading.Event(), []

    def first():
        begun.set()
        assert may_end.wait(WAIT_S)

    def second():
        with pytest.raises(RefusedError, match="shutting down"):
            herder.do(lambda: done.append("second"))

    asking = [threading.Thread(target=herder.do, args=(first,)), threading.Thread(target=second)]
    asking[0].start()
    assert begun.wait(WAIT_S)
    asking[1].start()
    while herder._requests.empty():
        pass
    stopping = threading.Thread(target=herder.stop)
    stopping.start()
    assert herder._stopping.wait(WAIT_S)
    may_end.set()
    for each in (*asking, stopping):
        each.join(WAIT_S)
    assert not done
