"""Which transactions of the stream a snapshot of the server shows, where numbers go round, and how long is waited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moldau.connect.connectors.postgres.visibility import (
    ASK_AFTER_S,
    NUMBERS,
    PAUSES_S,
    SUSPECTS_EVERY_S,
    TOLD_EVERY_S,
    HandedOn,
    Underway,
    Visibility,
)


class Server:
    """Shows one snapshot after the other, the last one for good; each wait brings the next. Its clock stands still."""

    def __init__(self, *shown):
        self.shown = [Visibility.of(text) for text in shown]
        self.idle = set()
        self.now_s = 0.0
        self.asked = 0
        self.asked_for_idle = 0
        self.waited = 0

    def visibility(self):
        self.asked += 1
        return self.shown[0]

    def uncommitted(self):
        self.asked_for_idle += 1
        return self.idle

    def clock(self):
        return self.now_s

    def wait(self, _seconds):
        self.waited += 1
        if len(self.shown) > 1:
            self.shown.pop(0)


@pytest.mark.parametrize(
    ("text", "seen", "unseen"),
    [
        ("10:10:", [3, 9], [10, 11]),
        ("10:20:10,15", [9, 11, 14, 19], [10, 15, 20, 21]),
        # The stream's numbers have gone round once, and are about to.
        (f"{NUMBERS + 10}:{NUMBERS + 20}:{NUMBERS + 15}", [9, 14, 19, NUMBERS - 1], [15, 20]),
        (f"{NUMBERS - 5}:{NUMBERS + 5}:{NUMBERS - 1},{NUMBERS + 1}", [NUMBERS - 2, 0, 4], [NUMBERS - 1, 1, 5]),
    ],
)
def test_what_is_over_is_seen_and_what_is_in_progress_or_later_is_not(text, seen, unseen):
    visibility = Visibility.of(text)
    assert [xid for xid in seen if not visibility.sees(xid)] == []
    assert [xid for xid in unseen if visibility.sees(xid)] == []


@given(
    st.integers(3, 5 * NUMBERS).flatmap(
        lambda xmax: (
            st.tuples(st.just(xmax), st.frozensets(st.integers(max(3, xmax - 50), xmax - 1)))
            if xmax > 3
            else st.just((xmax, frozenset()))
        )
    ),
    st.integers(-100, 100),
)
def test_a_number_of_the_stream_means_the_transaction_nearest_to_now(shown, distance):
    xmax, in_progress = shown
    xid = xmax + distance
    visibility = Visibility(min(in_progress, default=xmax), xmax, in_progress)
    assert visibility.sees(xid % NUMBERS) == (xid < xmax and xid not in in_progress)


def test_a_commit_that_becomes_visible_is_waited_for():
    server = Server("7:9:7", "7:9:7", "9:9:")
    handed_on = HandedOn(server.wait)
    handed_on.add([6, 7])
    assert handed_on.visible(server) == Visibility.of("9:9:")
    assert server.waited == 2


def test_a_commit_that_stays_invisible_is_waited_for_once():
    server = Server("7:9:7")
    handed_on = HandedOn(server.wait)
    handed_on.add([7, 8])
    assert handed_on.visible(server) is None
    assert server.waited == len(PAUSES_S)
    handed_on.add([9])
    assert handed_on.visible(server) is None
    assert server.waited == len(PAUSES_S)
    # That one is over, another is not: it may be visible in a moment.
    server.shown = [Visibility.of("9:10:9"), Visibility.of("10:10:")]
    assert handed_on.visible(server) == Visibility.of("10:10:")
    assert server.waited == len(PAUSES_S) + 1


def test_what_was_visible_once_is_asked_about_no_more():
    server = Server("9:9:")
    handed_on = HandedOn(server.wait)
    handed_on.add([5, 6])
    assert handed_on.visible(server) is not None
    server.shown = [Visibility.of("5:9:5")]
    assert handed_on.visible(server) is not None
    handed_on.add([5, 6, 7])
    assert handed_on.visible(server) is None
    handed_on.forget()
    assert handed_on.visible(server) is not None


def test_a_long_stream_leaves_only_what_the_server_does_not_show_and_asks_seldom():
    server = Server("9:9:")
    handed_on = HandedOn(server.wait, ask_at=100)
    most = 0
    for xid in range(10, 10_010):
        handed_on.add([xid])
        server.shown = [Visibility(20, xid, frozenset([20]))]
        handed_on.keep_short(server)
        most = max(most, len(handed_on))
    assert most <= 100
    assert server.asked <= 10_000 // 98 + 1
    assert server.waited == 0
    # Behind all of them, the one that nobody sees is not forgotten.
    server.shown = [Visibility.of("20:20000:20")]
    assert handed_on.visible(server) is None
    server.shown = [Visibility.of("20000:20000:")]
    assert handed_on.visible(server) is not None
    assert len(handed_on) == 0


def test_when_much_stays_invisible_the_server_is_asked_no_more_often():
    server = Server("10:10:")
    handed_on = HandedOn(server.wait, ask_at=100)
    for xid in range(10, 1610):
        handed_on.add([xid])
        handed_on.keep_short(server)
    assert len(handed_on) == 1600
    assert server.asked == 5


def test_what_another_task_may_have_handed_on_is_waited_for_while_commits_may_wait_for_a_standby():
    server = Server("7:9:7")
    handed_on = HandedOn(server.wait)
    handed_on.suspect(Underway(frozenset([7, 8]), may_stay=True))
    assert handed_on.visible(server) is None
    assert handed_on.visible(server) is None
    server.shown = [Visibility.of("9:9:")]
    assert handed_on.visible(server) is not None


def test_what_another_task_may_have_handed_on_is_waited_for_once_where_no_commit_waits_for_a_standby():
    server = Server("7:9:7", "7:9:7", "9:9:")
    handed_on = HandedOn(server.wait)
    handed_on.suspect(Underway(frozenset([7]), may_stay=False))
    assert handed_on.visible(server) == Visibility.of("9:9:")
    server.shown = [Visibility.of("7:9:7")]
    handed_on.suspect(Underway(frozenset([7]), may_stay=False))
    assert handed_on.visible(server) == Visibility.of("7:9:7")
    assert server.waited == 2 + len(PAUSES_S)
    assert handed_on.visible(server) == Visibility.of("7:9:7")
    assert server.waited == 2 + len(PAUSES_S)


def test_a_long_transaction_of_before_does_not_excuse_one_that_was_handed_on():
    server = Server("7:9:7,8")
    handed_on = HandedOn(server.wait)
    handed_on.suspect(Underway(frozenset([7]), may_stay=False))
    handed_on.add([8])
    assert handed_on.visible(server) is None
    server.shown = [Visibility.of("7:9:7")]
    assert handed_on.visible(server) == Visibility.of("7:9:7")


def test_what_stays_small_is_asked_about_before_its_numbers_mean_transactions_to_come():
    server = Server("9:9:")
    handed_on = HandedOn(server.wait, clock=server.clock)
    for xid in (5, 6, 7):
        handed_on.add([xid])
        handed_on.keep_short(server)
    assert server.asked == 0
    server.now_s += ASK_AFTER_S
    handed_on.keep_short(server)
    handed_on.keep_short(server)
    assert server.asked == 1
    xmax = 9 + NUMBERS // 2
    server.shown = [Visibility(xmax, xmax, frozenset())]
    assert handed_on.visible(server) is not None
    assert server.waited == 0


def test_what_stays_invisible_is_asked_about_once_an_hour_and_nothing_is_asked_about_nothing():
    server = Server("7:9:7")
    handed_on = HandedOn(server.wait, clock=server.clock)
    for hour in range(1, 4):
        handed_on.add([7])
        server.now_s += ASK_AFTER_S
        for _ in range(10):
            handed_on.keep_short(server)
        assert server.asked == hour
    assert len(handed_on) == 1
    handed_on.forget()
    server.now_s += ASK_AFTER_S
    handed_on.keep_short(server)
    assert server.asked == 3


def test_what_was_forgotten_leaves_nothing_of_how_much_it_was():
    server = Server("10:10:")
    handed_on = HandedOn(server.wait, ask_at=100, clock=server.clock)
    handed_on.add(range(10, 1010))
    handed_on.keep_short(server)
    handed_on.forget()
    handed_on.add(range(10, 110))
    handed_on.keep_short(server)
    assert server.asked == 2


def test_a_suspect_that_waits_for_its_client_later_has_not_committed_and_is_waited_for_no_longer():
    server = Server("7:9:7,8")
    handed_on = HandedOn(server.wait, clock=server.clock)
    handed_on.suspect(Underway(frozenset([7, 8]), may_stay=True))
    assert handed_on.visible(server) is None
    server.idle = {7}
    server.now_s += SUSPECTS_EVERY_S
    assert handed_on.visible(server) is None
    assert len(handed_on) == 1
    server.idle = {8}
    server.now_s += SUSPECTS_EVERY_S
    # Not shown by the snapshot either: what it changes counts as newer.
    assert handed_on.visible(server) == Visibility.of("7:9:7,8")


def test_suspects_are_asked_about_seldom_and_what_was_handed_on_for_certain_is_not():
    server = Server("7:9:7")
    handed_on = HandedOn(server.wait, clock=server.clock)
    handed_on.add([7])
    for _ in range(10):
        assert handed_on.visible(server) is None
    assert server.asked_for_idle == 0
    server.shown = [Visibility.of("7:9:7,8")]
    handed_on.suspect(Underway(frozenset([7, 8]), may_stay=True))
    for _ in range(10):
        assert handed_on.visible(server) is None
    assert server.asked_for_idle == 1
    # That 7 was handed on is known: whatever is said of it, it has committed.
    server.idle = {7, 8}
    server.now_s += SUSPECTS_EVERY_S
    assert handed_on.visible(server) is None
    assert len(handed_on) == 1


def test_whoever_waits_is_told_so_now_and_then_and_for_which_transactions(caplog):
    server = Server("7:9:7")
    handed_on = HandedOn(server.wait, clock=server.clock)
    handed_on.add([7])
    for _ in range(10):
        assert handed_on.visible(server) is None
    (told,) = caplog.messages
    assert "1 transactions (7)" in told
    server.now_s += TOLD_EVERY_S
    handed_on.suspect(Underway(frozenset(range(100, 110)), may_stay=True))
    handed_on.add([8])
    server.shown = [Visibility.of("8:9:8")]
    for _ in range(10):
        assert handed_on.visible(server) is None
    assert len(caplog.messages) == 2
    assert "11 transactions (8, 100, 101, 102, 103, ...)" in caplog.messages[1]
    assert "or may have before a restart" in caplog.messages[1]
