//! Walking the batches of a `.log` file, by header or whole.
//!
//! [`HeaderScan`] hops from header to header with small reads: lookups, rebuilt indexes, the end of a log on a clean
//! start. [`BatchScan`] reads every byte in large pieces and verifies each checksum: recovery and compaction.

use crate::batch::{BatchError, BatchHeader, BatchView, HEADER_BYTES};
use crate::storage::StorageFile;
use crate::types::Offset;
use std::io;
use std::sync::Arc;

const SCAN_BYTES: usize = 8 * 1024;
const RECOVERY_BYTES: usize = 1024 * 1024;

/// One batch in a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Located {
    /// Where it begins.
    pub position: u64,
    pub header: BatchHeader,
}

/// Why a scan stopped before the end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScanError {
    /// The disk said no.
    #[error(transparent)]
    Storage(#[from] io::Error),
    /// At this byte there is no batch.
    #[error("at byte {position}: {reason}")]
    Invalid { position: u64, reason: BatchError },
}

impl ScanError {
    /// The same, for those who can only pass on an [`io::Error`].
    pub fn into_io(self) -> io::Error {
        match self {
            ScanError::Storage(error) => error,
            invalid @ ScanError::Invalid { .. } => io::Error::new(io::ErrorKind::InvalidData, invalid.to_string()),
        }
    }
}

/// Goes from header to header; the last batch must end where the log does.
pub(crate) struct HeaderScan {
    file: Arc<dyn StorageFile>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffered_from: u64,
}

impl HeaderScan {
    /// Scans bytes `position..end`.
    pub fn new(file: Arc<dyn StorageFile>, position: u64, end: u64) -> HeaderScan {
        HeaderScan {
            file,
            position,
            end,
            buffer: Vec::new(),
            buffered_from: 0,
        }
    }

    fn header_bytes(&mut self) -> io::Result<&[u8]> {
        let needed = (self.end - self.position).min(HEADER_BYTES as u64) as usize;
        let held = self
            .position
            .checked_sub(self.buffered_from)
            .and_then(|skip| self.buffer.get(skip as usize..));
        if held.is_none_or(|held| held.len() < needed) {
            let length = (self.end - self.position).min(SCAN_BYTES as u64) as usize;
            self.buffer.resize(length, 0);
            self.buffered_from = self.position;
            self.file.read_exact_at(&mut self.buffer, self.position)?;
        }
        Ok(&self.buffer[(self.position - self.buffered_from) as usize..])
    }

    fn advance(&mut self) -> Result<Located, ScanError> {
        let position = self.position;
        let header =
            BatchHeader::parse(self.header_bytes()?).map_err(|reason| ScanError::Invalid { position, reason })?;
        let available = (self.end - position) as usize;
        if header.size_bytes > available {
            let reason = BatchError::Truncated {
                available,
                needed: header.size_bytes,
            };
            return Err(ScanError::Invalid { position, reason });
        }
        self.position += header.size_bytes as u64;
        Ok(Located { position, header })
    }
}

impl Iterator for HeaderScan {
    type Item = Result<Located, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.position >= self.end {
            return None;
        }
        let batch = self.advance();
        if batch.is_err() {
            self.end = self.position;
        }
        Some(batch)
    }
}

/// Reads whole batches, with their checksums and the order of their offsets verified.
pub(crate) struct BatchScan {
    file: Arc<dyn StorageFile>,
    position: u64,
    end: u64,
    buffer: Vec<u8>,
    buffer_bytes: usize,
    buffered_from: u64,
    next_offset: Offset,
}

impl BatchScan {
    /// Scans the first `end` bytes; no offset may be below `base_offset`.
    pub fn new(file: Arc<dyn StorageFile>, end: u64, base_offset: Offset) -> BatchScan {
        BatchScan {
            file,
            position: 0,
            end,
            buffer: Vec::new(),
            buffer_bytes: RECOVERY_BYTES,
            buffered_from: 0,
            next_offset: base_offset,
        }
    }

    /// Begins at the batch at `position`, and reads `buffer_bytes` at once.
    pub fn starting_at(self, position: u64, buffer_bytes: usize) -> BatchScan {
        BatchScan {
            position,
            buffered_from: position,
            buffer_bytes,
            ..self
        }
    }

    /// The next batch and where it begins; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(u64, BatchView<'_>)>, ScanError> {
        if self.position >= self.end {
            return Ok(None);
        }
        let position = self.position;
        let invalid = |reason| ScanError::Invalid { position, reason };
        self.fill(HEADER_BYTES)?;
        let header = BatchHeader::parse(self.held()).map_err(invalid)?;
        let available = (self.end - position) as usize;
        if header.size_bytes > available {
            return Err(invalid(BatchError::Truncated {
                available,
                needed: header.size_bytes,
            }));
        }
        self.fill(header.size_bytes)?;
        let start = (position - self.buffered_from) as usize;
        let batch = BatchView::parse(&self.buffer[start..]).map_err(invalid)?;
        if !batch.crc_matches() {
            return Err(invalid(BatchError::Corrupt("the checksum does not match")));
        }
        if header.base_offset < self.next_offset || header.last_offset_delta < 0 {
            return Err(invalid(BatchError::Corrupt("offsets go backwards")));
        }
        self.next_offset = header.next_offset();
        self.position += header.size_bytes as u64;
        Ok(Some((position, batch)))
    }

    fn held(&self) -> &[u8] {
        self.buffer
            .get((self.position - self.buffered_from) as usize..)
            .unwrap_or(&[])
    }

    /// Sees to it that `needed` bytes from the position on are held, or all up to the end.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        let left = self.end - self.position;
        if self.held().len() as u64 >= left.min(needed as u64) {
            return Ok(());
        }
        // `needed` was compared with the bytes left in the file before.
        let length = left.min(needed.max(self.buffer_bytes) as u64) as usize;
        self.buffer.resize(length, 0);
        self.buffered_from = self.position;
        self.file.read_exact_at(&mut self.buffer, self.position)
    }
}
