"""The queue between readers and the task holds so many rows and bytes, and lets everybody go when it is stopped."""

from __future__ import annotations

import threading

from moldau.connect.connectors.postgres.blocks import Bounds, Waiting

PATIENCE_S = 30


def putting(waiting, *item):
    """A thread that puts an item, and what came of it."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(waiting.put(*item)))
    thread.start()
    return thread, answers


def test_items_come_in_their_order_and_what_waits_is_counted():
    waiting = Waiting(Bounds(10, 100))
    assert waiting.get(0) is None
    assert waiting.put("a", 3, 30)
    assert waiting.put("b", 4, 40)
    assert (waiting.rows, waiting.bytes) == (7, 70)
    assert [waiting.get(0), waiting.get(0), waiting.get(0)] == ["a", "b", None]
    assert (waiting.rows, waiting.bytes) == (0, 0)


def test_put_waits_while_rows_or_bytes_are_too_many():
    for more in ((8, 1), (1, 80)):
        waiting = Waiting(Bounds(10, 100))
        waiting.put("a", 3, 30)
        thread, answers = putting(waiting, "b", *more)
        assert waiting.put("small", 1, 1)
        assert answers == []
        assert waiting.get(0) == "a"
        thread.join(PATIENCE_S)
        assert answers == [True]


def test_an_item_beyond_all_bounds_passes_alone():
    waiting = Waiting(Bounds(10, 100))
    assert waiting.put("huge", 1000, 10_000)
    thread, answers = putting(waiting, "next", 1, 1)
    assert waiting.get(0) == "huge"
    thread.join(PATIENCE_S)
    assert (answers, waiting.get(PATIENCE_S)) == ([True], "next")


def test_stop_lets_everybody_go():
    waiting = Waiting(Bounds(1, 1))
    waiting.put("a", 1, 1)
    thread, answers = putting(waiting, "b", 1, 1)
    waiting.stop()
    thread.join(PATIENCE_S)
    assert answers == [False]
    assert waiting.stopped
