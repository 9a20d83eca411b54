"""The life of a worker's process, with a worker that hangs where it is told to."""

from __future__ import annotations

import asyncio

from moldau.connect import service


class HangingStart:
    """Somebody's code does not return."""

    def __init__(self, *_given):
        self.notes = notes

    async def start(self):
        self.notes.append("start")
        await asyncio.Event().wait()

    async def stop(self):
        self.notes.append("stop")


notes: list[str] = []


def test_a_worker_that_is_stopped_while_its_start_hangs_ends(monkeypatch, caplog):
    monkeypatch.setattr(service, "ConnectWorker", HangingStart)
    monkeypatch.setattr(service, "GIVE_UP_S", 0.01)
    notes.clear()
    ready = []

    async def main():
        stop = asyncio.Event()
        stop.set()
        await service.serve(None, (), stop, ready.append)

    asyncio.run(main())
    assert (notes, ready) == (["start", "stop"], [])
    assert "the start of the worker has not ended within 0.01 s" in caplog.text
