"""What times out does so by the steady time; what is written has the time of day."""

import asyncio
import sys
import time
from dataclasses import dataclass

import pytest

from moldau.control.machine import Now
from moldau.server.clock import SystemClock, Timers


def test_a_timer_is_due_in_its_time_however_the_clock_is_set(monkeypatch):
    async def wait_over_a_jump(hours: int) -> tuple[int, int, int]:
        clock = SystemClock(asyncio.get_running_loop())
        before = clock.now()
        fired = asyncio.Event()
        clock.call_at(before.steady_ms + 50, fired.set)
        set_by_hand = time.time_ns() + hours * 3_600 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: set_by_hand)
        await asyncio.wait_for(fired.wait(), 30)
        monkeypatch.undo()
        after = clock.now()
        return before.steady_ms, after.steady_ms, clock.now_ms() - before.wall_ms

    for hours in (-24, 24):
        before_ms, after_ms, wall_ms = asyncio.run(wait_over_a_jump(hours))
        assert 50 <= after_ms - before_ms < 30_000
        assert wall_ms < 3_600_000


class Calls:
    """A clock that is moved by hand and counts what it is asked for."""

    def __init__(self):
        self.steady_ms = 1_000
        self.asked = 0
        self.calls = []

    def now(self):
        return Now(self.steady_ms, 0)

    def call_at(self, at_ms, callback):
        self.asked += 1
        call = Call(self, at_ms, callback)
        self.calls.append(call)
        return call

    def advance(self, to_ms):
        while due := sorted((call for call in self.calls if call.at_ms <= to_ms), key=lambda call: call.at_ms):
            self.calls.remove(due[0])
            self.steady_ms = max(self.steady_ms, due[0].at_ms)
            due[0].callback()
        self.steady_ms = to_ms


@dataclass(eq=False)
class Call:
    clock: Calls
    at_ms: int
    callback: object

    def cancel(self):
        self.clock.calls.remove(self)


@pytest.fixture
def clock():
    return Calls()


@pytest.fixture
def fired():
    return []


@pytest.fixture
def timers(clock, fired):
    return Timers(clock, lambda event, at_ms: fired.append((event, at_ms)))


def test_timers_fire_in_the_order_of_their_times_and_of_one_time_in_the_order_of_their_making(timers, clock, fired):
    for key, at_ms in (("a", 3_000), ("b", 2_000), ("c", 2_000), ("d", 1_500)):
        timers.schedule(key, at_ms, key)
    clock.advance(1_999)
    assert fired == [("d", 1_500)]
    clock.advance(10_000)
    assert fired == [("d", 1_500), ("b", 2_000), ("c", 2_000), ("a", 3_000)]
    assert len(timers) == 0
    assert not clock.calls


def test_a_later_timer_replaces_one_with_the_same_key_and_a_cancelled_one_is_gone(timers, clock, fired):
    timers.schedule("a", 2_000, "first")
    timers.schedule("b", 2_000, "cancelled")
    timers.schedule("a", 3_000, "second")
    timers.cancel("b")
    timers.cancel("never there")
    assert len(timers) == 1
    clock.advance(2_500)
    assert fired == []
    timers.schedule("a", 2_600, "third")
    clock.advance(10_000)
    assert fired == [("third", 2_600)]


def test_events_and_keys_are_never_compared(timers, clock, fired):
    for key in ((1, "a"), ("a", 1), None):
        timers.schedule(key, 2_000, object())
    clock.advance(2_000)
    assert len(fired) == 3


def test_who_cancels_everything_leaves_nothing_with_the_clock(timers, clock, fired):
    timers.schedule("a", 2_000, "a")
    timers.cancel("a")
    assert not clock.calls
    timers.schedule("a", 2_000, "a")
    timers.schedule("b", 3_000, "b")
    timers.cancel_all()
    assert not clock.calls
    timers.schedule("c", 4_000, "c")
    clock.advance(10_000)
    assert fired == [("c", 4_000)]


def test_a_thousand_timers_are_one_call(timers, clock, fired):
    for number in range(1_000):
        timers.schedule(number, 2_000 + number, number)
    assert clock.asked == 1
    clock.advance(10_000)
    assert [event for event, _ in fired] == list(range(1_000))


def test_timers_that_are_replaced_again_and_again_leave_nothing_behind(timers, clock):
    for number in range(10_000):
        timers.schedule("a", 2_000 + number, number)
        timers.schedule("b", 2_000, number)
        timers.cancel("b")
    assert len(timers) == 1
    assert sys.getsizeof(timers._in_order) < 10_000


def test_a_timer_that_fails_takes_no_other_along(clock):
    fired = []

    def fire(event, at_ms):
        fired.append(event)
        if event == "bad":
            raise ZeroDivisionError

    timers = Timers(clock, fire)
    for event in ("bad", "good"):
        timers.schedule(event, 2_000, event)
    with pytest.raises(ZeroDivisionError):
        clock.advance(2_000)
    clock.advance(2_000)
    assert fired == ["bad", "good"]


def test_a_timer_may_be_set_while_another_fires(clock):
    fired = []

    def fire(event, at_ms):
        fired.append((event, clock.steady_ms))
        if len(fired) < 3:
            timers.schedule("again", at_ms + 1_000, event)

    timers = Timers(clock, fire)
    timers.schedule("again", 2_000, "tick")
    clock.advance(20_000)
    assert fired == [("tick", 2_000), ("tick", 3_000), ("tick", 4_000)]


def test_a_timer_that_is_set_while_another_fires_does_not_hide_those_that_are_due_before_it(clock):
    fired = []

    def fire(event, at_ms):
        fired.append((event, at_ms))
        if event == "first":
            timers.schedule("later", 50_000, "later")

    timers = Timers(clock, fire)
    timers.schedule("first", 2_000, "first")
    timers.schedule("second", 3_000, "second")
    clock.advance(3_000)
    assert fired == [("first", 2_000), ("second", 3_000)]
