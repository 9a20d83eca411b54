"""A worker's own topic: what a node that goes away in the middle of a question costs."""

import time

from confluent_kafka import KafkaError, KafkaException

from moldau.connect.runtime import topic_log
from moldau.connect.runtime.topic_log import Clients, TopicLog, TopicSettings


class Asked:
    """Answers so many questions with a lost connection, then with an end."""

    def __init__(self, losses):
        self.losses = losses

    def get_watermark_offsets(self, place, timeout):
        if self.losses:
            self.losses -= 1
            raise KafkaException(KafkaError(KafkaError._TRANSPORT))
        return 0, 7 + place.partition


def log_of(partitions):
    log = TopicLog(TopicSettings("t", "offset.storage.topic"), Clients({}, {}, {}), lambda *_record: None)
    log._positions = dict.fromkeys(range(partitions), 0)
    return log


def test_a_node_that_goes_away_in_the_middle_of_the_question_is_asked_again(monkeypatch):
    monkeypatch.setattr(topic_log, "ASK_AGAIN_S", 0.0)
    assert log_of(2)._ends(Asked(3), time.monotonic() + 30) == {0: 7, 1: 8}


def test_after_the_deadline_or_when_nobody_waits_any_more_it_is_not_asked_again():
    asked = Asked(1_000_000)
    assert log_of(1)._ends(asked, time.monotonic()) is None
    assert log_of(1)._ends(asked, time.monotonic() + 30, lambda: True) is None
    closing = log_of(1)
    closing._closing.set()
    assert closing._ends(asked, time.monotonic() + 30) is None
    assert asked.losses == 1_000_000 - 3
