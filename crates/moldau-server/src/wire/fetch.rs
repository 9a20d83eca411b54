//! Fetch (key 1), versions 4 to 18.
//!
//! 5 adds the log start offset, 7 sessions (KIP-227), 9 the leader epoch, 11 racks, 12 is flexible and finds diverging
//! logs (KIP-595), 13 names topics by id, 15 moves the replica id into a tagged field, 16 names new leaders, 17 adds
//! directory ids and 18 the follower's high watermark.
//!
//! Records are not part of the encoding: the header of a partition ends with their length, and the caller puts the
//! bytes, or the file they are in, behind it.

use uuid::Uuid;

use super::{DecodeError, LeaderIdAndEpoch, NodeEndpoint, Reader, Writer};

/// Whether `version` has compact lengths and tagged fields.
pub fn is_flexible(version: i16) -> bool {
    version >= 12
}

/// A Fetch request.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchRequest<'a> {
    /// -1 for a consumer, else the node id of a follower.
    pub replica_id: i32,
    /// Epoch of the follower's registration (version 15), -1 when not given.
    pub replica_epoch: i64,
    /// How long to wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer as soon as so much is there.
    pub min_bytes: i32,
    /// Answer with no more than this, the first batch aside.
    pub max_bytes: i32,
    /// 0 for read_uncommitted, 1 for read_committed.
    pub isolation_level: i8,
    /// 0 for no session.
    pub session_id: i32,
    /// 0 to begin a session, -1 to end it or to use none.
    pub session_epoch: i32,
    /// Partitions to read, or to add to the session.
    pub topics: Vec<FetchTopic<'a>>,
    /// Partitions to take out of the session.
    pub forgotten_topics: Vec<ForgottenTopic<'a>>,
    /// Where the consumer is.
    pub rack_id: &'a str,
}

/// Partitions of one topic.
#[derive(Debug, PartialEq, Eq)]
pub struct FetchTopic<'a> {
    /// Name; empty from version 13 on.
    pub topic: &'a str,
    /// Id; nil before version 13.
    pub topic_id: Uuid,
    /// The partitions.
    pub partitions: Vec<FetchPartition>,
}

/// What to read from one partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Partition index.
    pub partition: i32,
    /// Leader epoch that the client knows, -1 for none.
    pub current_leader_epoch: i32,
    /// From where.
    pub fetch_offset: i64,
    /// Epoch of the last record that the reader has, -1 for none.
    pub last_fetched_epoch: i32,
    /// First offset of the follower's log, -1 for consumers.
    pub log_start_offset: i64,
    /// No more than this, the first batch of the answer aside.
    pub max_bytes: i32,
}

/// Partitions of one topic that leave the session.
#[derive(Debug, PartialEq, Eq)]
pub struct ForgottenTopic<'a> {
    /// Name; empty from version 13 on.
    pub topic: &'a str,
    /// Id; nil before version 13.
    pub topic_id: Uuid,
    /// Partition indexes.
    pub partitions: Vec<i32>,
}

impl<'a> FetchRequest<'a> {
    /// Decode the body of a request.
    pub fn decode(body: &'a [u8], version: i16) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body, is_flexible(version));
        let sessions = version >= 7;
        let mut request = FetchRequest {
            replica_id: if version <= 14 { reader.i32()? } else { -1 },
            replica_epoch: -1,
            max_wait_ms: reader.i32()?,
            min_bytes: reader.i32()?,
            max_bytes: reader.i32()?,
            isolation_level: reader.i8()?,
            session_id: if sessions { reader.i32()? } else { 0 },
            session_epoch: if sessions { reader.i32()? } else { -1 },
            topics: reader.array(3, |reader| FetchTopic::decode(reader, version))?,
            forgotten_topics: if sessions {
                reader.array(3, |reader| ForgottenTopic::decode(reader, version))?
            } else {
                Vec::new()
            },
            rack_id: if version >= 11 { reader.string()? } else { "" },
        };
        reader.tags(|tag, field| {
            // Tag 0 is the cluster id of the Raft protocol, which this listener does not speak.
            if tag == 1 && version >= 15 {
                request.replica_id = field.i32()?;
                request.replica_epoch = field.i64()?;
                field.skip_tags()?;
            }
            Ok(())
        })?;
        Ok(request)
    }
}

fn decode_topic_name<'a>(reader: &mut Reader<'a>, version: i16) -> Result<(&'a str, Uuid), DecodeError> {
    if version <= 12 {
        Ok((reader.string()?, Uuid::nil()))
    } else {
        Ok(("", reader.uuid()?))
    }
}

impl<'a> FetchTopic<'a> {
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let (topic, topic_id) = decode_topic_name(reader, version)?;
        let partitions = reader.array(16, |reader| FetchPartition::decode(reader, version))?;
        reader.skip_tags()?;
        Ok(FetchTopic {
            topic,
            topic_id,
            partitions,
        })
    }
}

impl FetchPartition {
    fn decode(reader: &mut Reader<'_>, version: i16) -> Result<Self, DecodeError> {
        let partition = FetchPartition {
            partition: reader.i32()?,
            current_leader_epoch: if version >= 9 { reader.i32()? } else { -1 },
            fetch_offset: reader.i64()?,
            last_fetched_epoch: if version >= 12 { reader.i32()? } else { -1 },
            log_start_offset: if version >= 5 { reader.i64()? } else { -1 },
            max_bytes: reader.i32()?,
        };
        // Directory id and high watermark of a follower: nothing here depends on them yet.
        reader.skip_tags()?;
        Ok(partition)
    }
}

impl<'a> ForgottenTopic<'a> {
    fn decode(reader: &mut Reader<'a>, version: i16) -> Result<Self, DecodeError> {
        let (topic, topic_id) = decode_topic_name(reader, version)?;
        let partitions = reader.array(4, Reader::i32)?;
        reader.skip_tags()?;
        Ok(ForgottenTopic {
            topic,
            topic_id,
            partitions,
        })
    }
}

/// What is told about one partition, its records aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionData {
    /// Partition index.
    pub partition: i32,
    /// 0 or the reason.
    pub error_code: i16,
    /// High watermark, -1 on error.
    pub high_watermark: i64,
    /// Last stable offset, -1 on error.
    pub last_stable_offset: i64,
    /// First offset of the log, -1 on error.
    pub log_start_offset: i64,
    /// Epoch and end offset from which on the reader's log differs from ours.
    pub diverging_epoch: Option<(i32, i64)>,
    /// Who leads the partition, if it is not us (told from version 16 on).
    pub current_leader: Option<LeaderIdAndEpoch>,
    /// Producer id and first offset of aborted transactions; `None` for read_uncommitted.
    pub aborted_transactions: Option<Vec<(i64, i64)>>,
}

/// Everything before the first topic.
pub fn encode_head(writer: &mut Writer<'_>, version: i16, error_code: i16, session_id: i32, topic_count: usize) {
    writer.throttle_time();
    if version >= 7 {
        writer.i16(error_code);
        writer.i32(session_id);
    }
    writer.array_length(topic_count);
}

/// The head of one topic.
pub fn encode_topic(writer: &mut Writer<'_>, version: i16, name: &str, topic_id: Uuid, partition_count: usize) {
    if version <= 12 {
        writer.string(name);
    } else {
        writer.uuid(topic_id);
    }
    writer.array_length(partition_count);
}

impl PartitionData {
    /// Everything of a partition up to and with the length of its records. The records follow, then
    /// [`PartitionData::encode_tail`].
    pub fn encode_front(&self, writer: &mut Writer<'_>, version: i16, records_length: usize) {
        writer.i32(self.partition);
        writer.i16(self.error_code);
        writer.i64(self.high_watermark);
        writer.i64(self.last_stable_offset);
        if version >= 5 {
            writer.i64(self.log_start_offset);
        }
        match &self.aborted_transactions {
            None => writer.null_array(),
            Some(transactions) => {
                writer.array_length(transactions.len());
                for (producer_id, first_offset) in transactions {
                    writer.i64(*producer_id);
                    writer.i64(*first_offset);
                    writer.no_tags();
                }
            }
        }
        if version >= 11 {
            writer.i32(-1); // preferred_read_replica
        }
        writer.array_length(records_length);
    }

    /// What comes after the records.
    pub fn encode_tail(&self, writer: &mut Writer<'_>, version: i16) {
        let leader = self.current_leader.filter(|_| version >= 16);
        let diverging = self.diverging_epoch.filter(|_| version >= 12);
        if leader.is_none() && diverging.is_none() {
            writer.no_tags();
            return;
        }
        writer.tag_count(u32::from(leader.is_some()) + u32::from(diverging.is_some()));
        if let Some((epoch, end_offset)) = diverging {
            writer.tag(0, |writer| {
                writer.i32(epoch);
                writer.i64(end_offset);
                writer.no_tags();
            });
        }
        if let Some(leader) = leader {
            writer.tag(1, |writer| {
                writer.i32(leader.leader_id);
                writer.i32(leader.leader_epoch);
                writer.no_tags();
            });
        }
    }
}

/// Everything after the last topic.
pub fn encode_end(writer: &mut Writer<'_>, version: i16, endpoints: &[NodeEndpoint]) {
    if version >= 16 && !endpoints.is_empty() {
        writer.tag_count(1);
        writer.tag(0, |writer| NodeEndpoint::encode_all(endpoints, writer));
    } else {
        writer.no_tags();
    }
}
