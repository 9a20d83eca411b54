//! Metadata (key 3), versions 0 to 13.
//!
//! In version 0 an empty list of topics means all of them; later null does. 1 adds rack, controller and internal
//! flags, 2 the cluster id, 4 auto-creation, 5 offline replicas, 7 leader epochs, 8 authorized operations, 9 is
//! flexible, 10 adds topic ids, 12 asks by id, 13 has an error of its own.

use uuid::Uuid;

use super::{DecodeError, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 9
}

/// What a field of authorized operations says when nobody asked.
pub const OPERATIONS_NOT_ASKED: i32 = i32::MIN;

/// A Metadata request.
#[derive(Debug, PartialEq, Eq)]
pub struct MetadataRequest<'a> {
    /// The topics asked about; `None` for all.
    pub topics: Option<Vec<MetadataRequestTopic<'a>>>,
    /// Unknown topics may be created.
    pub allow_auto_topic_creation: bool,
    /// Tell what the client may do with the cluster (versions 8 to 10).
    pub include_cluster_authorized_operations: bool,
    /// Tell what the client may do with each topic.
    pub include_topic_authorized_operations: bool,
}

/// A topic, by id or by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetadataRequestTopic<'a> {
    /// Id; nil before version 10.
    pub topic_id: Uuid,
    /// Name; may be null from version 10 on.
    pub name: Option<&'a str>,
}

impl<'a> MetadataRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let mut topics = reader.nullable_array(2, |reader| {
            let topic = MetadataRequestTopic {
                topic_id: if version >= 10 { reader.uuid()? } else { Uuid::nil() },
                name: if version >= 10 {
                    reader.nullable_string()?
                } else {
                    Some(reader.string()?)
                },
            };
            reader.skip_tags()?;
            Ok(topic)
        })?;
        if version == 0 {
            if topics.is_none() {
                return Err(DecodeError("the topics of a Metadata request version 0 are null"));
            }
            topics = topics.filter(|topics| !topics.is_empty());
        }
        let request = MetadataRequest {
            topics,
            allow_auto_topic_creation: if version >= 4 { reader.bool()? } else { true },
            include_cluster_authorized_operations: if (8..=10).contains(&version) {
                reader.bool()?
            } else {
                false
            },
            include_topic_authorized_operations: if version >= 8 { reader.bool()? } else { false },
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

/// Everything before the first topic.
#[derive(Debug)]
pub struct MetadataHead<'a> {
    /// Alive brokers: id, host, port, rack.
    pub brokers: Vec<(i32, &'a str, u16, Option<&'a str>)>,
    /// Cluster id.
    pub cluster_id: &'a str,
    /// Controller, -1 when there is none.
    pub controller_id: i32,
    /// Topics that follow.
    pub topic_count: usize,
}

impl MetadataHead<'_> {
    /// Append it.
    pub fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        if version >= 3 {
            writer.throttle_time();
        }
        writer.array_length(self.brokers.len());
        for (id, host, port, rack) in &self.brokers {
            writer.i32(*id);
            writer.string(host);
            writer.i32(i32::from(*port));
            if version >= 1 {
                writer.nullable_string(*rack);
            }
            writer.no_tags();
        }
        if version >= 2 {
            writer.nullable_string(Some(self.cluster_id));
        }
        if version >= 1 {
            writer.i32(self.controller_id);
        }
        writer.array_length(self.topic_count);
    }
}

/// One topic of an answer.
#[derive(Debug)]
pub struct MetadataTopic<'a> {
    /// 0 or the reason.
    pub error_code: i16,
    /// Name; null for an unknown id.
    pub name: Option<&'a str>,
    /// Id; nil for an unknown name.
    pub topic_id: Uuid,
    /// `__consumer_offsets` and its like.
    pub is_internal: bool,
    /// What the client may do, or [`OPERATIONS_NOT_ASKED`].
    pub authorized_operations: i32,
}

/// One partition of an answer.
#[derive(Debug)]
pub struct MetadataPartition<'a> {
    /// 0 or the reason.
    pub error_code: i16,
    /// Partition index.
    pub partition: i32,
    /// Node id of the leader, -1 when there is none.
    pub leader_id: i32,
    /// Its epoch.
    pub leader_epoch: i32,
    /// Every replica.
    pub replicas: &'a [i32],
    /// Those in sync.
    pub in_sync_replicas: &'a [i32],
    /// Those that cannot be reached.
    pub offline_replicas: &'a [i32],
}

impl MetadataTopic<'_> {
    /// Everything before the partitions.
    pub fn encode_front(&self, writer: &mut Writer<'_>, version: i16, partition_count: usize) {
        writer.i16(self.error_code);
        if version >= 12 {
            writer.nullable_string(self.name);
        } else {
            writer.string(self.name.unwrap_or_default());
        }
        if version >= 10 {
            writer.uuid(self.topic_id);
        }
        if version >= 1 {
            writer.bool(self.is_internal);
        }
        writer.array_length(partition_count);
    }

    /// Everything after the partitions.
    pub fn encode_tail(&self, writer: &mut Writer<'_>, version: i16) {
        if version >= 8 {
            writer.i32(self.authorized_operations);
        }
        writer.no_tags();
    }
}

impl MetadataPartition<'_> {
    /// Append it.
    pub fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        writer.i16(self.error_code);
        writer.i32(self.partition);
        writer.i32(self.leader_id);
        if version >= 7 {
            writer.i32(self.leader_epoch);
        }
        writer.i32_array(self.replicas);
        writer.i32_array(self.in_sync_replicas);
        if version >= 5 {
            writer.i32_array(self.offline_replicas);
        }
        writer.no_tags();
    }
}

/// Everything after the last topic.
pub fn encode_end(writer: &mut Writer<'_>, version: i16, cluster_authorized_operations: i32, error_code: i16) {
    if (8..=10).contains(&version) {
        writer.i32(cluster_authorized_operations);
    }
    if version >= 13 {
        writer.i16(error_code);
    }
    writer.no_tags();
}
