"""The shell's side of the contract with a machine, driven by a machine and a log that do what the test says."""

import asyncio
from dataclasses import dataclass

import pytest

from moldau.control.machine import PARKED, CancelTimer, Decision, Now, Reply, ScheduleTimer
from moldau.errors import ApiError, ErrorCode
from moldau.server.core_types import StoredRecord
from moldau.server.runner import MachineRunner


class ManualClock:
    def __init__(self):
        self.steady_ms = self.wall_ms = 1000
        self.calls = []

    def now(self):
        return Now(self.steady_ms, self.wall_ms)

    def now_ms(self):
        return self.wall_ms

    def call_at(self, at_ms, callback):
        call = ManualCall(at_ms, callback, self)
        self.calls.append(call)
        return call

    def advance(self, to_ms):
        self.steady_ms = self.wall_ms = to_ms
        for call in sorted((c for c in self.calls if c.at_ms <= to_ms), key=lambda c: c.at_ms):
            self.calls.remove(call)
            call.callback()


@dataclass(eq=False)
class ManualCall:
    at_ms: int
    callback: object
    clock: ManualClock

    def cancel(self):
        if self in self.clock.calls:
            self.clock.calls.remove(self)


class MemoryLog:
    def __init__(self, journal):
        self.journal = journal
        self.refusal = None
        self.gate = None

    async def append(self, records, now_ms, producer=None):
        if self.refusal is not None:
            raise self.refusal
        self.journal.append(("append", [value for _, value in records]))
        if self.gate is not None:
            await self.gate.wait()
        return len(self.journal)


class PlainCodec:
    def encode(self, record):
        return None, record.encode()

    def decode(self, record):
        return record.value.decode()


class ScriptedMachine:
    """Decides whatever the request, a function, returns."""

    def __init__(self, journal):
        self.journal = journal
        self.broken = False

    def decide(self, request, now):
        self.journal.append(("decide", now.steady_ms))
        return request() if callable(request) else Decision(response=request)

    def apply(self, record):
        if self.broken:
            raise ValueError("cannot apply")
        self.journal.append(("apply", record))


@pytest.fixture
def parts():
    journal = []
    clock = ManualClock()
    log = MemoryLog(journal)
    machine = ScriptedMachine(journal)
    runner = MachineRunner("test-0", machine, log, PlainCodec(), clock)
    return runner, machine, log, clock, journal


def decision(response, *records, effects=()):
    return lambda: Decision(response=response, records=records, effects=effects)


async def turns(count=5):
    for _ in range(count):
        await asyncio.sleep(0)


def test_records_are_appended_as_one_batch_and_applied_before_the_response(parts):
    runner, _, _, _, journal = parts
    assert asyncio.run(runner.run(decision("done", "a", "b"))) == "done"
    assert journal == [("decide", 1000), ("append", [b"a", b"b"]), ("apply", "a"), ("apply", "b")]


def test_nothing_is_applied_when_the_log_refuses(parts):
    runner, _, log, _, journal = parts
    log.refusal = ApiError(ErrorCode.KAFKA_STORAGE_ERROR, "full")

    async def scenario():
        with pytest.raises(ApiError, match="full"):
            await runner.run(decision("done", "a"))
        log.refusal = None
        return await runner.run(decision("again", "b"))

    assert asyncio.run(scenario()) == "again"
    assert ("apply", "a") not in journal


def test_effects_of_a_refused_decision_are_not_carried_out(parts):
    runner, _, log, clock, _ = parts
    log.refusal = ApiError(ErrorCode.KAFKA_STORAGE_ERROR, "full")

    async def scenario():
        with pytest.raises(ApiError):
            await runner.run(decision("done", "a", effects=(ScheduleTimer("t", 2000, "event"),)))

    asyncio.run(scenario())
    assert not clock.calls


def test_decisions_are_taken_one_after_the_other(parts):
    runner, _, log, _, journal = parts

    async def scenario():
        log.gate = asyncio.Event()
        first = asyncio.create_task(runner.run(decision(1, "a")))
        second = asyncio.create_task(runner.run(decision(2, "b")))
        await turns()
        assert [entry[0] for entry in journal] == ["decide", "append"]
        log.gate.set()
        assert await asyncio.gather(first, second) == [1, 2]

    asyncio.run(scenario())
    assert [entry[0] for entry in journal] == ["decide", "append", "apply"] * 2


def test_a_decision_that_writes_nothing_waits_for_those_before_it_too(parts):
    runner, _, log, _, journal = parts

    async def scenario():
        log.gate = asyncio.Event()
        first = asyncio.create_task(runner.run(decision(1, "a")))
        await turns()
        waits = [asyncio.create_task(runner.run(decision(2))), asyncio.create_task(runner.settled())]
        await turns()
        assert not any(each.done() for each in waits)
        waits.append(asyncio.create_task(runner.run(decision(3, "b"))))
        log.gate.set()
        await first
        # The one before is through; those in line are not overtaken.
        last = await runner.run(decision(4))
        return [await each for each in waits], last

    assert asyncio.run(scenario()) == ([2, None, 3], 4)
    assert journal == [
        ("decide", 1000),
        ("append", [b"a"]),
        ("apply", "a"),
        ("decide", 1000),
        ("decide", 1000),
        ("append", [b"b"]),
        ("apply", "b"),
        ("decide", 1000),
    ]


def test_a_caller_that_goes_away_does_not_tear_a_decision_in_two(parts):
    runner, _, log, _, journal = parts

    async def scenario():
        log.gate = asyncio.Event()
        caller = asyncio.create_task(runner.run(decision(1, "a")))
        await turns()
        caller.cancel()
        await turns()
        log.gate.set()
        await runner.run("next")

    asyncio.run(scenario())
    assert ("apply", "a") in journal


def test_a_parked_request_is_answered_by_a_later_reply(parts):
    runner = parts[0]

    async def scenario():
        parked = asyncio.create_task(runner.run(decision(PARKED), token=5))
        await turns()
        assert not parked.done()
        await runner.run(decision("ok", effects=(Reply(5, "late"),)))
        return await parked

    assert asyncio.run(scenario()) == "late"


def test_a_decision_may_answer_the_request_that_it_parks(parts):
    runner = parts[0]
    assert asyncio.run(runner.run(decision(PARKED, "a", effects=(Reply(5, "at once"),)), token=5)) == "at once"


def test_a_later_timer_replaces_the_earlier_one_of_its_key(parts):
    runner, _, _, clock, journal = parts

    async def scenario():
        await runner.run(decision(None, effects=(ScheduleTimer("t", 2000, "early"),)))
        await runner.run(decision(None, effects=(ScheduleTimer("t", 3000, decision(None, "late")),)))
        clock.advance(2500)
        await turns()
        assert ("apply", "late") not in journal
        clock.advance(3000)
        await turns()

    asyncio.run(scenario())
    assert ("apply", "late") in journal


def test_a_cancelled_timer_never_comes(parts):
    runner, _, _, clock, journal = parts

    async def scenario():
        await runner.run(decision(None, effects=(ScheduleTimer("t", 2000, decision(None, "late")),)))
        await runner.run(decision(None, effects=(CancelTimer("t"), CancelTimer("never there"))))
        clock.advance(9000)
        await turns()

    asyncio.run(scenario())
    assert ("apply", "late") not in journal


def test_a_machine_that_cannot_apply_is_stopped_for_good(parts, caplog):
    runner, machine, _, _, journal = parts

    async def scenario():
        machine.broken = True
        for _ in range(2):
            with pytest.raises(ApiError) as caught:
                await runner.run(decision("done", "a"))
            assert caught.value.code == ErrorCode.UNKNOWN_SERVER_ERROR

    asyncio.run(scenario())
    assert [entry[0] for entry in journal] == ["decide", "append"]
    assert "cannot apply" in caplog.text


def test_what_a_machine_has_lent_out_is_taken_back_when_it_is_stopped_whatever_the_reason(parts):
    _, machine, log, clock, journal = parts
    runner = MachineRunner("test-0", machine, log, PlainCodec(), clock, retire=lambda: journal.append(("retire",)))
    machine.broken = True
    with pytest.raises(ApiError, match="stopped"):
        asyncio.run(runner.run(decision("done", "a")))
    assert [entry[0] for entry in journal] == ["decide", "append", "retire"]
    journal.clear()
    runner.stop()
    assert journal == [("retire",)]


def test_a_disk_that_fails_after_the_append_stops_the_machine(parts):
    runner, _, log, _, _ = parts
    log.refusal = OSError("the disk is gone")

    async def scenario():
        for _ in range(2):
            with pytest.raises(ApiError, match="stopped"):
                await runner.run(decision("done", "a"))
            log.refusal = None

    asyncio.run(scenario())


def test_who_is_parked_hears_of_it_when_the_machine_is_stopped(parts):
    runner, machine, _, _, _ = parts

    async def scenario():
        parked = asyncio.create_task(runner.run(decision(PARKED), token=1))
        await turns()
        machine.broken = True
        with pytest.raises(ApiError):
            await runner.run(decision("done", "a"))
        with pytest.raises(ApiError, match="stopped") as caught:
            await asyncio.wait_for(parked, 30)
        return caught.value.code

    assert asyncio.run(scenario()) == ErrorCode.UNKNOWN_SERVER_ERROR


def test_a_machine_that_was_stopped_is_never_settled(parts):
    runner, machine, _, _, _ = parts

    async def scenario():
        await runner.settled()
        machine.broken = True
        with pytest.raises(ApiError):
            await runner.run(decision("done", "a"))
        with pytest.raises(ApiError, match="stopped"):
            await runner.settled()

    asyncio.run(scenario())


def test_what_was_submitted_before_a_stop_decides_nothing_after_it(parts):
    runner, _, _, clock, journal = parts

    async def scenario():
        runner.submit(decision("done", "late", effects=(ScheduleTimer("t", 2000, "event"),)))
        runner.stop()
        await turns()

    asyncio.run(scenario())
    assert journal == []
    assert not clock.calls


def test_a_decision_that_is_made_while_a_machine_is_stopped_leaves_no_timer_behind(parts):
    runner, _, log, clock, _ = parts

    async def scenario():
        log.gate = asyncio.Event()
        decided = asyncio.create_task(runner.run(decision("done", "a", effects=(ScheduleTimer("t", 2000, "event"),))))
        await turns()
        runner.stop()
        log.gate.set()
        return await decided

    assert asyncio.run(scenario()) == "done"
    assert not clock.calls


def test_an_event_that_fails_is_logged_and_the_machine_goes_on(parts, caplog):
    runner = parts[0]

    async def scenario():
        def fails():
            raise ZeroDivisionError

        runner.submit(fails)
        await turns()
        return await runner.run("alive")

    assert asyncio.run(scenario()) == "alive"
    assert "ZeroDivisionError" in caplog.text


def test_stopping_wakes_everyone_who_is_parked_and_forgets_timers(parts):
    runner, _, _, clock, _ = parts

    async def scenario():
        await runner.run(decision(None, effects=(ScheduleTimer("t", 2000, "event"),)))
        parked = asyncio.create_task(runner.run(decision(PARKED), token=1))
        await turns()
        runner.stop()
        with pytest.raises(ApiError) as caught:
            await parked
        return caught.value.code

    assert asyncio.run(scenario()) == ErrorCode.COORDINATOR_NOT_AVAILABLE
    assert not clock.calls


def test_replay_applies_without_deciding(parts):
    runner, _, _, _, journal = parts
    runner.replay([StoredRecord(0, 1, None, b"a"), StoredRecord(1, 1, None, b"b")])
    assert journal == [("apply", "a"), ("apply", "b")]
