//! What a Fetch answer holds for its reader: records from one offset on, those of aborted transactions left out.
//!
//! Batches are walked once; the records stay where they are, in the answer or in what was decompressed of it, and are
//! told as places. Control records (markers) are nobody's. Source: KIP-98 (aborted transactions), KIP-74 (answers that
//! end in the midst of a batch).

use std::collections::HashSet;
use std::ops::Range;

use moldau_log::batch::{BatchError, BatchView, batches};

/// Where bytes are, in the buffer of their row.
pub type Span = Range<u32>;

/// One record.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its offset.
    pub offset: i64,
    /// Its time, ms since 1970.
    pub timestamp_ms: i64,
    /// None for a null key.
    pub key: Option<Span>,
    /// None for a null value.
    pub value: Option<Span>,
    /// Which of the block's headers are its own.
    pub headers: Range<u32>,
    /// 0 is the answer itself, others are what was decompressed.
    buffer: u32,
}

/// The records of one partition out of one answer.
#[derive(Debug)]
pub struct Block<B> {
    answer: B,
    unfolded: Vec<Vec<u8>>,
    rows: Vec<Row>,
    headers: Vec<(Span, Option<Span>)>,
    leader_epochs: Vec<(i64, i32)>,
    next_offset: i64,
}

/// Why an answer cannot be read on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// The bytes changed on their way or where they lie.
    #[error("the checksum of the batch at offset {0} is wrong")]
    Checksum(i64),
    /// A batch that is none.
    #[error("the batch at offset {0}: {1}")]
    Batch(i64, BatchError),
    /// The answer has bytes, but not one batch that is whole.
    #[error("the answer for offset {0} ends inside of its first batch")]
    Torn(i64),
}

/// A transaction that was aborted: its producer, and the offset of its first record.
pub type Aborted = (i64, i64);

impl<B: AsRef<[u8]>> Block<B> {
    /// Reads an answer.
    ///
    /// `from` is the offset that was asked for: a batch may begin before it. `aborted` is None for a reader that takes
    /// records of every transaction; for others what the answer says of them.
    ///
    /// What is whole before a damaged batch is read; the next answer begins with that batch.
    ///
    /// # Errors
    /// The first batch is damaged.
    pub fn read(answer: B, from: i64, aborted: Option<&[Aborted]>) -> Result<Block<B>, BlockError> {
        let mut made = Made::default();
        let mut next = from;
        let mut visible = aborted.map(Visible::new);
        let bytes = answer.as_ref();
        for batch in batches(bytes) {
            let whole = made.rows.len();
            match made.read(batch, bytes, from, visible.as_mut()) {
                Ok(Some(after)) => next = next.max(after),
                Ok(None) => {}
                Err(_) if next > from => {
                    made.rows.truncate(whole);
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        let Made {
            unfolded,
            rows,
            headers,
            leader_epochs,
        } = made;
        Ok(Block {
            answer,
            unfolded,
            rows,
            headers,
            leader_epochs,
            next_offset: next,
        })
    }

    /// The records in the order of their offsets.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The first of the records from `start` to `stop` that is not older than a moment, `stop` if all are.
    #[must_use]
    pub fn until(&self, start: usize, stop: usize, moment_ms: i64) -> usize {
        let stop = stop.min(self.rows.len());
        let rows = self.rows.get(start..stop).unwrap_or(&[]);
        let older = rows.iter().take_while(|row| row.timestamp_ms < moment_ms).count();
        start + older
    }

    /// The offset to ask for next: behind the last batch, whether its records can be seen or not.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Under which leaders the batches were written, seen or not: an offset, and the epoch from there on. (KIP-320)
    #[must_use]
    pub fn leader_epochs(&self) -> &[(i64, i32)] {
        &self.leader_epochs
    }

    /// How much memory the records take.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.answer.as_ref().len() + self.unfolded.iter().map(Vec::len).sum::<usize>()
    }

    /// The bytes of a place.
    #[must_use]
    pub fn bytes(&self, row: &Row, span: &Span) -> &[u8] {
        let buffer = match row.buffer.checked_sub(1) {
            None => self.answer.as_ref(),
            Some(number) => &self.unfolded[number as usize],
        };
        &buffer[span.start as usize..span.end as usize]
    }

    /// A record's key.
    #[must_use]
    pub fn key(&self, row: &Row) -> Option<&[u8]> {
        row.key.as_ref().map(|span| self.bytes(row, span))
    }

    /// A record's value.
    #[must_use]
    pub fn value(&self, row: &Row) -> Option<&[u8]> {
        row.value.as_ref().map(|span| self.bytes(row, span))
    }

    /// A record's headers, in their order.
    pub fn headers<'a>(&'a self, row: &'a Row) -> impl ExactSizeIterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        self.headers[row.headers.start as usize..row.headers.end as usize]
            .iter()
            .map(|(key, value)| (self.bytes(row, key), value.as_ref().map(|value| self.bytes(row, value))))
    }
}

#[derive(Default)]
struct Made {
    unfolded: Vec<Vec<u8>>,
    rows: Vec<Row>,
    headers: Vec<(Span, Option<Span>)>,
    leader_epochs: Vec<(i64, i32)>,
}

impl Made {
    /// Takes a batch; the offset behind it, None if it lies before what was asked for.
    fn read(
        &mut self,
        batch: Result<BatchView<'_>, BatchError>,
        answer: &[u8],
        from: i64,
        visible: Option<&mut Visible>,
    ) -> Result<Option<i64>, BlockError> {
        let batch = batch.map_err(|error| match error {
            BatchError::Truncated { .. } => BlockError::Torn(from),
            error => BlockError::Batch(from, error),
        })?;
        let base = batch.base_offset().0;
        if !batch.crc_matches() {
            return Err(BlockError::Checksum(base));
        }
        let after = batch.header().next_offset().0;
        if after <= from {
            return Ok(None);
        }
        if visible.is_none_or(|visible| visible.shows(&batch)) && !batch.is_control() {
            self.take(&batch, answer, from)
                .map_err(|error| BlockError::Batch(base, error))?;
        }
        let epoch = batch.leader_epoch().0;
        if self.leader_epochs.last().is_none_or(|(_, last)| *last != epoch) {
            self.leader_epochs.push((base, epoch));
        }
        Ok(Some(after))
    }

    fn take(&mut self, batch: &BatchView<'_>, answer: &[u8], from: i64) -> Result<(), BatchError> {
        let decoded = batch.decode()?;
        let compressed = !std::ptr::eq(decoded.bytes().as_ptr(), batch.stored_records().as_ptr());
        let base = if compressed { decoded.bytes() } else { answer };
        let buffer = if compressed {
            u32::try_from(self.unfolded.len() + 1).map_err(|_| TOO_LARGE)?
        } else {
            0
        };
        // A record takes 7 bytes or more: the batch's own count is not believed.
        self.rows
            .reserve((batch.record_count().max(0) as usize).min(decoded.bytes().len() / 7 + 1));
        for record in &decoded {
            let record = record?;
            if record.offset.0 < from {
                continue;
            }
            let first = self.headers.len() as u32;
            for header in &record.headers {
                let value = header.value.map(|value| span_of(value, base)).transpose()?;
                self.headers.push((span_of(header.key, base)?, value));
            }
            self.rows.push(Row {
                offset: record.offset.0,
                timestamp_ms: record.timestamp_ms,
                key: record.key.map(|key| span_of(key, base)).transpose()?,
                value: record.value.map(|value| span_of(value, base)).transpose()?,
                headers: first..self.headers.len() as u32,
                buffer,
            });
        }
        if compressed {
            self.unfolded.push(decoded.into_bytes());
        }
        Ok(())
    }
}

const TOO_LARGE: BatchError = BatchError::Corrupt("more bytes than an answer can have");

/// Where a part of `base` is in it.
fn span_of(part: &[u8], base: &[u8]) -> Result<Span, BatchError> {
    let start = part.as_ptr().addr() - base.as_ptr().addr();
    let start = u32::try_from(start).map_err(|_| TOO_LARGE)?;
    let length = u32::try_from(part.len()).map_err(|_| TOO_LARGE)?;
    Ok(start..start.checked_add(length).ok_or(TOO_LARGE)?)
}

/// Which batches somebody sees who reads what is committed.
struct Visible {
    aborted: std::iter::Peekable<std::vec::IntoIter<Aborted>>,
    open: HashSet<i64>,
}

impl Visible {
    fn new(aborted: &[Aborted]) -> Visible {
        let mut sorted = aborted.to_vec();
        sorted.sort_by_key(|(_, first)| *first);
        Visible {
            aborted: sorted.into_iter().peekable(),
            open: HashSet::new(),
        }
    }

    fn shows(&mut self, batch: &BatchView<'_>) -> bool {
        let last = batch.last_offset().0;
        while let Some((producer, _)) = self.aborted.next_if(|(_, first)| *first <= last) {
            self.open.insert(producer);
        }
        let producer = batch.producer_id().0;
        if batch.is_control() {
            // Whichever marker it is: behind it the producer has no open transaction.
            self.open.remove(&producer);
            return false;
        }
        !(batch.is_transactional() && self.open.contains(&producer))
    }
}
