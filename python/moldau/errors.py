"""Every error that crosses the wire, and the exceptions of the package, once.

`ErrorCode` is Kafka's table: the number, the name, whether a client may retry, and one sentence of ours that says what
has happened. The sentence is what a client reads when nobody had more to say; whoever refuses a request usually has,
and puts the facts into `ApiError`.

Source: the Kafka protocol guide, section "Error codes".
"""

from __future__ import annotations

import enum
from typing import Self


class MoldauError(Exception):
    """The root of every exception that Moldau raises on purpose."""


class ErrorCode(enum.IntEnum):
    """A Kafka error code. `retriable`: the same request may succeed later. `sentence`: what it means."""

    retriable: bool
    sentence: str

    def __new__(cls, code: int, retriable: bool = False, sentence: str = "") -> Self:
        member = int.__new__(cls, code)
        member._value_ = code
        member.retriable = retriable
        member.sentence = sentence
        return member

    @classmethod
    def of(cls, number: int) -> Self:
        """The error of a number that came over the wire; one that is not in the table says nothing."""
        try:
            return cls(number)
        except ValueError:
            return cls(-1)

    UNKNOWN_SERVER_ERROR = -1, False, "the node failed in a way it did not foresee; its log has the traceback"
    NONE = 0, False, "all is well"
    OFFSET_OUT_OF_RANGE = 1, False, "the offset is outside of what the partition holds"
    CORRUPT_MESSAGE = 2, True, "the bytes do not match their checksum, or are not a record batch"
    UNKNOWN_TOPIC_OR_PARTITION = 3, True, "this node knows no such topic or partition"
    INVALID_FETCH_SIZE = 4, False, "a fetch of this size is not possible"
    LEADER_NOT_AVAILABLE = 5, True, "the partition has no leader at the moment"
    NOT_LEADER_OR_FOLLOWER = 6, True, "this node neither leads nor follows the partition"
    REQUEST_TIMED_OUT = 7, True, "the request was not finished in its time"
    BROKER_NOT_AVAILABLE = 8, False, "the broker is not there"
    REPLICA_NOT_AVAILABLE = 9, True, "the replica is not there at the moment"
    MESSAGE_TOO_LARGE = 10, False, "a record batch is larger than the topic accepts"
    STALE_CONTROLLER_EPOCH = 11, False, "the controller that sent this is no longer the controller"
    OFFSET_METADATA_TOO_LARGE = 12, False, "the metadata of a committed offset is longer than the broker accepts"
    NETWORK_EXCEPTION = 13, True, "the connection broke before an answer came"
    COORDINATOR_LOAD_IN_PROGRESS = 14, True, "the coordinator still reads its state from disk"
    COORDINATOR_NOT_AVAILABLE = 15, True, "there is no coordinator for this at the moment"
    NOT_COORDINATOR = 16, True, "another node coordinates this"
    INVALID_TOPIC_EXCEPTION = 17, False, "no topic can have this name, or the topic is not for clients"
    RECORD_LIST_TOO_LARGE = 18, False, "the record batches of the request are larger than a segment"
    NOT_ENOUGH_REPLICAS = 19, True, "fewer replicas are in sync than the topic demands"
    NOT_ENOUGH_REPLICAS_AFTER_APPEND = (
        20,
        True,
        "the records were written, but to fewer replicas than the topic demands",
    )
    INVALID_REQUIRED_ACKS = 21, False, "acks must be -1, 0 or 1"
    ILLEGAL_GENERATION = 22, False, "the group has moved on to another generation"
    INCONSISTENT_GROUP_PROTOCOL = 23, False, "the member shares no protocol with the rest of its group"
    INVALID_GROUP_ID = 24, False, "no group can have this id"
    UNKNOWN_MEMBER_ID = 25, False, "the group has no such member"
    INVALID_SESSION_TIMEOUT = 26, False, "the session timeout is outside of what the broker allows"
    REBALANCE_IN_PROGRESS = 27, False, "the group is rebalancing; join again"
    INVALID_COMMIT_OFFSET_SIZE = 28, False, "the group's offsets do not fit into one batch"
    TOPIC_AUTHORIZATION_FAILED = 29, False, "the principal may not do this with the topic"
    GROUP_AUTHORIZATION_FAILED = 30, False, "the principal may not do this with the group"
    CLUSTER_AUTHORIZATION_FAILED = 31, False, "the principal may not do this with the cluster"
    INVALID_TIMESTAMP = 32, False, "a record's timestamp is outside of what the topic allows"
    UNSUPPORTED_SASL_MECHANISM = 33, False, "the broker does not offer this SASL mechanism"
    ILLEGAL_SASL_STATE = 34, False, "this request is not allowed at this point of the SASL handshake"
    UNSUPPORTED_VERSION = 35, False, "the broker does not serve this version of the request"
    TOPIC_ALREADY_EXISTS = 36, False, "a topic with this name exists"
    INVALID_PARTITIONS = 37, False, "the number of partitions is not possible"
    INVALID_REPLICATION_FACTOR = 38, False, "the number of replicas is not possible"
    INVALID_REPLICA_ASSIGNMENT = 39, False, "the replicas named for a partition are not possible"
    INVALID_CONFIG = 40, False, "a configuration is unknown or its value is not possible"
    NOT_CONTROLLER = 41, True, "this node is not the controller"
    INVALID_REQUEST = 42, False, "the request contradicts itself or the protocol"
    UNSUPPORTED_FOR_MESSAGE_FORMAT = 43, False, "the topic's record format is too old for this"
    POLICY_VIOLATION = 44, False, "the request breaks a rule that the operator has set"
    OUT_OF_ORDER_SEQUENCE_NUMBER = 45, False, "a batch does not continue the producer's sequence"
    DUPLICATE_SEQUENCE_NUMBER = 46, False, "the batch was written before"
    INVALID_PRODUCER_EPOCH = 47, False, "a newer producer with the same id has taken over"
    INVALID_TXN_STATE = 48, False, "the transaction is not in a state that allows this"
    INVALID_PRODUCER_ID_MAPPING = 49, False, "the producer id does not belong to the transactional id"
    INVALID_TRANSACTION_TIMEOUT = 50, False, "the transaction timeout is longer than the broker allows"
    CONCURRENT_TRANSACTIONS = 51, True, "the transaction before this one is still being finished"
    TRANSACTION_COORDINATOR_FENCED = 52, False, "a newer coordinator has taken over the transaction"
    TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53, False, "the principal may not use the transactional id"
    SECURITY_DISABLED = 54, False, "the cluster checks no permissions, so there are none to manage"
    OPERATION_NOT_ATTEMPTED = 55, False, "nothing was tried, because another part of the request failed"
    KAFKA_STORAGE_ERROR = 56, True, "the disk that holds the partition has failed"
    LOG_DIR_NOT_FOUND = 57, False, "the broker has no such log directory"
    SASL_AUTHENTICATION_FAILED = 58, False, "the credentials were refused"
    UNKNOWN_PRODUCER_ID = 59, False, "the partition remembers nothing of this producer"
    REASSIGNMENT_IN_PROGRESS = 60, False, "the partition is being moved to other brokers"
    DELEGATION_TOKEN_AUTH_DISABLED = 61, False, "delegation tokens are switched off"
    DELEGATION_TOKEN_NOT_FOUND = 62, False, "there is no such delegation token"
    DELEGATION_TOKEN_OWNER_MISMATCH = 63, False, "the delegation token belongs to someone else"
    DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64, False, "delegation tokens need an authenticated, encrypted connection"
    DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65, False, "the principal may not do this with the delegation token"
    DELEGATION_TOKEN_EXPIRED = 66, False, "the delegation token has expired"
    INVALID_PRINCIPAL_TYPE = 67, False, "the type of principal is not supported"
    NON_EMPTY_GROUP = 68, False, "the group still has members"
    GROUP_ID_NOT_FOUND = 69, False, "there is no such group"
    FETCH_SESSION_ID_NOT_FOUND = 70, True, "the broker has forgotten the fetch session"
    INVALID_FETCH_SESSION_EPOCH = 71, True, "the fetch session is at another epoch"
    LISTENER_NOT_FOUND = 72, True, "the leader does not listen where this request came from"
    TOPIC_DELETION_DISABLED = 73, False, "the operator has switched the deletion of topics off"
    FENCED_LEADER_EPOCH = 74, True, "the client's leader epoch is older than the partition's"
    UNKNOWN_LEADER_EPOCH = 75, True, "the client's leader epoch is newer than this node knows"
    UNSUPPORTED_COMPRESSION_TYPE = 76, False, "the compression is not known to this version of the request"
    STALE_BROKER_EPOCH = 77, False, "the broker's registration is no longer the current one"
    OFFSET_NOT_AVAILABLE = 78, True, "the new leader does not know its high watermark yet"
    MEMBER_ID_REQUIRED = 79, False, "join again with the member id in this answer"
    PREFERRED_LEADER_NOT_AVAILABLE = 80, True, "the preferred leader is not in sync or not alive"
    GROUP_MAX_SIZE_REACHED = 81, False, "the group is full"
    FENCED_INSTANCE_ID = 82, False, "another member has the same group.instance.id"
    ELIGIBLE_LEADERS_NOT_AVAILABLE = 83, True, "no replica may become leader without losing records"
    ELECTION_NOT_NEEDED = 84, True, "the partition already has the leader that was asked for"
    NO_REASSIGNMENT_IN_PROGRESS = 85, False, "the partition is not being moved"
    GROUP_SUBSCRIBED_TO_TOPIC = 86, False, "the group still consumes the topic"
    INVALID_RECORD = 87, False, "a record breaks a rule of its topic"
    UNSTABLE_OFFSET_COMMIT = 88, True, "a transaction may still change this offset"
    THROTTLING_QUOTA_EXCEEDED = 89, True, "the quota is used up for now"
    PRODUCER_FENCED = 90, False, "a newer producer with the same transactional id has taken over"
    RESOURCE_NOT_FOUND = 91, False, "there is no such resource"
    DUPLICATE_RESOURCE = 92, False, "the request names the same resource twice"
    UNACCEPTABLE_CREDENTIAL = (
        93,
        False,
        "the credential cannot be stored: iterations, salt or password are not possible",
    )
    INCONSISTENT_VOTER_SET = 94, False, "the voters of the sender are not those of this node"
    INVALID_UPDATE_VERSION = 95, False, "the feature cannot be set to this level"
    FEATURE_UPDATE_FAILED = 96, False, "the feature levels could not be changed"
    PRINCIPAL_DESERIALIZATION_FAILURE = 97, False, "the principal in a forwarded request cannot be read"
    SNAPSHOT_NOT_FOUND = 98, False, "there is no such snapshot"
    POSITION_OUT_OF_RANGE = 99, False, "the snapshot ends before this position"
    UNKNOWN_TOPIC_ID = 100, True, "this node knows no topic with this id"
    DUPLICATE_BROKER_REGISTRATION = 101, False, "another broker is registered under this id"
    BROKER_ID_NOT_REGISTERED = 102, False, "no broker is registered under this id"
    INCONSISTENT_TOPIC_ID = 103, True, "the topic's id is another one; it was deleted and created again"
    INCONSISTENT_CLUSTER_ID = 104, False, "the cluster's id is another one"
    TRANSACTIONAL_ID_NOT_FOUND = 105, False, "there is no such transactional id"
    FETCH_SESSION_TOPIC_ID_ERROR = 106, True, "the fetch session mixes topic names and topic ids"
    INELIGIBLE_REPLICA = 107, False, "a broker that may not be in sync was named as in sync"
    NEW_LEADER_ELECTED = 108, False, "the partition has elected a new leader"
    OFFSET_MOVED_TO_TIERED_STORAGE = 109, False, "the records have moved to tiered storage"
    FENCED_MEMBER_EPOCH = 110, False, "the member's epoch is no longer the current one"
    UNRELEASED_INSTANCE_ID = 111, False, "a member still uses this group.instance.id"
    UNSUPPORTED_ASSIGNOR = 112, False, "the broker has no such assignor"
    STALE_MEMBER_EPOCH = 113, False, "the member must first take in its newest assignment"
    MISMATCHED_ENDPOINT_TYPE = 114, False, "the request came to an endpoint for something else"
    UNSUPPORTED_ENDPOINT_TYPE = 115, False, "there are no endpoints of this kind"
    UNKNOWN_CONTROLLER_ID = 116, False, "there is no controller with this id"
    UNKNOWN_SUBSCRIPTION_ID = 117, False, "there is no telemetry subscription with this id"
    TELEMETRY_TOO_LARGE = 118, False, "the telemetry is larger than the broker accepts"
    INVALID_REGISTRATION = 119, False, "the registration of a broker or controller is not possible"
    TRANSACTION_ABORTABLE = 120, False, "the transaction cannot go on; abort it"
    INVALID_RECORD_STATE = 121, False, "the record is not in a state that allows this acknowledgement"
    SHARE_SESSION_NOT_FOUND = 122, True, "there is no such share session"
    INVALID_SHARE_SESSION_EPOCH = 123, True, "the share session is at another epoch"
    FENCED_STATE_EPOCH = 124, False, "the share coordinator has moved on to another epoch"
    INVALID_VOTER_KEY = 125, False, "the voter's directory id is not the one that is known"
    DUPLICATE_VOTER = 126, False, "the voter is already one"
    VOTER_NOT_FOUND = 127, False, "there is no such voter"
    INVALID_REGULAR_EXPRESSION = 128, False, "the regular expression cannot be read"
    REBOOTSTRAP_REQUIRED = 129, False, "the client's knowledge of the cluster is too old; bootstrap again"
    STREAMS_INVALID_TOPOLOGY = 130, False, "the topology of the streams group is not possible"
    STREAMS_INVALID_TOPOLOGY_EPOCH = 131, False, "the topology's epoch is not the one that is known"
    STREAMS_TOPOLOGY_FENCED = 132, False, "a newer topology has taken over"
    SHARE_SESSION_LIMIT_REACHED = 133, True, "the broker has as many share sessions as it allows"


class ApiError(MoldauError):
    """A request, or one item of it, that is refused with a Kafka error code.

    `message` is what the client reads; without one it reads the code's own sentence.
    """

    def __init__(self, code: ErrorCode, message: str | None = None) -> None:
        super().__init__(message or code.sentence)
        self.code = code
        self.message = message or code.sentence

    @property
    def retriable(self) -> bool:
        """Whether the same request may succeed later."""
        return self.code.retriable


class UnknownTopicError(ApiError):
    """There is no topic of this name."""

    def __init__(self, topic: str) -> None:
        super().__init__(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"there is no topic {topic!r}")
        self.topic = topic


class UnknownPartitionError(ApiError):
    """The topic has no such partition."""

    def __init__(self, topic: str, partition: int) -> None:
        super().__init__(ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, f"topic {topic!r} has no partition {partition}")
        self.topic = topic
        self.partition = partition


class InvalidConfigError(ApiError):
    """A key that does not exist, or a value that it cannot have."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(ErrorCode.INVALID_CONFIG, message)
        self.name = name
