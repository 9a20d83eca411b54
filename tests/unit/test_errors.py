"""The error table, held against kio's, which was generated from Apache Kafka's."""

import pytest
from kio.schema.errors import ErrorCode as KioErrorCode

from moldau.errors import ApiError, ErrorCode, InvalidConfigError, UnknownPartitionError, UnknownTopicError


def test_every_code_of_kafka_is_in_the_table_with_its_name_and_whether_to_retry():
    theirs = {int(code): (code.name.upper(), bool(code.retriable)) for code in KioErrorCode}
    ours = {int(code): (code.name, code.retriable) for code in ErrorCode}
    assert ours == {number: theirs[number] for number in ours}
    assert set(theirs) <= set(ours)


def test_every_code_has_one_sentence_of_its_own():
    sentences = [code.sentence for code in ErrorCode]
    assert all(sentences)
    assert len(set(sentences)) == len(sentences)
    assert not [sentence for sentence in sentences if sentence.endswith(".") or sentence != sentence.strip()]


@pytest.mark.parametrize("code", ErrorCode)
def test_a_refusal_without_words_has_those_of_its_code(code):
    refusal = ApiError(code)
    assert (refusal.message, str(refusal), refusal.retriable) == (code.sentence, code.sentence, code.retriable)
    assert ApiError(code, "because").message == "because"


def test_a_refusal_carries_what_it_is_about():
    assert UnknownTopicError("t").topic == "t"
    missing = UnknownPartitionError("t", 7)
    assert (missing.topic, missing.partition, missing.code) == ("t", 7, ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)
    assert InvalidConfigError("retention.ms", "no").name == "retention.ms"
