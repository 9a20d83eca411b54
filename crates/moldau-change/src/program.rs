//! What a table, an envelope or a key is compiled into: parts that are written one after the other.

use crate::format::{DIGITS_MAX, decimal};
use crate::{Format, Kernel};

/// What is known of an event beside its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// When its transaction was committed: milliseconds, microseconds, nanoseconds.
    CommitMs,
    /// See `CommitMs`.
    CommitUs,
    /// See `CommitMs`.
    CommitNs,
    /// When it is written.
    NowMs,
    /// See `NowMs`.
    NowUs,
    /// See `NowMs`.
    NowNs,
    /// `["last commit","position"]`.
    Sequence,
    /// The transaction's number.
    Xid,
    /// Its position in the WAL.
    Lsn,
    /// The slot's `catalog_xmin`, when it is asked for.
    Xmin,
    /// The name of the replication origin.
    Origin,
    /// Its position there.
    OriginLsn,
    /// Its operation: c, u, d or r.
    Operation,
    /// Where in a snapshot it stands.
    Mark,
}

/// The facts of one event.
#[derive(Debug, Clone)]
pub struct Facts<'run> {
    /// Microseconds since 1970.
    pub commit_us: i64,
    /// Nanoseconds since 1970.
    pub now_ns: i64,
    /// Where the last whole transaction ended; 0 for none.
    pub commit_lsn: i64,
    /// Where the event stands.
    pub lsn: i64,
    /// Of its transaction.
    pub xid: Option<i64>,
    /// Of the slot.
    pub xmin: Option<i64>,
    /// Name and position.
    pub origin: Option<(&'run str, i64)>,
    /// A single letter.
    pub operation: u8,
    /// A word.
    pub mark: &'run str,
}

impl Facts<'_> {
    /// Appends a fact behind `present`, or what stands for it when there is none.
    pub fn write(&self, fact: Fact, present: &[u8], absent: &[u8], format: Format, out: &mut Vec<u8>) {
        if fact == Fact::Operation || fact == Fact::Mark || fact == Fact::Sequence {
            out.extend_from_slice(present);
            match fact {
                Fact::Operation => format.plain_text(&[self.operation], out),
                Fact::Mark => format.plain_text(self.mark.as_bytes(), out),
                _ => self.sequence(format, out),
            }
            return;
        }
        if fact == Fact::Origin {
            let Some((name, _)) = self.origin else {
                out.extend_from_slice(absent);
                return;
            };
            out.extend_from_slice(present);
            format.text(name.as_bytes(), out).expect("a str is UTF-8");
            return;
        }
        match self.number(fact) {
            None => out.extend_from_slice(absent),
            Some(number) => {
                out.extend_from_slice(present);
                format.integer(number, out);
            }
        }
    }

    fn number(&self, fact: Fact) -> Option<i64> {
        match fact {
            Fact::CommitMs => Some(self.commit_us.div_euclid(1000)),
            Fact::CommitUs => Some(self.commit_us),
            Fact::CommitNs => Some(self.commit_us.wrapping_mul(1000)),
            Fact::NowMs => Some(self.now_ns / 1_000_000),
            Fact::NowUs => Some(self.now_ns / 1000),
            Fact::NowNs => Some(self.now_ns),
            Fact::Xid => self.xid,
            Fact::Lsn => Some(self.lsn),
            Fact::Xmin => self.xmin,
            Fact::OriginLsn => self.origin.map(|(_, lsn)| lsn),
            Fact::Origin | Fact::Operation | Fact::Mark | Fact::Sequence => None,
        }
    }

    fn sequence(&self, format: Format, out: &mut Vec<u8>) {
        let quote: &[u8] = if format == Format::Json { b"\\\"" } else { b"\"" };
        let mut text = Vec::with_capacity(2 * DIGITS_MAX + 11);
        text.push(b'[');
        if self.commit_lsn == 0 {
            text.extend_from_slice(b"null");
        } else {
            for piece in [quote, decimal(self.commit_lsn, &mut [0; DIGITS_MAX]), quote] {
                text.extend_from_slice(piece);
            }
        }
        text.push(b',');
        for piece in [quote, decimal(self.lsn, &mut [0; DIGITS_MAX]), quote] {
            text.extend_from_slice(piece);
        }
        text.push(b']');
        format.plain_text(&text, out);
    }
}

/// How a column's text becomes bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// By a kernel, behind the bytes of `present`.
    Kernel(Kernel),
    /// By the function with this number, which writes all that is behind the bytes of `present`.
    Given(usize),
}

/// A piece of what is written.
#[derive(Debug, Clone)]
pub enum Part {
    /// Bytes that are always the same.
    Literal(Vec<u8>),
    /// The row before the change, or what stands for it when there is none.
    Before(Vec<u8>, Vec<u8>),
    /// The row after the change.
    After(Vec<u8>, Vec<u8>),
    /// A fact: what stands before it, and what stands for it.
    Fact(Fact, Vec<u8>, Vec<u8>),
    /// A column of the row.
    Column {
        /// Its place in the row.
        index: usize,
        /// How its text is read.
        reading: Reading,
        /// What stands before a value.
        present: Vec<u8>,
        /// What stands for NULL, unless that is unusual.
        null: Option<Vec<u8>>,
        /// What stands for a value that was not sent, unless that is unusual.
        unchanged: Option<Vec<u8>>,
    },
}

/// Parts in their order.
pub type Program = Vec<Part>;
