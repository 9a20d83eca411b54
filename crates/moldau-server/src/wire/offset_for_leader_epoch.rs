//! OffsetForLeaderEpoch (key 23), versions 2 to 4. 3 adds the replica id, 4 is flexible.

use super::{DecodeError, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 4
}

/// Epochs asked about, by topic. Who asks makes no difference to the answer, so the replica id is not kept.
#[derive(Debug, PartialEq, Eq)]
pub struct OffsetForLeaderEpochRequest<'a> {
    /// What is asked, by topic.
    pub topics: Vec<OffsetForLeaderTopic<'a>>,
}

/// Epochs asked about in one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct OffsetForLeaderTopic<'a> {
    /// Name.
    pub topic: &'a str,
    /// What is asked, by partition.
    pub partitions: Vec<OffsetForLeaderPartition>,
}

/// The epoch asked about in one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetForLeaderPartition {
    /// Partition index.
    pub partition: i32,
    /// Leader epoch that the client knows, -1 for none.
    pub current_leader_epoch: i32,
    /// Where does this epoch end?
    pub leader_epoch: i32,
}

impl<'a> OffsetForLeaderEpochRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        if version >= 3 {
            reader.i32()?; // replica_id
        }
        let topics = reader.array(3, |reader| {
            let topic = OffsetForLeaderTopic {
                topic: reader.string()?,
                partitions: reader.array(12, |reader| {
                    let partition = OffsetForLeaderPartition {
                        partition: reader.i32()?,
                        current_leader_epoch: reader.i32()?,
                        leader_epoch: reader.i32()?,
                    };
                    reader.skip_tags()?;
                    Ok(partition)
                })?,
            };
            reader.skip_tags()?;
            Ok(topic)
        })?;
        reader.skip_tags()?;
        Ok(OffsetForLeaderEpochRequest { topics })
    }
}

/// The answer about one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEndOffset {
    /// 0 or the reason.
    pub error_code: i16,
    /// Partition index.
    pub partition: i32,
    /// The largest epoch not above the one asked about, -1 for none.
    pub leader_epoch: i32,
    /// Where it ends, -1 for none.
    pub end_offset: i64,
}

/// Append the body of an answer.
pub fn encode_response<'a>(
    writer: &mut Writer<'_>,
    topics: impl ExactSizeIterator<Item = (&'a str, &'a [EpochEndOffset])>,
) {
    writer.throttle_time();
    writer.array_length(topics.len());
    for (name, partitions) in topics {
        writer.string(name);
        writer.array_length(partitions.len());
        for partition in partitions {
            writer.i16(partition.error_code);
            writer.i32(partition.partition);
            writer.i32(partition.leader_epoch);
            writer.i64(partition.end_offset);
            writer.no_tags();
        }
        writer.no_tags();
    }
    writer.no_tags();
}
