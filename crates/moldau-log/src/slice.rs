//! What a read gives back: ranges of files, not bytes.
//!
//! The server hands the ranges to `sendfile`, so that a consumer's megabyte never passes through this process; who
//! wants the bytes calls [`LogSlice::to_bytes`]. A range keeps its file open, so retention may unlink it meanwhile.

use crate::segment::Segment;
use crate::storage::StorageFile;
use crate::types::Offset;
use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::Arc;

/// Some bytes of one file.
#[derive(Clone, Debug)]
pub struct FileRange {
    /// Where they are.
    pub file: Arc<dyn StorageFile>,
    /// From which byte.
    pub position: u64,
    /// How many.
    pub length: usize,
}

/// Consecutive batches of a partition; the last one may be cut short.
#[derive(Clone, Debug)]
pub struct LogSlice {
    /// The bytes, in order; usually one range, empty when there is nothing yet.
    pub parts: Vec<FileRange>,
    /// Bytes of all parts.
    pub length: usize,
    /// Base offset of the first batch, at or before the offset asked for.
    pub first_offset: Offset,
    /// What the bytes are from, and where it ends for the reader.
    pub(crate) source: Option<(Arc<Segment>, Offset)>,
}

impl LogSlice {
    /// Nothing, at `offset`.
    #[must_use]
    pub fn empty(offset: Offset) -> LogSlice {
        LogSlice {
            parts: Vec::new(),
            length: 0,
            first_offset: offset,
            source: None,
        }
    }

    /// An offset behind every record of it, not far from the last one where an index tells.
    pub(crate) fn upper_bound(&self) -> Offset {
        let (Some((segment, end)), Some(part)) = (&self.source, self.parts.last()) else {
            return self.first_offset;
        };
        // Without the index it is the end of all that could have been read.
        let behind = segment.offset_behind(part.position + part.length as u64).ok().flatten();
        behind.map_or(*end, |behind| behind.min(*end))
    }

    /// Reads the bytes into memory.
    pub fn to_bytes(&self) -> io::Result<Bytes> {
        let mut bytes = BytesMut::zeroed(self.length);
        let mut filled = 0;
        for part in &self.parts {
            part.file
                .read_exact_at(&mut bytes[filled..filled + part.length], part.position)?;
            filled += part.length;
        }
        Ok(bytes.freeze())
    }
}
