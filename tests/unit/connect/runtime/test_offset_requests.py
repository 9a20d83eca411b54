"""Who changes how far a connector has come does it alone."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from moldau.connect.runtime.offset_requests import OffsetRequests
from moldau.connect.runtime.refusals import AlreadyExistsError

WAIT_S = 30.0


def test_a_connector_that_is_created_twice_keeps_the_offsets_of_the_first():
    written, created = [], []
    writes, goes_on = threading.Event(), threading.Event()

    def alter_offsets(_name, _config, offsets):
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
