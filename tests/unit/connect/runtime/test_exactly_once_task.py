"""A source task that writes in transactions, with a producer that is driven by hand."""

from __future__ import annotations

from types import SimpleNamespace

from moldau.connect.converters.simple import StringConverter
from moldau.connect.plugin import SourceTask
from moldau.connect.records import SourceRecord
from moldau.connect.runtime.contexts import RunningSourceTaskContext
from moldau.connect.runtime.exactly_once_task import ExactlyOnceSourceTask
from moldau.connect.runtime.names import TargetState, TaskId
from moldau.connect.runtime.pipeline import Converters, Transforms
from moldau.connect.runtime.source_task import SourceParts
from moldau.connect.runtime.tolerance import Tolerance
from moldau.connect.runtime.transaction_boundaries import EachPoll

WAIT_S = 30.0


class Line(SourceTask):
    """One record at each poll; `told` is what it hears."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def start(self, props): ...

    def poll(self):
        return [SourceRecord({"from": "here"}, {"at": 1}, "lines", value="a line")]

    def commit(self):
        self.told.append("commit")


class Producer:
    """Takes everything; `on_commit` happens while a transaction is committed."""

    def __init__(self) -> None:
        self.on_commit = lambda: None

    def commit_transaction(self, *_timeout):
        self.on_commit()

    def __getattr__(self, name):
        return lambda *_given, **_named: 0


def task_of(line, producer, kept, *, listener=None, why_not=None):
    """A task that reads `line`; what it keeps of offsets comes into `kept`."""
    offsets = SimpleNamespace(
        topic="mine",
        start=lambda _given_up: True,
        stop=lambda: None,
        before=lambda *_given: None,
        records=lambda *_given: [(b"key", b"value")],
        after=lambda _name, entries, _timeout_s: kept.append(entries),
    )
    tolerance, text = Tolerance(), StringConverter()
    text.configure({}, is_key=False)
    parts = SourceParts(
        task=line,
        config={},
        context=RunningSourceTaskContext(offsets, "lines", {}),
        producer=producer,
        converters=Converters(text, text, text),
        transforms=Transforms([], tolerance),
        tolerance=tolerance,
        offsets=offsets,
        topics=SimpleNamespace(make_sure_of=lambda _topic: None),
        uses_topic=lambda _topic: None,
    )
    listener = listener or SimpleNamespace(on_startup=lambda *_told: None, on_failure=lambda *_told: None)
    gate = SimpleNamespace(let_in=lambda *_asked: None, why_not=lambda *_asked: why_not)
    return ExactlyOnceSourceTask(TaskId("lines", 0), TargetState.STARTED, listener, "1", parts, EachPoll(), gate, 1)


def test_a_task_that_was_given_to_another_worker_before_it_began_ends_and_has_not_failed():
    kept, told = [], []
    listener = SimpleNamespace(
        on_startup=lambda *_told: told.append("startup"),
        on_shutdown=lambda *_told: told.append("shutdown"),
        on_failure=lambda *_told: told.append("failure"),
    )
    task = task_of(Line(), Producer(), kept, listener=listener, why_not="another worker has it")
    task.start()
    assert task.wait(WAIT_S)
    assert (told, kept) == (["startup", "shutdown"], [])


def test_who_is_left_to_himself_while_he_commits_keeps_no_offset_behind_his_successors_back():
    """Behind the transaction the offsets go to the worker's topic too, where a successor's may be by then."""
    kept, line, producer = [], Line(), Producer()
    task = task_of(line, producer, kept)
    commits = []

    def left_to_itself():
        commits.append(1)
        if len(commits) == 2:
            task.stop()
            task.cancel()

    producer.on_commit = left_to_itself
    task.start()
    assert task.wait(WAIT_S)
    assert len(commits) == 2
    assert len(kept) == 1
    assert line.told == ["commit"]
