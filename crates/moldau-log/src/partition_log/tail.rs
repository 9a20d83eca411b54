//! Where the newest batches begin.
//!
//! Consumers that keep up ask for what was appended a moment ago. The last few batches are remembered with their
//! positions, so such a read needs neither index nor file to know its range.

use crate::types::Offset;
use std::collections::VecDeque;

const REMEMBERED: usize = 32;

/// The end of the newest segment.
#[derive(Debug)]
pub(super) struct Tail {
    segment: Offset,
    batches: VecDeque<(Offset, u32)>,
    end: (Offset, u32),
}

/// A batch found in the tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TailBatch {
    pub base_offset: Offset,
    pub position: u64,
    pub size_bytes: usize,
}

impl Tail {
    /// Nothing remembered; the log ends at `end_offset`, at byte `end` of the segment `segment`.
    pub fn new(segment: Offset, end_offset: Offset, end: u64) -> Tail {
        Tail {
            segment,
            batches: VecDeque::new(),
            end: (end_offset, end as u32),
        }
    }

    /// Notes a batch that begins where the log ended until now.
    pub fn push(&mut self, base_offset: Offset, next_offset: Offset, size_bytes: usize) {
        if self.batches.len() == REMEMBERED {
            self.batches.pop_front();
        }
        self.batches.push_back((base_offset, self.end.1));
        self.end = (next_offset, self.end.1 + size_bytes as u32);
    }

    /// Begins a new segment at the log end.
    pub fn roll(&mut self) {
        self.segment = self.end.0;
        self.batches.clear();
        self.end.1 = 0;
    }

    /// The log end and where it is in the newest segment.
    pub fn end(&self) -> (Offset, u64) {
        (self.end.0, u64::from(self.end.1))
    }

    /// The batch of `segment` that holds `offset`, if it is remembered.
    pub fn find(&self, segment: Offset, offset: Offset) -> Option<TailBatch> {
        if segment != self.segment || offset >= self.end.0 {
            return None;
        }
        let index = self
            .batches
            .partition_point(|&(base, _)| base <= offset)
            .checked_sub(1)?;
        let (base_offset, position) = self.batches[index];
        let end = self
            .batches
            .get(index + 1)
            .map_or(self.end.1, |&(_, position)| position);
        Some(TailBatch {
            base_offset,
            position: u64::from(position),
            size_bytes: (end - position) as usize,
        })
    }

    /// Where in `segment` the batches before `offset` end, if that is remembered.
    pub fn end_before(&self, segment: Offset, offset: Offset) -> Option<u64> {
        if segment == self.segment && offset == self.end.0 {
            return Some(u64::from(self.end.1));
        }
        self.find(segment, offset).map(|batch| batch.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_batches_are_found_and_older_ones_are_not() {
        let segment = Offset(100);
        let mut tail = Tail::new(segment, Offset(100), 0);
        for number in 0..40 {
            let base = Offset(100 + number * 10);
            tail.push(base, base.plus(10), 50);
        }
        let found = tail.find(segment, Offset(495)).unwrap();
        assert_eq!(
            found,
            TailBatch {
                base_offset: Offset(490),
                position: 39 * 50,
                size_bytes: 50
            }
        );
        assert_eq!(tail.find(segment, Offset(180)).unwrap().position, 8 * 50);
        assert_eq!(tail.find(segment, Offset(179)), None);
        assert_eq!(tail.find(segment, Offset(500)), None);
        assert_eq!(tail.find(Offset(0), Offset(495)), None);
        assert_eq!(tail.end_before(segment, Offset(500)), Some(2000));
        assert_eq!(tail.end_before(segment, Offset(490)), Some(1950));
        tail.roll();
        assert_eq!(tail.end_before(Offset(500), Offset(500)), Some(0));
        assert_eq!(tail.find(Offset(500), Offset(500)), None);
    }
}
