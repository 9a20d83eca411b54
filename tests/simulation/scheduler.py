"""Virtual time for simulations: nothing happens but what is scheduled, and a seed decides every order.

A process is a generator that yields how long it wants to sleep, or a `Wait` for a value that somebody else delivers.
A thousand simulated hours take seconds, and the same seed gives the same run.
"""

import heapq
import itertools
import random

from moldau.control.machine import Now

HOUR_MS = 3_600_000
TIMED_OUT = object()
"""What a process gets when its `Wait` took too long."""


class Wait:
    """A value that comes later, or TIMED_OUT after `timeout_ms`."""

    def __init__(self, timeout_ms):
        self.timeout_ms = timeout_ms
        self.process = None
        self.value = None
        self.is_over = False

    def deliver(self, value):
        """Hand the value in; the second one, and one that nobody waits for any more, is dropped."""
        if self.is_over:
            return
        self.is_over = True
        self.value = value
        if self.process is not None:
            self.process.resume(value)


class Process:
    def __init__(self, scheduler, generator):
        self.scheduler = scheduler
        self.generator = generator
        self.is_alive = True
        scheduler.after(0, lambda: self.resume(None))

    def kill(self):
        self.is_alive = False
        self.generator.close()

    def resume(self, value):
        if not self.is_alive:
            return
        try:
            wanted = self.generator.send(value)
        except StopIteration:
            self.is_alive = False
            return
        if not isinstance(wanted, Wait):
            self.scheduler.after(wanted, lambda: self.resume(None))
        elif wanted.is_over:
            self.scheduler.after(0, lambda: self.resume(wanted.value))
        else:
            wanted.process = self
            self.scheduler.after(wanted.timeout_ms, lambda: wanted.deliver(TIMED_OUT))


class Scheduler:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.now_ms = 10 * HOUR_MS
        self._clock_setter = random.Random(seed)
        self._clock_ahead_ms = 0
        self._queue = []
        self._order = itertools.count()

    def after(self, delay_ms, call):
        self.at(self.now_ms + max(0, delay_ms), call)

    def now(self):
        """What a node's clocks say: now and then somebody sets its time of day, by up to an hour."""
        if self._clock_setter.random() < 0.001:
            self._clock_ahead_ms = self._clock_setter.randint(-HOUR_MS, HOUR_MS)
        return Now(self.now_ms, self.now_ms + self._clock_ahead_ms)

    def at(self, at_ms, call):
        # Among things that happen in the same millisecond, chance decides which is first.
        heapq.heappush(self._queue, (max(at_ms, self.now_ms), self.random.random(), next(self._order), call))

    def run_until(self, at_ms):
        while self._queue and self._queue[0][0] <= at_ms:
            due_ms, _, _, call = heapq.heappop(self._queue)
            self.now_ms = due_ms
            call()
        self.now_ms = max(self.now_ms, at_ms)

    def spawn(self, generator):
        return Process(self, generator)
