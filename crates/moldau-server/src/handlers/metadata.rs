//! Metadata: brokers, topics and leaders, from the cluster image.
//!
//! Creating topics is the control plane's business: a request that allows it and names a topic that could be created
//! is handed over, and comes back here when the topic is in the image.

use std::collections::HashSet;
use std::sync::Arc;

use uuid::Uuid;

use crate::access::{Operation, ResourceKind};
use crate::error_code::ErrorCode;
use crate::image::ClusterImage;
use crate::node::{ClientContext, Node};
use crate::replica_manager::Topic;
use crate::wire::metadata::{
    MetadataHead, MetadataPartition, MetadataRequest, MetadataRequestTopic, MetadataTopic, OPERATIONS_NOT_ASKED,
    encode_end,
};
use crate::wire::{DecodeError, Writer};

/// Everything that can be done with a topic, as a bit field of AclOperation: READ, WRITE, CREATE, DELETE, ALTER,
/// DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS.
const TOPIC_OPERATIONS: i32 = bits(&[3, 4, 5, 6, 7, 8, 10, 11]);
/// The same of the cluster: CREATE, ALTER, DESCRIBE, CLUSTER_ACTION, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE.
const CLUSTER_OPERATIONS: i32 = bits(&[5, 7, 8, 9, 10, 11, 12]);

const TOPIC_NAME_MAX: usize = 249;
const INTERNAL_TOPICS: [&str; 3] = ["__consumer_offsets", "__transaction_state", "__share_group_state"];

const fn bits(operations: &[i32]) -> i32 {
    let mut field = 0;
    let mut index = 0;
    while index < operations.len() {
        field |= 1 << operations[index];
        index += 1;
    }
    field
}

/// Whether the control plane must first create topics for this request.
pub(crate) fn wants_creation(
    node: &Node,
    client: &ClientContext<'_>,
    body: &[u8],
    version: i16,
) -> Result<bool, DecodeError> {
    let request = MetadataRequest::decode(body, version)?;
    let Some(topics) = request.topics.as_ref().filter(|_| request.allow_auto_topic_creation) else {
        return Ok(false);
    };
    if !node.auto_create_topics() || invalid_for_version(topics, version) {
        return Ok(false);
    }
    let image = node.replicas.image();
    let by_id = topics.iter().any(|topic| !topic.topic_id.is_nil());
    Ok(!by_id
        && topics
            .iter()
            .filter_map(|topic| topic.name)
            .any(|n| is_valid_name(n) && image.topic(n).is_none() && may_describe(client, n) && may_create(client, n)))
}

fn may_describe(client: &ClientContext<'_>, name: &str) -> bool {
    client.may(Operation::Describe, ResourceKind::Topic, name)
}

/// Whether the client may create a topic of this name, or any.
fn may_create(client: &ClientContext<'_>, name: &str) -> bool {
    client.of_cluster().allow(Operation::Create) || client.may(Operation::Create, ResourceKind::Topic, name)
}

/// Append the body of an answer.
pub(crate) fn respond(
    node: &Node,
    client: &ClientContext<'_>,
    body: &[u8],
    version: i16,
    writer: &mut Writer<'_>,
) -> Result<(), DecodeError> {
    let request = MetadataRequest::decode(body, version)?;
    if let Some(topics) = request
        .topics
        .as_ref()
        .filter(|topics| invalid_for_version(topics, version))
    {
        respond_invalid(topics, version, writer);
        return Ok(());
    }
    let image = node.replicas.image();
    let asked = request.topics.as_deref().map(Asked::of);
    // Of all topics those are told that the client may know of, and nothing is said about the others.
    let visible = |topic: &&Arc<Topic>| {
        client
            .operations(ResourceKind::Topic, &topic.image.name)
            .allow(Operation::Describe)
    };
    let topic_count = match (&asked, client.permissions) {
        (Some(asked), _) => asked.topics.len(),
        (None, None) => image.topic_count(),
        (None, Some(_)) => image.topics().filter(visible).count(),
    };
    encode_head(node, client, &image, topic_count, version, writer);
    let encoder = TopicEncoder {
        image: &image,
        client,
        version,
        tells_operations: request.include_topic_authorized_operations,
        creates: request.allow_auto_topic_creation && node.auto_create_topics(),
    };
    match asked {
        None => image
            .topics()
            .filter(visible)
            .for_each(|topic| encoder.known(topic, writer)),
        Some(asked) => asked.topics.iter().for_each(|topic| encoder.asked(topic, writer)),
    }
    let cluster_operations = if request.include_cluster_authorized_operations {
        cluster_operations(client)
    } else {
        OPERATIONS_NOT_ASKED
    };
    encode_end(writer, version, cluster_operations, 0);
    Ok(())
}

/// What the client may do with the cluster; nothing is told to one that may not describe it.
fn cluster_operations(client: &ClientContext<'_>) -> i32 {
    let operations = client.of_cluster();
    if operations.allow(Operation::Describe) {
        operations.told(CLUSTER_OPERATIONS)
    } else {
        0
    }
}

/// Before version 12 a topic has a name and no id; Kafka refuses the whole request.
fn invalid_for_version(topics: &[MetadataRequestTopic<'_>], version: i16) -> bool {
    version < 12
        && topics
            .iter()
            .any(|topic| topic.name.is_none() || !topic.topic_id.is_nil())
}

fn respond_invalid(topics: &[MetadataRequestTopic<'_>], version: i16, writer: &mut Writer<'_>) {
    let head = MetadataHead {
        brokers: Vec::new(),
        cluster_id: "",
        controller_id: -1,
        topic_count: topics.len(),
    };
    head.encode(writer, version);
    for topic in topics {
        let refused = MetadataTopic {
            error_code: ErrorCode::INVALID_REQUEST.0,
            name: Some(topic.name.unwrap_or_default()),
            topic_id: topic.topic_id,
            is_internal: false,
            authorized_operations: OPERATIONS_NOT_ASKED,
        };
        refused.encode_front(writer, version, 0);
        refused.encode_tail(writer, version);
    }
    encode_end(writer, version, OPERATIONS_NOT_ASKED, ErrorCode::INVALID_REQUEST.0);
}

/// The topics of a request without repetition. If any is named by id, ids alone count.
struct Asked<'a> {
    topics: Vec<MetadataRequestTopic<'a>>,
}

impl<'a> Asked<'a> {
    fn of(topics: &[MetadataRequestTopic<'a>]) -> Self {
        let by_id = topics.iter().any(|topic| !topic.topic_id.is_nil());
        let mut seen = HashSet::with_capacity(topics.len());
        let counts = |topic: &&MetadataRequestTopic<'a>| {
            if by_id {
                !topic.topic_id.is_nil()
            } else {
                topic.name.is_some()
            }
        };
        let identity = |topic: &MetadataRequestTopic<'a>| match by_id {
            true => MetadataRequestTopic { name: None, ..*topic },
            false => *topic,
        };
        Asked {
            topics: topics
                .iter()
                .filter(counts)
                .map(identity)
                .filter(|topic| seen.insert(*topic))
                .collect(),
        }
    }
}

fn encode_head(
    node: &Node,
    client: &ClientContext<'_>,
    image: &ClusterImage<Topic>,
    topic_count: usize,
    version: i16,
    writer: &mut Writer<'_>,
) {
    let brokers = image.brokers.values().filter_map(|broker| {
        let (host, port) = if broker.id == node.config.node_id {
            (&**client.advertised_host, client.advertised_port)
        } else {
            let endpoint = broker
                .endpoints
                .iter()
                .find(|endpoint| endpoint.listener == *client.listener)?;
            (&*endpoint.host, endpoint.port)
        };
        Some((broker.id, host, port, broker.rack.as_deref()))
    });
    let head = MetadataHead {
        brokers: brokers.collect(),
        cluster_id: &node.config.cluster_id,
        controller_id: image.controller,
        topic_count,
    };
    head.encode(writer, version);
}

struct TopicEncoder<'a> {
    image: &'a ClusterImage<Topic>,
    client: &'a ClientContext<'a>,
    version: i16,
    tells_operations: bool,
    /// A topic that is not there would be created, for somebody who may.
    creates: bool,
}

impl TopicEncoder<'_> {
    fn asked(&self, topic: &MetadataRequestTopic<'_>, writer: &mut Writer<'_>) {
        match topic.name {
            // Whether there is such a topic is not told, nor its id.
            Some(name) if !may_describe(self.client, name) => self.refused(Some(name), false, Uuid::nil(), writer),
            Some(name) => match self.image.topic(name) {
                Some(known) => self.known(known, writer),
                None if self.creates && !may_create(self.client, name) => {
                    self.refused(Some(name), INTERNAL_TOPICS.contains(&name), Uuid::nil(), writer);
                }
                None if is_valid_name(name) => {
                    self.unknown(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, Some(name), Uuid::nil(), writer);
                }
                None => self.unknown(ErrorCode::INVALID_TOPIC_EXCEPTION, Some(name), Uuid::nil(), writer),
            },
            None => match self.image.topic_by_id(topic.topic_id) {
                Some(known) if !may_describe(self.client, &known.image.name) => {
                    self.refused(None, false, topic.topic_id, writer);
                }
                Some(known) => self.known(known, writer),
                None => self.unknown(ErrorCode::UNKNOWN_TOPIC_ID, None, topic.topic_id, writer),
            },
        }
    }

    fn operations(&self, name: &str) -> i32 {
        if !self.tells_operations {
            return OPERATIONS_NOT_ASKED;
        }
        self.client.operations(ResourceKind::Topic, name).told(TOPIC_OPERATIONS)
    }

    fn refused(&self, name: Option<&str>, is_internal: bool, topic_id: Uuid, writer: &mut Writer<'_>) {
        let topic = MetadataTopic {
            error_code: ErrorCode::TOPIC_AUTHORIZATION_FAILED.0,
            name,
            topic_id,
            is_internal,
            authorized_operations: OPERATIONS_NOT_ASKED,
        };
        topic.encode_front(writer, self.version, 0);
        topic.encode_tail(writer, self.version);
    }

    fn unknown(&self, code: ErrorCode, name: Option<&str>, topic_id: Uuid, writer: &mut Writer<'_>) {
        let topic = MetadataTopic {
            error_code: code.0,
            name,
            topic_id,
            is_internal: name.is_some_and(|name| INTERNAL_TOPICS.contains(&name)),
            authorized_operations: name.map_or(OPERATIONS_NOT_ASKED, |name| self.operations(name)),
        };
        topic.encode_front(writer, self.version, 0);
        topic.encode_tail(writer, self.version);
    }

    fn known(&self, topic: &Arc<Topic>, writer: &mut Writer<'_>) {
        let image = &topic.image;
        let head = MetadataTopic {
            error_code: 0,
            name: Some(&image.name),
            topic_id: image.id,
            is_internal: image.internal,
            authorized_operations: self.operations(&image.name),
        };
        head.encode_front(writer, self.version, image.partitions.len());
        for partition in &image.partitions {
            let led = self.image.brokers.contains_key(&partition.leader);
            let encoded = MetadataPartition {
                error_code: if led {
                    ErrorCode::NONE.0
                } else {
                    ErrorCode::LEADER_NOT_AVAILABLE.0
                },
                partition: partition.partition,
                leader_id: if led { partition.leader } else { -1 },
                leader_epoch: partition.leader_epoch,
                replicas: &partition.replicas,
                in_sync_replicas: &partition.in_sync_replicas,
                offline_replicas: &partition.offline_replicas,
            };
            encoded.encode(writer, self.version);
        }
        head.encode_tail(writer, self.version);
    }
}

/// Kafka's rule for topic names.
fn is_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= TOPIC_NAME_MAX
        && name != "."
        && name != ".."
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_the_bits_that_kafka_sends() {
        assert_eq!((TOPIC_OPERATIONS, CLUSTER_OPERATIONS), (3576, 8096));
    }

    #[test]
    fn topic_names_follow_kafka() {
        assert!(is_valid_name("orders.v1_eu-west"));
        for invalid in ["", ".", "..", "a b", "ü", &"x".repeat(250)] {
            assert!(!is_valid_name(invalid), "{invalid}");
        }
    }

    #[test]
    fn ids_outrank_names_and_repetitions_count_once() {
        let named = |name| MetadataRequestTopic {
            topic_id: Uuid::nil(),
            name: Some(name),
        };
        let by_id = MetadataRequestTopic {
            topic_id: Uuid::from_u128(7),
            name: Some("x"),
        };
        assert_eq!(Asked::of(&[named("a"), named("a"), named("b")]).topics.len(), 2);
        assert_eq!(
            Asked::of(&[named("a"), by_id, by_id]).topics,
            [MetadataRequestTopic { name: None, ..by_id }]
        );
    }
}
