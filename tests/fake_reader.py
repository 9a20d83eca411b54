"""What a session of a streams application reads with, where no cluster is."""

from __future__ import annotations


class FakeReader:
    """It has nothing to read, and knows what it was told."""

    def __init__(self, *_):
        self.positions, self.paused = {}, set()

    def assign(self, starts):
        self.positions.update({place: max(start.offset, 0) for place, start in starts.items()})

    def unassign(self, places):
        for place in places:
            del self.positions[place]
            self.paused.discard(place)

    def pause(self, places):
        self.paused |= set(places)

    def resume(self, places):
        self.paused -= set(places)

    def poll(self, timeout_s):
        return []

    def end_of(self, place):
        return -1

    def missing(self):
        return {}

    def close(self):
        self.positions.clear()
