//! Which batches belong to aborted transactions, and which markers nothing needs any more.
//!
//! Fed with every batch in the order of the log. Records of an aborted transaction go in the first pass that sees its
//! marker. A marker stays until a pass has found no record of its transaction before it; from then on it has a delete
//! horizon like a tombstone, because a consumer that is behind may still hold records of the transaction.

use crate::batch::{BatchView, EndTransaction};
use crate::producer_state::parse_marker;
use crate::transaction_index::AbortedEntry;
use crate::types::{Offset, ProducerId};
use std::collections::{BTreeMap, HashMap, HashSet};

/// Follows one reading of a log.
#[derive(Debug, Default)]
pub(super) struct Transactions {
    /// Not reached yet, by first offset and producer.
    ahead: BTreeMap<(i64, i64), AbortedEntry>,
    aborting: HashMap<ProducerId, Aborting>,
    committing: HashSet<ProducerId>,
}

#[derive(Debug)]
struct Aborting {
    entry: AbortedEntry,
    /// Some batch of it is in the log.
    seen: bool,
}

/// What a marker means for those who copy it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Marker {
    /// No batch of its transaction is left before it.
    pub is_idle: bool,
    /// Belongs into the transaction index of the copy.
    pub aborted: Option<AbortedEntry>,
}

impl Transactions {
    /// Tells of aborted transactions with records in the part of the log that comes next. Some may be known already.
    pub fn announce(&mut self, aborted: Vec<AbortedEntry>) {
        for entry in aborted {
            self.ahead.insert((entry.first_offset.0, entry.producer_id.0), entry);
        }
    }

    fn advance_to(&mut self, offset: Offset) {
        while let Some(first) = self.ahead.first_entry()
            && first.key().0 <= offset.0
        {
            let entry = first.remove();
            let producer_id = entry.producer_id;
            self.aborting
                .entry(producer_id)
                .or_insert(Aborting { entry, seen: false });
        }
    }

    /// A batch of data; tells whether it was aborted.
    pub fn saw_data(&mut self, batch: &BatchView<'_>) -> bool {
        self.advance_to(batch.last_offset());
        if !batch.is_transactional() {
            return false;
        }
        match self.aborting.get_mut(&batch.producer_id()) {
            Some(aborting) => {
                aborting.seen = true;
                true
            }
            None => {
                self.committing.insert(batch.producer_id());
                false
            }
        }
    }

    /// A control batch.
    pub fn saw_marker(&mut self, batch: &BatchView<'_>) -> Marker {
        self.advance_to(batch.last_offset());
        let idle = |is_idle| Marker { is_idle, aborted: None };
        if batch.record_count() == 0 {
            // Its marker was removed by an earlier pass.
            return idle(true);
        }
        match parse_marker(batch) {
            Some((EndTransaction::Abort, _)) => match self.aborting.remove(&batch.producer_id()) {
                Some(Aborting { entry, seen: true }) => Marker {
                    is_idle: false,
                    aborted: Some(entry),
                },
                _ => idle(true),
            },
            Some((EndTransaction::Commit, _)) => idle(!self.committing.remove(&batch.producer_id())),
            // Not a transaction's: not ours to remove.
            None => idle(false),
        }
    }
}
