//! AddPartitionsToTxn (key 24), version 5, as one broker sends it to another: one transaction, to be asked about or to
//! have partitions added (KIP-890). Here the question is written and the answer read.

use super::{DecodeError, Reader, Writer};

/// The version that is spoken.
pub const VERSION: i16 = 5;

/// One transaction and the partitions in question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitionsToTxnRequest {
    /// Whose transaction.
    pub transactional_id: String,
    /// Its producer.
    pub producer_id: i64,
    /// Its producer's epoch.
    pub producer_epoch: i16,
    /// Ask whether the partitions are in the transaction; otherwise add those that are not.
    pub verify_only: bool,
    /// Topics with their partitions.
    pub topics: Vec<(String, Vec<i32>)>,
}

impl AddPartitionsToTxnRequest {
    /// Append the body.
    pub fn encode(&self, writer: &mut Writer<'_>) {
        writer.array_length(1);
        writer.string(&self.transactional_id);
        writer.i64(self.producer_id);
        writer.i16(self.producer_epoch);
        writer.bool(self.verify_only);
        writer.array_length(self.topics.len());
        for (name, partitions) in &self.topics {
            writer.string(name);
            writer.i32_array(partitions);
            writer.no_tags();
        }
        writer.no_tags();
        writer.no_tags();
    }
}

/// What became of the question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddPartitionsToTxnResponse {
    /// 0, or why nothing was answered.
    pub error_code: i16,
    /// (topic, partition, error code).
    pub partitions: Vec<(String, i32, i16)>,
}

impl AddPartitionsToTxnResponse {
    /// Decode the body of an answer.
    pub fn decode(body: &[u8]) -> Result<AddPartitionsToTxnResponse, DecodeError> {
        let mut reader = Reader::new(body, true);
        reader.i32()?; // throttle_time_ms
        let error_code = reader.i16()?;
        let mut partitions = Vec::new();
        reader.array(3, |reader| {
            reader.string()?; // transactional_id
            reader.array(3, |reader| {
                let topic = reader.string()?;
                reader.array(7, |reader| {
                    partitions.push((topic.to_owned(), reader.i32()?, reader.i16()?));
                    reader.skip_tags()
                })?;
                reader.skip_tags()
            })?;
            reader.skip_tags()
        })?;
        reader.skip_tags()?;
        Ok(AddPartitionsToTxnResponse { error_code, partitions })
    }
}
