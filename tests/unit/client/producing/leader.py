"""A broker that leads the one partition of a topic."""

from __future__ import annotations

from tests.unit.client.fake_broker import FakeBroker

from moldau._core import RecordBlock
from moldau.client.protocol.questions import INIT_PRODUCER_ID, PRODUCE


class Leader:
    """The leader of the one partition of `t`; `instead` has answers to Produce to give first."""

    def __init__(self, features=None):
        self.log = []
        self.instead = []
        self.identities = [(0, 7, 0)]
        self.broker = FakeBroker(self.answer, metadata=self.metadata, features=features)
        self.leader_port = self.broker.port

    def metadata(self, request):
        names = [str(topic.name) for topic in request.topics or ()]
        partition = {
            "error_code": 0,
            "partition_index": 0,
            "leader_id": 1,
            "leader_epoch": 0,
            "replica_nodes": (),
            "isr_nodes": (),
        }
        return {
            "brokers": [{"node_id": 1, "host": "127.0.0.1", "port": self.leader_port}],
            "topics": [
                {
                    "name": name,
                    "error_code": 0 if name == "t" else 3,
                    "partitions": [partition] if name == "t" else [],
                }
                for name in names
            ],
        }

    def answer(self, api_key, version, request):
        if api_key == INIT_PRODUCER_ID:
            code, producer_id, epoch = self.identities.pop(0) if len(self.identities) > 1 else self.identities[0]
            return {"throttle_time": 0, "error_code": code, "producer_id": producer_id, "producer_epoch": epoch}
        assert api_key == PRODUCE
        if self.instead:
            said = self.instead.pop(0)
            return self.written(said, -1) if isinstance(said, int) else said
        (topic,) = request.topic_data
        (part,) = topic.partition_data
        block = RecordBlock(bytes(part.records), 0, None)
        base = len(self.log)
        self.log += [record[3] for record in block.records(0, len(block))]
        return self.written(0, base)

    def written(self, code, base):
        part = {
            "index": 0,
            "error_code": code,
            "base_offset": base,
            "log_append_time": None,
            "log_start_offset": 0,
            "record_errors": (),
            "error_message": None,
        }
        return {"throttle_time": 0, "responses": [{"name": "t", "partition_responses": [part]}]}
