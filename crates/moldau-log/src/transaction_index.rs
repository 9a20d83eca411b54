//! The aborted transactions of a segment (`.txnindex`), which `read_committed` consumers are told to skip.
//!
//! Entries are few (only aborts, never commits), so a search reads the whole file. The file exists only in segments
//! where a transaction was aborted.

use crate::folder::{Folder, LazyFile, TRANSACTION_INDEX};
use crate::types::{Offset, ProducerId};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const ENTRY_BYTES: usize = 34;

/// One aborted transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AbortedEntry {
    pub producer_id: ProducerId,
    pub first_offset: Offset,
    /// Offset of the abort marker.
    pub last_offset: Offset,
    /// The last stable offset once this transaction was done.
    pub last_stable_offset: Offset,
}

impl AbortedEntry {
    fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut bytes = [0; ENTRY_BYTES];
        // The first two bytes are the version, 0.
        let fields = [
            self.producer_id.0,
            self.first_offset.0,
            self.last_offset.0,
            self.last_stable_offset.0,
        ];
        for (slot, field) in bytes[2..].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_be_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<AbortedEntry> {
        let fields = bytes.strip_prefix(&[0, 0])?;
        let field = |index: usize| Some(i64::from_be_bytes(*fields.get(index * 8..)?.first_chunk()?));
        Some(AbortedEntry {
            producer_id: ProducerId(field(0)?),
            first_offset: Offset(field(1)?),
            last_offset: Offset(field(2)?),
            last_stable_offset: Offset(field(3)?),
        })
    }
}

/// The transaction index of one segment.
#[derive(Debug)]
pub(crate) struct TransactionIndex {
    file: LazyFile,
    length_bytes: AtomicU64,
}

impl TransactionIndex {
    pub fn new(folder: Arc<Folder>, base_offset: i64, length_bytes: u64) -> TransactionIndex {
        let file = LazyFile::new(folder, base_offset, TRANSACTION_INDEX);
        let length_bytes = length_bytes - length_bytes % ENTRY_BYTES as u64;
        TransactionIndex {
            file,
            length_bytes: AtomicU64::new(length_bytes),
        }
    }

    /// Adds an entry. Called by one thread at a time.
    pub fn append(&self, entry: &AbortedEntry) -> io::Result<()> {
        let at = self.length_bytes.load(Ordering::Acquire);
        self.file.get_or_create()?.write_all_at(&entry.encode(), at)?;
        self.length_bytes.store(at + ENTRY_BYTES as u64, Ordering::Release);
        Ok(())
    }

    /// All entries, oldest first. One of another version ends the list.
    pub fn entries(&self) -> io::Result<Vec<AbortedEntry>> {
        let length = self.length_bytes.load(Ordering::Acquire);
        if length == 0 {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; length as usize];
        self.file.get()?.read_exact_at(&mut bytes, 0)?;
        Ok(bytes
            .chunks_exact(ENTRY_BYTES)
            .map_while(AbortedEntry::decode)
            .collect())
    }

    /// Keeps the transactions that ended before `offset`.
    pub fn truncate(&self, offset: Offset) -> io::Result<()> {
        if self.length_bytes.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let kept = self
            .entries()?
            .iter()
            .take_while(|entry| entry.last_offset < offset)
            .count();
        let length = (kept * ENTRY_BYTES) as u64;
        self.file.get()?.set_length(length)?;
        self.length_bytes.store(length, Ordering::Release);
        Ok(())
    }

    pub fn file(&self) -> &LazyFile {
        &self.file
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_read_back_and_other_bytes_never_panic(fields: [i64; 4], bytes: Vec<u8>) {
            let entry = AbortedEntry {
                producer_id: ProducerId(fields[0]),
                first_offset: Offset(fields[1]),
                last_offset: Offset(fields[2]),
                last_stable_offset: Offset(fields[3]),
            };
            prop_assert_eq!(AbortedEntry::decode(&entry.encode()), Some(entry));
            let _ = AbortedEntry::decode(&bytes);
        }
    }
}
