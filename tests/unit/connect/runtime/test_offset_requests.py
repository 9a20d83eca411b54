"""Who changes how far a connector has come does it alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from moldau.connect.plugin import SourceConnector
from moldau.connect.runtime.offset_changes import change_source_offsets
from moldau.connect.runtime.offset_requests import OffsetRequests
from moldau.connect.runtime.refusals import AlreadyExistsError, RebalancingError, RefusedError

WAIT_S = 30.0


def test_a_connector_that_is_created_twice_keeps_the_offsets_of_the_first():
    written, created = [], []
    writes, goes_on = threading.Event(), threading.Event()

    def alter_offsets(_name, _config, offsets, _timeout_s):
        writes.set()
        assert goes_on.wait(WAIT_S)
        written.append(offsets)

    requests = OffsetRequests(
        SimpleNamespace(alter_offsets=alter_offsets), SimpleNamespace(), lambda _name: {}, lambda: None
    )

    def is_new():
        if created:
            raise AlreadyExistsError("it is there")

    def create(offsets):
        requests.begin_at("c", {}, offsets, is_new, lambda: created.append(offsets))

    first = threading.Thread(target=create, args=("first",))
    first.start()
    assert writes.wait(WAIT_S)
    threading.Timer(0.05, goes_on.set).start()
    with pytest.raises(AlreadyExistsError):
        create("second")
    first.join(WAIT_S)
    assert (written, created) == (["first"], ["first"])


class Silent(SourceConnector):
    """Does not say whether it agrees until it is let."""

    def __init__(self):
        self.may_answer, self.answered = threading.Event(), threading.Event()

    def start(self, props): ...

    def task_class(self): ...

    def task_configs(self, max_tasks): ...

    def alter_offsets(self, _config, _offsets):
        assert self.may_answer.wait(WAIT_S)
        self.answered.set()
        return True


def test_offsets_that_a_connector_has_not_agreed_to_in_time_are_not_written_later_either(caplog):
    silent, kept = Silent(), []
    nothing = SimpleNamespace(start=lambda: None, stop=lambda: None, refresh=lambda: None)
    said = "Request timed out. .*Silent.alter_offsets of connector c, which has not returned; no offset was changed"
    with pytest.raises(RefusedError, match=said):
        change_source_offsets(silent, {}, "c", nothing, kept.append, [({"p": 1}, {"n": 2})], 0.0)
    assert "alter_offsets of connector c has not returned" in caplog.text
    silent.may_answer.set()
    assert silent.answered.wait(WAIT_S)
    assert not kept


def test_tasks_may_be_written_again_when_a_change_was_given_up():
    woken = []

    def alter_offsets(*_given):
        with pytest.raises(RebalancingError), requests.unchanged("c"):
            pass
        raise RefusedError("Request timed out")

    requests = OffsetRequests(
        SimpleNamespace(alter_offsets=alter_offsets, settings=SimpleNamespace(exactly_once=False)),
        SimpleNamespace(),
        lambda _name: {},
        lambda: woken.append("herder"),
    )
    with pytest.raises(RefusedError):
        requests.alter("c", None)
    with requests.unchanged("c"):
        assert woken == ["herder"]
