"""Windows forget what is old, rates follow totals, states add up to the whole time."""

from __future__ import annotations

import threading

from moldau.connect.runtime.names import TaskId
from moldau.connect.runtime.startups import Startups
from moldau.connect.runtime.task_metrics import Rate, States, Window


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def test_a_window_shows_the_last_half_minute_to_minute():
    clock = Clock()
    window = Window(clock)
    assert window.seen() == (0, 0)
    window.note(10)
    window.note(2)
    assert window.seen() == (6, 10)
    clock.now += 31
    window.note(4)
    assert window.seen() == (16 / 3, 10)
    clock.now += 31
    window.note(4)
    assert window.seen() == (4, 4)


def test_what_nothing_is_added_to_is_forgotten_too():
    clock = Clock()
    window = Window(clock)
    window.note(10)
    clock.now += 59
    assert window.seen() == (10, 10)
    clock.now += 1
    assert window.seen() == (0, 0)
    clock.now += 1000
    window.note(3)
    assert window.seen() == (3, 3)


def test_a_rate_is_that_of_the_last_minute():
    clock = Clock()
    rate = Rate(clock)
    clock.now += 10
    assert rate.of(100) == 10
    for total in (400, 700, 1000, 1000, 1000, 1000):
        clock.now += 15
        last = rate.of(total)
    assert last == (1000 - 700) / 60
    for _ in range(10):
        clock.now += 15
        last = rate.of(1000)
    assert last == 0


def test_two_may_look_at_a_rate_at_once():
    clock = Clock()
    rate = Rate(clock)
    for total in (0, 100, 200):
        clock.now += 15
        rate.of(total)
    seen: list[float] = []

    class Looks(list):
        """Somebody else looks while an old look is being forgotten."""

        other: threading.Thread | None = None

        def __delitem__(self, at):
            if self.other is None:
                self.other = threading.Thread(target=lambda: seen.append(rate.of(200)))
                self.other.start()
                # It ends within this time, or waits until this look is over.
                self.other.join(0.2)
            super().__delitem__(at)

    looks = rate._looks = Looks(rate._looks)
    clock.now += 75
    seen.append(rate.of(200))
    looks.other.join(30)
    assert seen == [seen[0]] * 2
    # Of those that are a minute old the newest is kept.
    assert looks[0] == (1045.0, 200)


def test_the_parts_of_a_tasks_time_add_up():
    clock = Clock()
    states = States(clock)
    states.enter("running")
    clock.now += 30
    states.enter("paused")
    clock.now += 10
    assert (states.now, states.ratio("running"), states.ratio("paused")) == ("paused", 0.75, 0.25)
    assert states.ratio("failed") == 0


class Silent:
    def __getattr__(self, name):
        return lambda *_: None


def test_only_the_first_word_on_a_start_counts_as_its_outcome():
    startups, task = Startups(Silent()), TaskId("c", 0)
    startups.tasks.begin(task)
    startups.on_startup(task, None)
    startups.on_failure(task, RuntimeError())
    startups.on_startup(task, None)
    startups.tasks.begin(task)
    startups.on_failure(task, RuntimeError())
    assert (startups.tasks.successes, startups.tasks.failures) == (1, 1)
    startups.on_connector_running("c", None)
    assert (startups.connectors.successes, startups.connectors.failures) == (0, 0)
