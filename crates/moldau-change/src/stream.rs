//! A run of messages of the replication stream: through transactions, up to the first that is unusual.
//!
//! The rules of the position are those of `streaming.py`, which takes the same messages one by one.

use std::collections::HashMap;
use std::sync::Arc;

use crate::message::{Change, begin, change, commit, placed, relation};
use crate::program::Facts;
use crate::table::{Record, Table};
use crate::{Unusual, Usual};

/// The place in the stream (`offsets.Position`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The last event's.
    pub lsn: i64,
    /// The last event's that is wholly handed on.
    pub processed_lsn: i64,
    /// Where the last whole transaction ended.
    pub commit_lsn: i64,
    /// How many events stand at `lsn`.
    pub events_at_lsn: i64,
    /// The transaction's number.
    pub xid: Option<i64>,
    /// When it was committed, in microseconds since 1970.
    pub commit_us: i64,
    /// The kind of the last message: its first letter; 0 when it is not known.
    pub kind: u8,
}

/// What is the same for all events of a run.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings<'run> {
    /// Nanoseconds since 1970.
    pub now_ns: i64,
    /// Of the slot.
    pub xmin: Option<i64>,
    /// Where the transaction came from that is under way.
    pub origin: Option<(&'run str, i64)>,
    /// A run ends in front of this transaction and of those that began after it: somebody looks at their changes.
    pub watched_from: Option<u32>,
}

/// What a relation is to us.
#[derive(Debug, Clone)]
pub enum Relation {
    /// Its changes are written.
    Captured(Arc<Table>),
    /// Its changes are passed over.
    PassedOver,
}

/// What a run went through.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// New rows.
    pub created: usize,
    /// Changed rows.
    pub updated: usize,
    /// Deleted rows.
    pub deleted: usize,
    /// Changes of relations that are passed over.
    pub passed_over: usize,
    /// Ends of transactions.
    pub transactions: usize,
}

/// How a run ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Run {
    /// How many messages it went through.
    pub messages: usize,
    /// The position behind the last of them.
    pub position: Position,
    /// The position of the last event.
    pub last_event: Option<Position>,
    /// Whether a transaction is under way, when one has begun or ended.
    pub in_transaction: Option<bool>,
    /// What it went through.
    pub counts: Counts,
    /// The numbers of the transactions that began in it.
    pub begun: Vec<u32>,
}

/// The relations that are known, by OID. Changes of others are unusual.
#[derive(Debug, Default)]
pub struct Stream {
    /// See `Relation`.
    pub relations: HashMap<u32, Relation>,
}

impl Stream {
    /// Goes through messages, each `CopyData`'s content, and gives each record with its relation's OID to `record`.
    pub fn run<'data>(
        &self,
        messages: impl Iterator<Item = &'data [u8]>,
        position: Position,
        surroundings: Surroundings<'_>,
        mut record: impl FnMut(u32, Record),
    ) -> Run {
        let mut run = Run {
            messages: 0,
            position,
            last_event: None,
            in_transaction: None,
            counts: Counts::default(),
            begun: Vec::new(),
        };
        let mut origin = surroundings.origin;
        for data in messages {
            if self
                .step(data, &mut run, surroundings, &mut origin, &mut record)
                .is_err()
            {
                break;
            }
            run.messages += 1;
        }
        run
    }

    /// One message; an unusual one has changed nothing.
    fn step<'run>(
        &self,
        data: &[u8],
        run: &mut Run,
        surroundings: Surroundings<'run>,
        origin: &mut Option<(&'run str, i64)>,
        record: &mut impl FnMut(u32, Record),
    ) -> Usual<()> {
        let message = placed(data)?;
        match message.kind {
            b'B' => {
                let begun = begin(message.body)?;
                if surroundings
                    .watched_from
                    .is_some_and(|first| !began_before(begun.xid, first))
                {
                    return Err(Unusual);
                }
                run.begun.push(begun.xid);
                let position = &mut run.position;
                position.xid = Some(i64::from(begun.xid));
                position.commit_us = begun.commit_us;
                position.lsn = message.lsn;
                position.events_at_lsn = 0;
                position.kind = b'B';
                *origin = None;
                run.in_transaction = Some(true);
            }
            b'C' => {
                let end = commit(message.body)?;
                let position = &mut run.position;
                position.lsn = end;
                position.commit_lsn = end;
                position.processed_lsn = end;
                position.events_at_lsn = 0;
                position.kind = b'C';
                run.in_transaction = Some(false);
                run.counts.transactions += 1;
            }
            b'I' | b'U' | b'D' => {
                let oid = relation(message.body)?;
                let Relation::Captured(table) = self.relations.get(&oid).ok_or(Unusual)? else {
                    run.counts.passed_over += 1;
                    return Ok(());
                };
                let read = change(message.kind, message.body, table.columns)?;
                let next = after(&run.position, message.lsn, message.kind);
                write(table, read, &next, surroundings, *origin, |made| record(oid, made))?;
                run.last_event = Some(next.clone());
                run.position = next;
                match message.kind {
                    b'I' => run.counts.created += 1,
                    b'U' => run.counts.updated += 1,
                    _ => run.counts.deleted += 1,
                }
            }
            _ => return Err(Unusual),
        }
        Ok(())
    }
}

/// Whether a transaction's number is an earlier one. Numbers go round: of two, the nearer way says which was first.
fn began_before(xid: u32, other: u32) -> bool {
    xid.wrapping_sub(other) >= 1 << 31
}

fn after(position: &Position, lsn: i64, kind: u8) -> Position {
    let events_at_lsn = if lsn == position.lsn {
        position.events_at_lsn + 1
    } else {
        1
    };
    Position {
        lsn,
        processed_lsn: lsn,
        events_at_lsn,
        kind,
        ..position.clone()
    }
}

fn write(
    table: &Table,
    change: Change<'_>,
    position: &Position,
    surroundings: Surroundings<'_>,
    origin: Option<(&str, i64)>,
    record: impl FnMut(Record),
) -> Usual<()> {
    let mut facts = Facts {
        commit_us: position.commit_us,
        now_ns: surroundings.now_ns,
        commit_lsn: position.commit_lsn,
        lsn: position.lsn,
        xid: position.xid,
        xmin: surroundings.xmin,
        origin,
        operation: 0,
        mark: "false",
    };
    table.change(change, &mut facts, record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::{Fact, Part, Reading};
    use crate::table::tests::Nothing;
    use crate::{Format, Kernel};

    const OID: u32 = 7;

    fn table() -> Table {
        let column = |reading| Part::Column {
            index: 0,
            reading,
            present: Vec::new(),
            null: None,
            unchanged: Some(b"unchanged".to_vec()),
        };
        let fact = |fact| Part::Fact(fact, b" ".to_vec(), b" -".to_vec());
        Table {
            format: Format::Json,
            key_format: Format::Json,
            columns: 1,
            key: Some(vec![column(Reading::Kernel(Kernel::Integer))]),
            row: vec![column(Reading::Kernel(Kernel::Integer))],
            value: vec![
                Part::Before(Vec::new(), b"none".to_vec()),
                Part::After(b" ".to_vec(), b" none".to_vec()),
                fact(Fact::Operation),
                fact(Fact::Lsn),
                fact(Fact::Xid),
                fact(Fact::Origin),
            ],
            key_columns: vec![0],
            tombstones: true,
            given: Arc::new(Nothing),
        }
    }

    fn wal(lsn: i64, message: &[u8]) -> Vec<u8> {
        [b"w", lsn.to_be_bytes().as_slice(), &[0; 16], message].concat()
    }

    fn begin(lsn: i64, xid: u32) -> Vec<u8> {
        wal(lsn, &[b"B", [0; 16].as_slice(), &xid.to_be_bytes()].concat())
    }

    fn commit(lsn: i64, end: i64) -> Vec<u8> {
        wal(lsn, &[b"C\0", [0; 8].as_slice(), &end.to_be_bytes(), &[0; 8]].concat())
    }

    fn insert(lsn: i64, oid: u32, text: &[u8]) -> Vec<u8> {
        let length = u32::try_from(text.len()).expect("short").to_be_bytes();
        wal(
            lsn,
            &[b"I", oid.to_be_bytes().as_slice(), b"N\0\x01t", &length, text].concat(),
        )
    }

    fn start() -> Position {
        Position {
            lsn: 0,
            processed_lsn: 0,
            commit_lsn: 5,
            events_at_lsn: 0,
            xid: None,
            commit_us: 0,
            kind: 0,
        }
    }

    fn run_of(messages: &[Vec<u8>], origin: Option<(&str, i64)>) -> (Run, Vec<String>) {
        run_up_to(None, messages, origin)
    }

    fn run_up_to(watched_from: Option<u32>, messages: &[Vec<u8>], origin: Option<(&str, i64)>) -> (Run, Vec<String>) {
        let mut stream = Stream::default();
        stream.relations.insert(OID, Relation::Captured(Arc::new(table())));
        stream.relations.insert(8, Relation::PassedOver);
        let mut values = Vec::new();
        let surroundings = Surroundings {
            now_ns: 0,
            xmin: None,
            origin,
            watched_from,
        };
        let run = stream.run(
            messages.iter().map(Vec::as_slice),
            start(),
            surroundings,
            |_, record| {
                values.push(record.value.map_or("tombstone".to_owned(), |value| {
                    String::from_utf8(value).expect("JSON is UTF-8")
                }));
            },
        );
        (run, values)
    }

    #[test]
    fn a_run_goes_through_transactions_and_counts_the_events_of_a_position() {
        let messages = [
            begin(10, 42),
            insert(10, OID, b"1"),
            insert(10, OID, b"2"),
            insert(11, 8, b"3"),
            commit(12, 13),
        ];
        let (run, values) = run_of(&messages, None);
        assert_eq!(values, ["none 1 \"c\" 10 42 -", "none 2 \"c\" 10 42 -"]);
        assert_eq!(run.messages, 5);
        assert_eq!(run.in_transaction, Some(false));
        let counts = Counts {
            created: 2,
            passed_over: 1,
            transactions: 1,
            ..Counts::default()
        };
        assert_eq!(run.counts, counts);
        let last = run.last_event.expect("there was one");
        assert_eq!(
            (last.lsn, last.events_at_lsn, last.commit_lsn, last.kind),
            (10, 2, 5, b'I')
        );
        assert_eq!(
            (run.position.lsn, run.position.commit_lsn, run.position.kind),
            (13, 13, b'C')
        );
    }

    #[test]
    fn a_run_ends_in_front_of_what_is_unusual_and_nothing_of_that_is_seen() {
        let cut = insert(11, OID, b"1")[..38].to_vec();
        for unusual in [
            insert(11, OID, b"x"),
            insert(11, 9, b"1"),
            wal(11, b"R\0\0"),
            cut,
            wal(11, b""),
            Vec::new(),
        ] {
            let (run, values) = run_of(&[begin(10, 42), insert(10, OID, b"1"), unusual, commit(12, 13)], None);
            assert_eq!(values.len(), 1);
            assert_eq!(run.messages, 2);
            assert_eq!(run.position.lsn, 10);
            assert_eq!(run.position.commit_lsn, 5);
        }
    }

    #[test]
    fn a_run_ends_in_front_of_a_transaction_that_is_watched_and_says_which_ones_it_went_through() {
        let messages = |xid| [begin(10, 42), commit(11, 12), begin(13, xid), commit(14, 15)];
        let gone = |from, xid| {
            let (run, _) = run_up_to(Some(from), &messages(xid), None);
            (run.messages, run.begun)
        };
        assert_eq!(gone(43, 43), (2, vec![42]));
        assert_eq!(gone(43, 50), (2, vec![42]));
        assert_eq!(gone(51, 50), (4, vec![42, 50]));
        // Numbers go round: 42 is the younger one here.
        assert_eq!(gone(u32::MAX, 43), (0, Vec::new()));
        assert_eq!(gone(50, u32::MAX), (4, vec![42, u32::MAX]));
    }

    #[test]
    fn the_origin_is_that_of_the_transaction_under_way() {
        let messages = [
            insert(10, OID, b"1"),
            commit(12, 13),
            begin(14, 43),
            insert(15, OID, b"2"),
        ];
        let (_, values) = run_of(&messages, Some(("elsewhere", 3)));
        assert_eq!(values, ["none 1 \"c\" 10 - \"elsewhere\"", "none 2 \"c\" 15 43 -"]);
    }

    #[test]
    fn a_delete_gives_a_tombstone_and_a_changed_key_is_unusual() {
        let delete = wal(
            10,
            &[b"D", OID.to_be_bytes().as_slice(), b"K\0\x01t\0\0\0\x011"].concat(),
        );
        let (_, values) = run_of(&[delete], None);
        assert_eq!(values, ["1 none \"d\" 10 - -", "tombstone"]);
        let rows = b"K\0\x01t\0\0\0\x011N\0\x01t\0\0\0\x012";
        let moved = wal(10, &[b"U", OID.to_be_bytes().as_slice(), rows].concat());
        assert_eq!(run_of(&[moved], None).0.messages, 0);
    }

    #[test]
    fn what_was_not_sent_is_taken_from_the_old_row() {
        let rows = b"O\0\x01t\0\0\0\x011N\0\x01u";
        let kept = wal(10, &[b"U", OID.to_be_bytes().as_slice(), rows].concat());
        assert_eq!(run_of(&[kept], None).1, ["1 1 \"u\" 10 - -"]);
        let alone = wal(10, &[b"U", OID.to_be_bytes().as_slice(), b"N\0\x01u"].concat());
        assert_eq!(run_of(&[alone], None).1, ["none unchanged \"u\" 10 - -"]);
    }
}
