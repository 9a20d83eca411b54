//! ListOffsets (key 2), versions 1 to 11.
//!
//! 2 adds the isolation level, 4 the leader epoch, 6 is flexible; 7, 8, 9 and 11 each allow one more special timestamp.
//! 10 adds a timeout for reads from remote storage.

use super::{DecodeError, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 6
}

/// A ListOffsets request.
#[derive(Debug, PartialEq, Eq)]
pub struct ListOffsetsRequest<'a> {
    /// -1 for a consumer, -2 for a debugging client, else the node id of a follower.
    pub replica_id: i32,
    /// 0 for read_uncommitted, 1 for read_committed.
    pub isolation_level: i8,
    /// What is asked, by topic.
    pub topics: Vec<ListOffsetsTopic<'a>>,
}

/// What is asked about one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct ListOffsetsTopic<'a> {
    /// Name.
    pub name: &'a str,
    /// What is asked, by partition.
    pub partitions: Vec<ListOffsetsPartition>,
}

/// What is asked about one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartition {
    /// Partition index.
    pub partition: i32,
    /// Leader epoch that the client knows, -1 for none.
    pub current_leader_epoch: i32,
    /// Milliseconds, or one of the special values below 0.
    pub timestamp: i64,
}

impl<'a> ListOffsetsRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let request = ListOffsetsRequest {
            replica_id: reader.i32()?,
            isolation_level: if version >= 2 { reader.i8()? } else { 0 },
            topics: reader.array(3, |reader| ListOffsetsTopic::decode(reader, version))?,
        };
        if version >= 10 {
            reader.i32()?; // timeout_ms, for remote storage
        }
        reader.skip_tags()?;
        Ok(request)
    }
}

impl<'a> ListOffsetsTopic<'a> {
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let topic = ListOffsetsTopic {
            name: reader.string()?,
            partitions: reader.array(12, |reader| {
                let partition = ListOffsetsPartition {
                    partition: reader.i32()?,
                    current_leader_epoch: if version >= 4 { reader.i32()? } else { -1 },
                    timestamp: reader.i64()?,
                };
                reader.skip_tags()?;
                Ok(partition)
            })?,
        };
        reader.skip_tags()?;
        Ok(topic)
    }
}

/// The answer about one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListOffsetsPartitionResponse {
    /// Partition index.
    pub partition: i32,
    /// 0 or the reason.
    pub error_code: i16,
    /// Timestamp of the record found, or -1.
    pub timestamp: i64,
    /// Its offset, or -1.
    pub offset: i64,
    /// Its leader epoch, or -1.
    pub leader_epoch: i32,
}

/// Append the body of an answer.
pub fn encode_response<'a>(
    writer: &mut Writer<'_>,
    version: i16,
    topics: impl ExactSizeIterator<Item = (&'a str, &'a [ListOffsetsPartitionResponse])>,
) {
    if version >= 2 {
        writer.throttle_time();
    }
    writer.array_length(topics.len());
    for (name, partitions) in topics {
        writer.string(name);
        writer.array_length(partitions.len());
        for partition in partitions {
            writer.i32(partition.partition);
            writer.i16(partition.error_code);
            writer.i64(partition.timestamp);
            writer.i64(partition.offset);
            if version >= 4 {
                writer.i32(partition.leader_epoch);
            }
            writer.no_tags();
        }
        writer.no_tags();
    }
    writer.no_tags();
}
