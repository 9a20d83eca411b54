//! The aborted transactions of a segment (`.txnindex`), which `read_committed` consumers are told to skip.
//!
//! Entries are few (only aborts, never commits), so a search reads the whole file. The file exists only in segments
//! where a transaction was aborted.
//!
//! A marker may find room on a full disk where its entry does not. The entry waits in memory then; until it is written,
//! the log does not count as flushed, so that a crash has it made anew from the marker.

use crate::directory::is_shortage;
use crate::folder::{Folder, LazyFile, TRANSACTION_INDEX};
use crate::types::{Offset, ProducerId};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

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
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Of entries in the file.
    length_bytes: u64,
    /// Behind those.
    waiting: Vec<AbortedEntry>,
}

impl TransactionIndex {
    pub fn new(folder: Arc<Folder>, base_offset: i64, length_bytes: u64) -> TransactionIndex {
        let file = LazyFile::new(folder, base_offset, TRANSACTION_INDEX);
        let length_bytes = length_bytes - length_bytes % ENTRY_BYTES as u64;
        TransactionIndex {
            file,
            state: Mutex::new(State {
                length_bytes,
                waiting: Vec::new(),
            }),
        }
    }

    /// Adds an entry. One for which there is no room now waits for [`TransactionIndex::persist`].
    pub fn append(&self, entry: &AbortedEntry) -> io::Result<()> {
        let mut state = self.state.lock();
        state.waiting.push(*entry);
        match self.write(&mut state) {
            Err(error) if is_shortage(&error) => Ok(()),
            other => other,
        }
    }

    /// Writes what waits in memory.
    pub fn persist(&self) -> io::Result<()> {
        self.write(&mut self.state.lock())
    }

    fn write(&self, state: &mut State) -> io::Result<()> {
        if state.waiting.is_empty() {
            return Ok(());
        }
        let bytes: Vec<u8> = state.waiting.iter().flat_map(AbortedEntry::encode).collect();
        self.file.get_or_create()?.write_all_at(&bytes, state.length_bytes)?;
        state.length_bytes += bytes.len() as u64;
        state.waiting.clear();
        Ok(())
    }

    /// All entries, oldest first. One of another version ends the list.
    pub fn entries(&self) -> io::Result<Vec<AbortedEntry>> {
        let (length_bytes, waiting) = {
            let state = self.state.lock();
            (state.length_bytes, state.waiting.clone())
        };
        if length_bytes == 0 {
            return Ok(waiting);
        }
        let mut bytes = vec![0; length_bytes as usize];
        self.file.get()?.read_exact_at(&mut bytes, 0)?;
        let written = bytes.chunks_exact(ENTRY_BYTES).map_while(AbortedEntry::decode);
        Ok(written.chain(waiting).collect())
    }

    /// Keeps the transactions that ended before `offset`.
    pub fn truncate(&self, offset: Offset) -> io::Result<()> {
        let kept = self.entries()?;
        let kept = kept.iter().take_while(|entry| entry.last_offset < offset).count();
        let mut state = self.state.lock();
        let written = state.length_bytes / ENTRY_BYTES as u64;
        if state.length_bytes > 0 {
            let length_bytes = written.min(kept as u64) * ENTRY_BYTES as u64;
            self.file.get()?.set_length(length_bytes)?;
            state.length_bytes = length_bytes;
        }
        state.waiting.truncate(kept.saturating_sub(written as usize));
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
