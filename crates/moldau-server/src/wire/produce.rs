//! Produce (key 0), versions 3 to 13.
//!
//! 8 adds record errors, 9 is flexible, 10 names the new leader in tagged fields (KIP-951), 13 names topics by id.

use std::ops::Range;
use std::sync::Arc;

use uuid::Uuid;

use super::{DecodeError, LeaderIdAndEpoch, NodeEndpoint, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 9
}

/// A Produce request; records are ranges of the body.
#[derive(Debug, PartialEq, Eq)]
pub struct ProduceRequest<'a> {
    /// Set by transactional producers.
    pub transactional_id: Option<&'a str>,
    /// -1, 0 or 1.
    pub acks: i16,
    /// How long to wait for the in-sync replicas.
    pub timeout_ms: i32,
    /// The records, by topic.
    pub topics: Vec<TopicProduceData<'a>>,
}

/// Records for one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct TopicProduceData<'a> {
    /// Name; empty from version 13 on.
    pub name: &'a str,
    /// Id; nil before version 13.
    pub topic_id: Uuid,
    /// The records, by partition.
    pub partitions: Vec<PartitionProduceData>,
}

/// Records for one partition.
#[derive(Debug, PartialEq, Eq)]
pub struct PartitionProduceData {
    /// Partition index.
    pub index: i32,
    /// Where the record batch is in the body.
    pub records: Option<Range<usize>>,
}

impl<'a> ProduceRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let request = ProduceRequest {
            transactional_id: reader.nullable_string()?,
            acks: reader.i16()?,
            timeout_ms: reader.i32()?,
            topics: reader.array(3, |reader| TopicProduceData::decode(reader, version))?,
        };
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> TopicProduceData<'a> {
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let topic = TopicProduceData {
            name: if version <= 12 { reader.string()? } else { "" },
            topic_id: if version >= 13 { reader.uuid()? } else { Uuid::nil() },
            partitions: reader.array(5, |reader| {
                let partition = PartitionProduceData {
                    index: reader.i32()?,
                    records: reader.nullable_bytes()?,
                };
                reader.skip_tags()?;
                Ok(partition)
            })?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

/// What became of the records of one topic.
#[derive(Debug)]
pub struct TopicProduceResponse {
    /// Name; not sent from version 13 on.
    pub name: Arc<str>,
    /// Id; sent from version 13 on.
    pub topic_id: Uuid,
    /// One entry per partition of the request.
    pub partitions: Vec<PartitionProduceResponse>,
}

/// What became of the records of one partition.
#[derive(Debug)]
pub struct PartitionProduceResponse {
    /// Partition index.
    pub index: i32,
    /// 0 or the reason.
    pub error_code: i16,
    /// Offset of the first record, -1 on error.
    pub base_offset: i64,
    /// Time of the append if the topic stamps it, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log, -1 on error.
    pub log_start_offset: i64,
    /// Which records were refused and why (version 8).
    pub record_errors: Vec<(i32, String)>,
    /// One sentence for all of them (version 8).
    pub error_message: Option<String>,
    /// Who leads the partition, if it is not us (version 10).
    pub current_leader: Option<LeaderIdAndEpoch>,
}

/// Append the body of an answer.
pub fn encode_response(
    writer: &mut Writer<'_>,
    version: i16,
    topics: &[TopicProduceResponse],
    endpoints: &[NodeEndpoint],
) {
    writer.array_length(topics.len());
    for topic in topics {
        if version <= 12 {
            writer.string(&topic.name);
        } else {
            writer.uuid(topic.topic_id);
        }
        writer.array_length(topic.partitions.len());
        for partition in &topic.partitions {
            partition.encode(writer, version);
        }
        writer.no_tags();
    }
    writer.throttle_time();
    if version >= 10 && !endpoints.is_empty() {
        writer.tag_count(1);
        writer.tag(0, |writer| NodeEndpoint::encode_all(endpoints, writer));
    } else {
        writer.no_tags();
    }
}

impl PartitionProduceResponse {
    fn encode(&self, writer: &mut Writer<'_>, version: i16) {
        writer.i32(self.index);
        writer.i16(self.error_code);
        writer.i64(self.base_offset);
        writer.i64(self.log_append_time_ms);
        if version >= 5 {
            writer.i64(self.log_start_offset);
        }
        if version >= 8 {
            writer.array_length(self.record_errors.len());
            for (batch_index, message) in &self.record_errors {
                writer.i32(*batch_index);
                writer.nullable_string(Some(message));
                writer.no_tags();
            }
            writer.nullable_string(self.error_message.as_deref());
        }
        match self.current_leader {
            Some(leader) if version >= 10 => {
                writer.tag_count(1);
                writer.tag(0, |writer| {
                    writer.i32(leader.leader_id);
                    writer.i32(leader.leader_epoch);
                    writer.no_tags();
                });
            }
            _ => writer.no_tags(),
        }
    }
}
