"""The metadata machine: one node's half of the cluster's control plane, without a clock, a disk or a socket.

It decides about every request that changes the cluster's metadata, and its image is what all other parts of a node
read. One request becomes one `Decision`: records for `__cluster_metadata`, and a response that is valid once they are
committed. Requests that only read need no decision; handlers read `image` and `situation` for them.

What a node does with it, in order:

    replay        decode(value) and apply, for every record of the log that is not a control record
    begin         Activate, RegisterController, RegisterBroker (its answer is the broker's epoch)
    serve         UnfenceBroker, once the logs are loaded; then requests as they come
    after each    take_delta(): what the servers of the hot requests must be told
    stop          BeginControlledShutdown, FenceBroker; write the broker's epoch down for the next start

The way of one request through here is told in docs/internals/metadata.md.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from moldau.control.machine import Decision, Now
from moldau.control.metadata import acls, brokers, cluster, configs, elections, quotas, scram, topics
from moldau.control.metadata.effective import Configs, NodeSettings
from moldau.control.metadata.features import record_version
from moldau.control.metadata.image import MetadataDelta, MetadataImage
from moldau.control.metadata.records import decode_record, encode_record
from moldau.control.metadata.situation import Situation
from moldau.control.schema import Message

Decide = Callable[[Situation, Any], Decision[Message, Any]]


class MetadataMachine:
    """The contract of `moldau.control.machine`: `decide` changes nothing, `apply` is the only code that does."""

    _decisions: ClassVar[Mapping[type, Decide]] = {
        cluster.Activate: cluster.activate,
        cluster.RegisterController: cluster.register_controller,
        cluster.UpdateFeatures: cluster.update_features,
        cluster.AllocateProducerIds: cluster.allocate_producer_ids,
        brokers.RegisterBroker: brokers.register_broker,
        brokers.UnfenceBroker: brokers.unfence_broker,
        brokers.BeginControlledShutdown: brokers.begin_controlled_shutdown,
        brokers.FenceBroker: brokers.fence_broker,
        brokers.UnregisterBroker: brokers.unregister_broker,
        brokers.FailDirectories: brokers.fail_directories,
        brokers.AssignDirectories: brokers.assign_directories,
        topics.CreateTopics: topics.create_topics,
        topics.CreatePartitions: topics.create_partitions,
        topics.DeleteTopics: topics.delete_topics,
        configs.AlterConfigs: configs.alter_configs,
        configs.ReplaceConfigs: configs.replace_configs,
        elections.ElectLeaders: elections.elect_leaders,
        elections.AlterReassignments: elections.alter_reassignments,
        quotas.AlterQuotas: quotas.alter_quotas,
        scram.AlterCredentials: scram.alter_credentials,
        acls.CreateAcls: acls.create_acls,
        acls.DeleteAcls: acls.delete_acls,
    }

    def __init__(self, settings: NodeSettings, chance: random.Random) -> None:
        self.settings = settings
        self.image = MetadataImage()
        self.configs = Configs(self.image, settings)
        self._random = chance

    def situation(self) -> Situation:
        """The cluster as it is now: what a read looks at."""
        return Situation(self.image, self.configs, self._random)

    def decide(self, request: Any, _now: Now) -> Decision[Message, Any]:
        """What has to be written for `request`, and what to answer then.

        Raises:
            ApiError: the request as a whole is refused. Refusals of single items stand in the response.
        """
        return self._decisions[type(request)](self.situation(), request)

    def apply(self, record: Message) -> None:
        """Take one committed record into the image.

        Raises:
            ImageError: the record contradicts the image; the log is not what we think it is.
        """
        self.image.apply(record)

    def take_delta(self) -> MetadataDelta:
        """What the records since the last call have changed."""
        return self.image.take_delta()

    def encode(self, record: Message) -> bytes:
        """The value of the log record for `record`, in the version of this cluster's `metadata.version`."""
        return encode_record(record, record_version(record, self.image.metadata_version))

    def decode(self, value: bytes) -> Message:
        """The record that stands in the log.

        Raises:
            SchemaError: it is not one that we know.
        """
        return decode_record(value)[0]
