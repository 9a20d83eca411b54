"""Channels of signals besides the signal table: a file of lines, a topic.

Debezium's `signal.enabled.channels`: `file` is read and emptied, `kafka` is one partition, whose records are for this
connector when their key is its `topic.prefix`. Each signal is a JSON object with `id`, `type` and `data`.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from confluent_kafka import KafkaError, KafkaException, TopicPartition

from moldau.client import Consumer
from moldau.connect.connectors.postgres.signals import Signal

_LOG = logging.getLogger(__name__)

BATCH: Final = 100


class Channel(Protocol):
    """Where signals come from. Belongs to the task's thread."""

    def read(self) -> list[Signal]:
        """What has come since the last call; returns at once."""

    def close(self) -> None: ...


def parsed(text: str | bytes, where: str) -> Signal | None:
    """The signal in a JSON object; None, with a word in the log, for what is none."""
    try:
        told = json.loads(text)
    except ValueError as error:
        _LOG.warning("A signal in %s is left out: it is no JSON: %s", where, error)
        return None
    if not isinstance(told, dict) or not told.get("type"):
        _LOG.warning("A signal in %s is left out: it is a JSON object with id, type and data", where)
        return None
    data = told.get("data")
    if isinstance(data, str):
        # As in the signal table, whose third column is text.
        try:
            data = json.loads(data) if data else {}
        except ValueError as error:
            _LOG.warning("The signal %s in %s is left out: its data is no JSON: %s", told.get("id"), where, error)
            return None
    id_ = str(told.get("id") or uuid.uuid4())
    return Signal(id_, str(told["type"]), data if isinstance(data, dict) else {})


class FileChannel:
    """A line is a signal; the file is emptied when it is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        _LOG.info("Signals are read from the file %s", path.absolute())

    def read(self) -> list[Signal]:
        try:
            if not self._path.is_file():
                return []
            text = self._path.read_text()
            if text:
                self._path.write_text("")
        except (OSError, UnicodeDecodeError) as error:
            _LOG.warning("The file of signals %s cannot be read and emptied: %s", self._path, error)
            return []
        found = [parsed(line, str(self._path)) for line in text.splitlines() if line.strip()]
        return [signal for signal in found if signal is not None]

    def close(self) -> None:
        """Nothing is open."""


class KafkaChannel:
    """The first partition of a topic; how far it was read is kept in the group of `signal.kafka.groupId`."""

    def __init__(self, topic: str, key: str, consumer: Mapping[str, Any]) -> None:
        self._topic = topic
        self._key = key
        self._consumer = Consumer({"auto.offset.reset": "earliest", "enable.auto.commit": True, **consumer})
        self._consumer.assign([TopicPartition(topic, 0)])
        self._complained = False
        _LOG.info("Signals are read from the topic %s, records with the key %r", topic, key)

    def read(self) -> list[Signal]:
        found = []
        for message in self._consumer.consume(BATCH, timeout=0):
            error = message.error()
            if error is not None:
                self._complain(error)
                continue
            self._complained = False
            key, value = message.key(), message.value()
            if key is None or key.decode(errors="replace") != self._key or not value:
                _LOG.info("A record of %s with the key %r is not for %s", self._topic, key, self._key)
                continue
            signal = parsed(value, f"{self._topic} at {message.offset()}")
            if signal is not None:
                found.append(signal)
        return found

    def _complain(self, error: KafkaError) -> None:
        """Once, until something comes."""
        if not self._complained:
            _LOG.warning("Signals of the topic %s cannot be read at the moment: %s", self._topic, error.str())
        self._complained = True

    def close(self) -> None:
        try:
            self._consumer.close()
        except KafkaException as error:
            _LOG.warning("The consumer of signals did not end well: %s", error)
