"""From what a request calls a topic, a name or from newer versions on an id, to the topic of the image."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from moldau.control.metadata.image import Topic
from moldau.control.schema import ZERO_UUID


def find_topic(shell: Any, asked: Any) -> Topic | None:
    """The topic that `asked` (an element of a request, with `topic_id` or `name`) means; None when there is none."""
    image = shell.metadata.machine.image
    name = getattr(asked, "name", None)
    found: Topic | None
    found = image.topics_by_id.get(asked.topic_id) if name is None else image.topics.get(name)
    return found


def topic_id_of(shell: Any, name: str) -> UUID:
    """The id of the topic of this name; the zero id when there is none."""
    topic: Topic | None = shell.metadata.machine.image.topics.get(name)
    return ZERO_UUID if topic is None else topic.id
