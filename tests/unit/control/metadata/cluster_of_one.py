"""A metadata machine with brokers, driven as the shell drives it: decide, apply, answer."""

import random
from uuid import UUID

from moldau.control.machine import Now
from moldau.control.metadata.brokers import RegisterBroker, UnfenceBroker
from moldau.control.metadata.cluster import Activate
from moldau.control.metadata.effective import NodeSettings
from moldau.control.metadata.machine import MetadataMachine
from moldau.control.metadata.records import Endpoint, FeatureLevelRecord
from moldau.control.metadata.topics import CreateTopics, NewTopic

CLUSTER = "4L6g3nShT-eMCtK--X86sw"


class Cluster:
    """What was written, and the machine that has applied it."""

    def __init__(self, *broker_ids, clamp=False, metadata_version=30, **file_configs):
        settings = NodeSettings(
            1, CLUSTER, {name.replace("_", "."): value for name, value in file_configs.items()}, clamp
        )
        self.settings = settings
        self.machine = MetadataMachine(settings, random.Random(7))
        self.log = []
        self.run(Activate())
        if metadata_version < 30:
            self.write(FeatureLevelRecord("eligible.leader.replicas.version", 0))
            self.write(FeatureLevelRecord("metadata.version", metadata_version))
        for broker_id in broker_ids or (1,):
            self.join(broker_id)

    @property
    def image(self):
        return self.machine.image

    def join(self, broker_id, incarnation=0, previous_epoch=-1, rack=None, unfence=True, directories=1):
        epoch = self.run(
            RegisterBroker(
                broker_id,
                CLUSTER,
                UUID(int=broker_id << 64 | incarnation << 32 | 9),
                new_epoch=len(self.log),
                endpoints=(Endpoint("PLAINTEXT", "localhost", 9090 + broker_id, 0),),
                log_dirs=tuple(UUID(int=broker_id << 64 | 1 << 40 | number) for number in range(directories)),
                rack=rack,
                previous_epoch=previous_epoch,
            )
        )
        if unfence:
            self.run(UnfenceBroker(broker_id, epoch))
        return epoch

    def write(self, record):
        self.log.append(self.machine.encode(record))
        self.machine.apply(record)

    def run(self, request):
        decision = self.machine.decide(request, Now(0, 0))
        for record in decision.records:
            self.log.append(self.machine.encode(record))
        for record in decision.records:
            self.machine.apply(record)
        return decision.response

    def decide(self, request):
        return self.machine.decide(request, Now(0, 0))

    def topic(self, name="orders", partitions=3, factor=1, **configs):
        new = NewTopic(name, partitions, factor, configs=tuple((k.replace("_", "."), v) for k, v in configs.items()))
        (answer,) = self.run(CreateTopics((new,)))
        assert answer.code == 0, answer
        return self.image.topics[name]

    def reopened(self):
        """Another machine that has read the same log."""
        other = MetadataMachine(self.settings, random.Random(8))
        for value in self.log:
            other.apply(other.decode(value))
        return other
