"""Every request ends in exactly one way, whatever its handler does."""

import asyncio
from dataclasses import dataclass, field
from types import SimpleNamespace

from moldau.errors import ApiError, ErrorCode
from moldau.server.codec import decode, encode_response
from moldau.server.dispatch import QUICK_BODY_BYTES, TOGETHER, TOGETHER_NS, Dispatcher
from moldau.server.handlers import SERVE_HOT, Api, Route

HEARTBEAT = 12
LIST_GROUPS = 16


@dataclass
class FakeRequest:
    body: bytes = b"\x02g\x00\x00\x00\x01\x02m\x00\x00"
    api_key: int = HEARTBEAT
    api_version: int = 4
    connection_id: int = 1
    listener: str = "PLAINTEXT"
    principal: str | None = "User:ANONYMOUS"
    client_host: str = "127.0.0.1"
    advertised_host: str = "broker"
    advertised_port: int = 9092
    correlation_id: int = 7
    client_id: str | None = "me"
    refusal: int = 0
    ended: list = field(default_factory=list)

    throttled_ms: int = 0

    def respond(self, body, throttle_ms=0):
        self.throttled_ms = throttle_ms
        self.ended.append(body)

    def serve_hot(self):
        self.ended.append("hot")

    def close(self):
        self.ended.append("closed")


@dataclass
class FakeCore:
    """Charges a millisecond for whatever was done, if anybody is limited."""

    limited: bool = False

    def limits_requests(self):
        return self.limited

    def charge_time(self, client_id, busy_ns):
        assert client_id == "me"
        assert busy_ns > 0
        return 1


def serve(handle, request=None, key=HEARTBEAT, core=None):
    request = request or FakeRequest()

    async def scenario():
        dispatcher = Dispatcher(
            SimpleNamespace(core=core or FakeCore(), access=None), {key: Route(Api(key, "Test", (0, 4)), handle)}
        )
        dispatcher.start(request)
        await dispatcher.drain(5)

    asyncio.run(scenario())
    assert len(request.ended) == 1
    return request.ended[0]


def heartbeat(code: ErrorCode) -> bytes:
    return encode_response(HEARTBEAT, 4, {"error_code": code})


def test_a_request_is_answered_with_what_its_handler_returns():
    seen = []

    async def handle(shell, request, context):
        seen.append((request.group_id, context.client_host, context.advertised))
        return {"error_code": ErrorCode.REBALANCE_IN_PROGRESS}

    assert serve(handle) == heartbeat(ErrorCode.REBALANCE_IN_PROGRESS)
    assert seen == [("g", "/127.0.0.1", ("broker", 9092))]


def test_a_handler_may_hand_the_request_back_to_rust():
    async def handle(shell, request, context):
        return SERVE_HOT

    assert serve(handle) == "hot"


def test_a_refusal_is_answered_with_its_code():
    async def handle(shell, request, context):
        raise ApiError(ErrorCode.NOT_COORDINATOR)

    assert serve(handle) == heartbeat(ErrorCode.NOT_COORDINATOR)


def test_a_handler_that_breaks_is_answered_and_logged_with_its_traceback(caplog):
    async def handle(shell, request, context):
        raise ZeroDivisionError

    assert serve(handle) == heartbeat(ErrorCode.UNKNOWN_SERVER_ERROR)
    assert "ZeroDivisionError" in caplog.text


def test_an_answer_that_cannot_be_encoded_is_a_server_error(caplog):
    async def handle(shell, request, context):
        return {"eror_code": 0}

    assert serve(handle) == heartbeat(ErrorCode.UNKNOWN_SERVER_ERROR)
    assert "eror_code" in caplog.text


def test_a_body_that_cannot_be_read_costs_the_sender_its_connection(caplog):
    async def handle(shell, request, context):
        raise AssertionError("a handler must not see this")

    assert serve(handle, FakeRequest(body=b"\xff\xff\xff\xff\x0f")) == "closed"
    assert "closing connection 1 of 127.0.0.1" in caplog.text


def test_a_request_without_a_handler_closes_the_connection():
    assert serve(None) == "closed"
    assert serve(None, key=99) == "closed"


def test_an_error_that_the_response_cannot_carry_closes_the_connection():
    async def handle(shell, request, context):
        raise ApiError(ErrorCode.UNKNOWN_SERVER_ERROR)

    # AlterReplicaLogDirs answers per partition and asks by directory: nothing to mirror.
    body = b"\x02\x02/\x02\x02t\x02\x00\x00\x00\x00\x00\x00\x00"
    assert decode(34, 2, body).dirs
    assert serve(handle, FakeRequest(body=body, api_key=34, api_version=2), key=34) == "closed"


def test_answers_of_one_turn_leave_in_groups_and_none_is_kept():
    events = []
    waits = asyncio.Event()

    @dataclass
    class Told(FakeRequest):
        def respond(self, body, throttle_ms=0):
            events.append("answered")
            super().respond(body, throttle_ms)

    async def handle(shell, request, context):
        if not waits.is_set():
            waits.set()
            await asyncio.sleep(0)
        events.append("decided")
        return {"error_code": ErrorCode.NONE}

    requests = [Told() for _ in range(TOGETHER + 10)]

    async def scenario():
        dispatcher = Dispatcher(
            SimpleNamespace(core=FakeCore(), access=None),
            {HEARTBEAT: Route(Api(HEARTBEAT, "Test", (0, 4)), handle)},
            clock_ns=lambda: 0,
        )
        dispatcher.start_all(requests)
        in_turn, of_turn = TOGETHER, len(requests) - 1 - TOGETHER
        assert events == [
            *in_turn * ["decided"],
            *in_turn * ["answered"],
            *of_turn * ["decided"],
            *of_turn * ["answered"],
        ]
        assert requests[0].ended == []
        await dispatcher.drain(5)

    asyncio.run(scenario())
    assert [len(request.ended) for request in requests] == len(requests) * [1]


def test_answers_that_one_decision_gives_to_many_leave_in_groups_and_none_is_kept():
    events = []
    all_answered = asyncio.Event()

    @dataclass
    class Told(FakeRequest):
        def respond(self, body, throttle_ms=0):
            events.append("answered")
            super().respond(body, throttle_ms)
            if events.count("answered") == len(requests):
                all_answered.set()

    requests = [Told() for _ in range(TOGETHER + 4)]

    async def scenario():
        decision = asyncio.get_running_loop().create_future()

        async def handle(shell, request, context):
            await asyncio.shield(decision)
            events.append("told")
            return {"error_code": ErrorCode.NONE}

        dispatcher = Dispatcher(
            SimpleNamespace(core=FakeCore(), access=None),
            {HEARTBEAT: Route(Api(HEARTBEAT, "Test", (0, 4)), handle)},
            clock_ns=lambda: 0,
        )
        for request in requests:
            dispatcher.start(request)
        assert events == []
        decision.set_result(None)
        await asyncio.wait_for(all_answered.wait(), 10)

    asyncio.run(scenario())
    assert events == [*TOGETHER * ["told"], *TOGETHER * ["answered"], *4 * ["told"], *4 * ["answered"]]
    assert [len(request.ended) for request in requests] == len(requests) * [1]


def varint(number):
    return bytes([number & 0x7F | 0x80, number >> 7])


def answered_in_one_turn(handle, requests, clock_ns=lambda: 0):
    async def scenario():
        routes = {key: Route(Api(key, "Test", (0, 9)), handle) for key in (HEARTBEAT, LIST_GROUPS)}
        dispatcher = Dispatcher(SimpleNamespace(core=FakeCore(), access=None), routes, clock_ns=clock_ns)
        dispatcher.start_all(requests)
        await dispatcher.drain(5)

    asyncio.run(scenario())


def test_an_answer_that_cannot_be_sent_takes_no_other_along(caplog):
    class Broken(FakeRequest):
        def respond(self, body, throttle_ms=0):
            raise RuntimeError("this request was already ended")

    async def handle(shell, request, context):
        return {"error_code": ErrorCode.NONE}

    requests = [FakeRequest(), Broken(), FakeRequest()]
    answered_in_one_turn(handle, requests)
    answer = [heartbeat(ErrorCode.NONE)]
    assert [request.ended for request in requests] == [answer, ["closed"], answer]
    assert "already ended" in caplog.text


def test_a_request_that_breaks_dispatch_takes_no_other_along(caplog):
    class Broken(FakeRequest):
        @property
        def client_host(self):
            raise ZeroDivisionError

        @client_host.setter
        def client_host(self, value):
            pass

    async def handle(shell, request, context):
        return {"error_code": ErrorCode.NONE}

    requests = [FakeRequest(), Broken(body=b"\xff\xff\xff\xff\x0f"), FakeRequest()]
    answered_in_one_turn(handle, requests)
    answer = [heartbeat(ErrorCode.NONE)]
    assert [request.ended for request in requests] == [answer, ["closed"], answer]
    assert "ZeroDivisionError" in caplog.text


def test_no_answer_waits_for_work_that_may_take_long():
    events = []

    @dataclass
    class Told(FakeRequest):
        def respond(self, body, throttle_ms=0):
            events.append("answered")

    async def handle(shell, request, context):
        events.append("decided")
        return {"error_code": ErrorCode.NONE}

    slow = Told(body=b"", api_key=LIST_GROUPS, api_version=0)
    large = Told(body=b"\x02g\x00\x00\x00\x01\x02m\x00\x01\x00" + varint(QUICK_BODY_BYTES) + bytes(QUICK_BODY_BYTES))
    for other in (slow, large):
        events.clear()
        answered_in_one_turn(handle, [Told(), Told(), other, Told()])
        assert events == ["decided", "decided", "answered", "answered", *2 * ["decided", "answered"]]


def test_no_answer_waits_for_others_longer_than_a_moment():
    events = []
    now_ns = 0

    @dataclass
    class Told(FakeRequest):
        def respond(self, body, throttle_ms=0):
            events.append("answered")

    async def handle(shell, request, context):
        nonlocal now_ns
        now_ns += TOGETHER_NS // 2
        events.append("decided")
        return {"error_code": ErrorCode.NONE}

    answered_in_one_turn(handle, [Told() for _ in range(4)], clock_ns=lambda: now_ns)
    assert events == [*3 * ["decided"], *3 * ["answered"], "decided", "answered"]


def test_a_node_that_stops_gives_up_late_requests():
    request = FakeRequest()

    async def handle(shell, request, context):
        await asyncio.sleep(60)

    async def scenario():
        dispatcher = Dispatcher(
            SimpleNamespace(core=FakeCore(), access=None), {HEARTBEAT: Route(Api(HEARTBEAT, "Test", (0, 4)), handle)}
        )
        dispatcher.start(request)
        await dispatcher.drain(0.01)
        await asyncio.sleep(0)

    asyncio.run(scenario())
    assert request.ended == ["closed"]


def test_a_client_that_used_up_a_quota_is_told_and_muted():
    async def handle(shell, request, context):
        return {"error_code": ErrorCode.NONE, "throttle_time": 30}

    request = FakeRequest()
    expected = encode_response(HEARTBEAT, 4, {"error_code": ErrorCode.NONE, "throttle_time": 30})
    assert serve(handle, request) == expected
    assert request.throttled_ms == 30


def test_work_is_charged_when_somebody_is_limited_in_time():
    async def handle(shell, request, context):
        return {"error_code": ErrorCode.NONE}

    request = FakeRequest()
    expected = encode_response(HEARTBEAT, 4, {"error_code": ErrorCode.NONE, "throttle_time": 1})
    assert serve(handle, request, core=FakeCore(limited=True)) == expected
    assert request.throttled_ms == 1
