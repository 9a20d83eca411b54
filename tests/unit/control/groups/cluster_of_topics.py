"""The rest of the cluster for a group machine under test: topics that are made, grown and deleted by hand."""

import hashlib
import re
from uuid import UUID

from moldau.control.groups.consumer.cluster import TopicFacts, topic_hash


class ClusterOfTopics:
    """A `Cluster` whose regular expressions are Python's and whose hash is another one: only equality counts here."""

    def __init__(self, **partition_counts):
        self.topics = {}
        self.version = self.version_of_new_topics = 0
        self.session_timeout = 45_000
        self.assignment_interval = 0
        for name, count in partition_counts.items():
            self.create(name, count)

    def create(self, name, partition_count):
        self.version += 1
        self.version_of_new_topics = self.version
        self.topics[name] = TopicFacts(name, UUID(int=(1 << 80) + self.version), partition_count)
        return self.topics[name].id

    def grow(self, name, partition_count):
        self.version += 1
        self.topics[name] = TopicFacts(name, self.topics[name].id, partition_count)

    def delete(self, name):
        self.version += 1
        del self.topics[name]

    def id_of(self, name):
        return self.topics[name].id

    # What the machine asks

    def topic_named(self, name):
        return self.topics.get(name)

    def topic_with(self, topic_id):
        return next((topic for topic in self.topics.values() if topic.id == topic_id), None)

    def problem_with(self, expression):
        try:
            re.compile(expression)
        except re.error as error:
            return str(error)
        return None

    def topics_matching(self, expression, client):
        return frozenset(name for name in self.topics if re.fullmatch(expression, name))

    def hash64(self, data):
        return int.from_bytes(hashlib.sha256(data).digest()[:8], "big", signed=True)

    def hash_of(self, topic):
        return topic_hash(self.hash64, topic)

    def session_timeout_ms(self, group_id):
        return self.session_timeout

    def heartbeat_interval_ms(self, group_id):
        return 5_000

    def assignment_interval_ms(self, group_id):
        return self.assignment_interval
