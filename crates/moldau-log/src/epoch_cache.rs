//! Where each leader epoch of a partition began (`leader-epoch-checkpoint`, KIP-101).
//!
//! A follower that comes back asks where its last epoch ended and cuts what lies behind; consumers ask the same to
//! notice that a log was cut. Entries ascend in both epoch and offset. This is the list alone; the partition writes
//! it to disk when it changed.

use crate::types::{LeaderEpoch, Offset};

/// Leader epochs with their first offsets, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EpochCache {
    entries: Vec<(i32, i64)>,
}

impl EpochCache {
    /// Takes over entries from a checkpoint; such as do not ascend are dropped from there on.
    pub fn from_entries(entries: Vec<(i32, i64)>) -> EpochCache {
        let mut cache = EpochCache::default();
        for (epoch, offset) in entries {
            if cache
                .entries
                .last()
                .is_some_and(|&(last_epoch, last_offset)| epoch <= last_epoch || offset < last_offset)
            {
                break;
            }
            cache.entries.push((epoch, offset));
        }
        cache
    }

    pub fn entries(&self) -> &[(i32, i64)] {
        &self.entries
    }

    pub fn latest(&self) -> Option<LeaderEpoch> {
        self.entries.last().map(|&(epoch, _)| LeaderEpoch(epoch))
    }

    /// Notes that `epoch` begins at `offset`; returns whether that was news.
    ///
    /// Entries that it contradicts (a later epoch, or a start at or after `offset`) are dropped.
    pub fn assign(&mut self, epoch: LeaderEpoch, offset: Offset) -> bool {
        if epoch.0 < 0
            || self
                .entries
                .last()
                .is_some_and(|&(last, start)| last >= epoch.0 && start <= offset.0)
        {
            return false;
        }
        self.entries
            .retain(|&(known, start)| known < epoch.0 && start < offset.0);
        self.entries.push((epoch.0, offset.0));
        true
    }

    /// The epoch of the record at `offset`.
    pub fn epoch_at(&self, offset: Offset) -> Option<LeaderEpoch> {
        let count = self.entries.partition_point(|&(_, start)| start <= offset.0);
        count.checked_sub(1).map(|index| LeaderEpoch(self.entries[index].0))
    }

    /// The largest known epoch at or before `epoch` and where it ends; `log_end` is where the newest one ends.
    pub fn end_offset(&self, epoch: LeaderEpoch, log_end: Offset) -> Option<(LeaderEpoch, Offset)> {
        let latest = self.latest()?;
        if epoch == latest {
            return Some((epoch, log_end));
        }
        if epoch > latest || epoch.0 < 0 {
            return None;
        }
        let next = self.entries.partition_point(|&(known, _)| known <= epoch.0);
        let end = Offset(self.entries[next].1);
        // Older than all that is known: what the log still has comes after it.
        let found = next
            .checked_sub(1)
            .map_or(epoch, |index| LeaderEpoch(self.entries[index].0));
        Some((found, end))
    }

    /// Forgets what began at or after `offset`; returns whether anything did.
    pub fn truncate_end(&mut self, offset: Offset) -> bool {
        let before = self.entries.len();
        self.entries.retain(|&(_, start)| start < offset.0);
        self.entries.len() != before
    }

    /// Forgets what ended before `offset`; the epoch that holds it now begins there. Returns whether anything changed.
    pub fn truncate_start(&mut self, offset: Offset) -> bool {
        let count = self.entries.partition_point(|&(_, start)| start <= offset.0);
        let Some(holds) = count.checked_sub(1) else {
            return false;
        };
        if holds == 0 && self.entries[0].1 == offset.0 {
            return false;
        }
        self.entries.drain(..holds);
        self.entries[0].1 = offset.0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> EpochCache {
        EpochCache::from_entries(vec![(1, 0), (3, 10), (7, 20)])
    }

    #[test]
    fn an_epoch_ends_where_the_next_known_one_begins() {
        let end = |epoch| cache().end_offset(LeaderEpoch(epoch), Offset(30));
        assert_eq!(end(1), Some((LeaderEpoch(1), Offset(10))));
        assert_eq!(end(2), Some((LeaderEpoch(1), Offset(10))));
        assert_eq!(end(3), Some((LeaderEpoch(3), Offset(20))));
        assert_eq!(end(7), Some((LeaderEpoch(7), Offset(30))));
        assert_eq!(end(8), None);
        assert_eq!(end(0), Some((LeaderEpoch(0), Offset(0))));
        assert_eq!(end(-1), None);
        assert_eq!(EpochCache::default().end_offset(LeaderEpoch(0), Offset(0)), None);
    }

    #[test]
    fn a_later_epoch_is_noted_once_and_an_older_one_not_at_all() {
        let mut epochs = cache();
        assert!(epochs.assign(LeaderEpoch(8), Offset(25)));
        assert!(!epochs.assign(LeaderEpoch(8), Offset(27)));
        assert!(!epochs.assign(LeaderEpoch(2), Offset(30)));
        assert_eq!(epochs.entries(), [(1, 0), (3, 10), (7, 20), (8, 25)]);
        assert!(epochs.assign(LeaderEpoch(9), Offset(15)));
        assert_eq!(epochs.entries(), [(1, 0), (3, 10), (9, 15)]);
    }

    #[test]
    fn cutting_either_end_keeps_the_epoch_of_what_is_left() {
        let mut epochs = cache();
        assert!(epochs.truncate_end(Offset(20)));
        assert!(epochs.truncate_start(Offset(12)));
        assert_eq!(epochs.entries(), [(3, 12)]);
        assert_eq!(epochs.epoch_at(Offset(12)), Some(LeaderEpoch(3)));
        assert_eq!(epochs.epoch_at(Offset(11)), None);
        assert!(!epochs.truncate_start(Offset(12)));
    }

    #[test]
    fn a_checkpoint_that_does_not_ascend_is_taken_up_to_there() {
        assert_eq!(
            EpochCache::from_entries(vec![(1, 0), (1, 5), (2, 9)]).entries(),
            [(1, 0)]
        );
    }
}
