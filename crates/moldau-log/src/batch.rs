//! Record batches, message format 2: look at them, walk their records, build them.
//!
//! ```text
//! base offset 8 | length 4 | leader epoch 4 | magic 1 | crc 4 | attributes 2 | last offset delta 4 | base timestamp 8
//! | max timestamp 8 | producer id 8 | producer epoch 2 | base sequence 4 | record count 4 | records …
//! ```
//!
//! The checksum covers everything from the attributes on, so the broker can put in the base offset and the leader
//! epoch without touching it. Bytes come from the network or from a disk that may have been torn: every length is
//! compared with what is there before it is used, and nothing is allocated from a number that was merely claimed.

mod builder;
mod compression;
mod header;
mod records;
mod rewrite;
mod varint;

pub use builder::{BatchBuilder, EndTransaction};
pub use compression::{Codec, DECOMPRESSED_LIMIT_BYTES, compress, decompress};
pub use header::{BatchHeader, BatchView, Batches, HEADER_BYTES, LENGTH_PREFIX_BYTES, batches, set_base_offset};
pub(crate) use header::{set_codec, set_leader_epoch, set_log_append_time, set_max_timestamp};
pub(crate) use records::outlines;
pub use records::{DecodedRecords, RecordHeader, RecordView, Records};
pub(crate) use rewrite::{StoredRecord, emptied, rewrite, stored_records};

/// Why bytes are not a batch of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Fewer bytes than the batch says it has.
    #[error("{available} bytes of {needed}")]
    Truncated {
        /// Bytes there.
        available: usize,
        /// Bytes it should have.
        needed: usize,
    },
    /// Lengths or counts that cannot be.
    #[error("{0}")]
    Corrupt(&'static str),
    /// Message format 0 or 1, or one that does not exist.
    #[error("message format {0}")]
    UnsupportedMagic(i8),
    /// A codec number that does not exist.
    #[error("compression type {0}")]
    UnsupportedCompression(u8),
    /// The compressed records are not what their codec writes.
    #[error("{codec} records do not decompress: {message}")]
    Decompression {
        /// Which codec.
        codec: Codec,
        /// What it said.
        message: String,
    },
    /// They decompress to more than anybody may ask us to hold.
    #[error("the records decompress to more than {limit} bytes")]
    DecompressedTooLarge {
        /// The limit.
        limit: usize,
    },
}
