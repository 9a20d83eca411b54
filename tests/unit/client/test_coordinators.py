"""An admin client asks for what a group has committed only when the group's coordinator answers."""

from __future__ import annotations

from concurrent.futures import Future

import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, KafkaError, KafkaException, admin

import moldau
from moldau.client.coordinators import wait_for_coordinators

NOT_COORDINATOR = KafkaError(KafkaError.NOT_COORDINATOR)
FORBIDDEN = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)


def ended(error: KafkaError | None = None) -> Future:
    future: Future = Future()
    if error is None:
        future.set_result("described")
    else:
        future.set_exception(KafkaException(error))
    return future


class Describes:
    """Answers what is next in the list of each group, and its last for ever."""

    def __init__(self, **answers: list[KafkaError | None]) -> None:
        self.answers = answers
        self.asked: list[list[str]] = []

    def describe_consumer_groups(self, groups, request_timeout):
        self.asked.append(list(groups))
        left = {group: self.answers[group] for group in groups}
        return {group: ended(rest.pop(0) if len(rest) > 1 else rest[0]) for group, rest in left.items()}


def test_a_group_is_asked_for_until_its_coordinator_answers_and_no_other_is():
    describes = Describes(a=[NOT_COORDINATOR, NOT_COORDINATOR, None], b=[None], c=[FORBIDDEN])
    wait_for_coordinators(describes, ["a", "b", "c"], 30)
    assert describes.asked == [["a", "b", "c"], ["a"], ["a"]]


def test_a_coordinator_that_does_not_come_is_what_the_cluster_said():
    with pytest.raises(KafkaException) as raised:
        wait_for_coordinators(Describes(a=[NOT_COORDINATOR]), ["a"], 0.1)
    assert raised.value.args[0].code() == KafkaError.NOT_COORDINATOR


def test_the_admin_client_waits_before_it_asks_what_was_committed(monkeypatch, mock_cluster):
    describes = Describes(g=[NOT_COORDINATOR, None])
    order: list[object] = []
    client = moldau.AdminClient(bootstrap_servers=mock_cluster)
    monkeypatch.setattr(moldau.AdminClient, "describe_consumer_groups", describes.describe_consumer_groups)
    ask = admin.AdminClient.list_consumer_group_offsets

    def noted(self, request, **more):
        order.append(list(describes.asked))
        return ask(self, request, **more)

    monkeypatch.setattr(admin.AdminClient, "list_consumer_group_offsets", noted)
    client.list_consumer_group_offsets([ConsumerGroupTopicPartitions("g")], request_timeout=30)
    assert order == [[["g"], ["g"]]]
