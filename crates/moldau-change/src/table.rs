//! A table's programs, and how a change of a row runs them.

use std::fmt::Debug;
use std::sync::Arc;

use crate::message::Change;
use crate::program::{Facts, Part, Program, Reading};
use crate::row::Column;
use crate::{Format, Unusual, Usual, copy};

/// What a change is called in the envelope.
pub type Operation = u8;

/// A table, compiled.
#[derive(Debug, Clone)]
pub struct Table {
    /// What the bytes of values are.
    pub format: Format,
    /// What the bytes of keys are.
    pub key_format: Format,
    /// How many columns a raw row has.
    pub columns: usize,
    /// Of the record's key, when the table has one.
    pub key: Option<Program>,
    /// Of a row.
    pub row: Program,
    /// Of the record's value, in which rows stand.
    pub value: Program,
    /// The columns of the key.
    pub key_columns: Vec<usize>,
    /// Whether a delete is followed by a record without a value.
    pub tombstones: bool,
    /// What reads the texts that no kernel does.
    pub given: Arc<dyn Given>,
}

/// A record: its key and its value.
#[derive(Debug, PartialEq, Eq)]
pub struct Record {
    /// None for a table without a key.
    pub key: Option<Vec<u8>>,
    /// None for a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Table {
    /// The records of a change, onto `records`, which has what it had before when the change is unusual.
    pub fn change(&self, change: Change<'_>, facts: &mut Facts<'_>, mut record: impl FnMut(Record)) -> Usual<()> {
        match change {
            Change::Insert(new) => {
                facts.operation = b'c';
                record(self.record(None, Some(&new), facts)?);
            }
            Change::Update(None, new) => {
                facts.operation = b'u';
                record(self.record(None, Some(&new), facts)?);
            }
            Change::Update(Some(old), mut new) => {
                // With replica identity FULL an unchanged TOASTed value is in the old row.
                for (value, before) in new.iter_mut().zip(&old) {
                    if *value == Column::Unchanged {
                        *value = *before;
                    }
                }
                if self.key_columns.iter().any(|index| old.get(*index) != new.get(*index)) {
                    return Err(Unusual);
                }
                facts.operation = b'u';
                record(self.record(Some(&old), Some(&new), facts)?);
            }
            Change::Delete(old) => {
                facts.operation = b'd';
                let deleted = self.record(Some(&old), None, facts)?;
                let key = deleted.key.clone();
                record(deleted);
                if self.tombstones {
                    record(Record { key, value: None });
                }
            }
        }
        Ok(())
    }

    /// The records of rows that were copied (`copy`), line by line up to the first that is unusual or has no end. Returns
    /// how many bytes that is.
    pub fn read(&self, lines: &[u8], facts: &Facts<'_>, mut record: impl FnMut(Record)) -> usize {
        let mut freed = Vec::new();
        let mut done = 0;
        while let Some(length) = lines[done..].iter().position(|byte| *byte == b'\n') {
            let line = &lines[done..done + length];
            let made = copy::row(line, self.columns, &mut freed).and_then(|row| self.record(None, Some(&row), facts));
            let Ok(made) = made else { break };
            record(made);
            done += length + 1;
        }
        done
    }

    /// One record. The key is the new row's, or the old one's when there is no new one.
    pub fn record(&self, old: Option<&[Column<'_>]>, new: Option<&[Column<'_>]>, facts: &Facts<'_>) -> Usual<Record> {
        let key = match (&self.key, new.or(old)) {
            (Some(program), Some(row)) => {
                let mut key = Vec::with_capacity(64);
                self.run(program, self.key_format, row, &mut key)?;
                Some(key)
            }
            _ => None,
        };
        let mut value = Vec::with_capacity(1024);
        for part in &self.value {
            match part {
                Part::Literal(bytes) => value.extend_from_slice(bytes),
                Part::Fact(fact, present, absent) => facts.write(*fact, present, absent, self.format, &mut value),
                Part::Before(present, absent) => self.image(old, present, absent, &mut value)?,
                Part::After(present, absent) => self.image(new, present, absent, &mut value)?,
                Part::Column { .. } => return Err(Unusual),
            }
        }
        Ok(Record {
            key,
            value: Some(value),
        })
    }

    fn image(&self, row: Option<&[Column<'_>]>, present: &[u8], absent: &[u8], out: &mut Vec<u8>) -> Usual<()> {
        let Some(row) = row else {
            out.extend_from_slice(absent);
            return Ok(());
        };
        out.extend_from_slice(present);
        self.run(&self.row, self.format, row, out)
    }

    fn run(&self, program: &Program, format: Format, row: &[Column<'_>], out: &mut Vec<u8>) -> Usual<()> {
        for part in program {
            match part {
                Part::Literal(bytes) => out.extend_from_slice(bytes),
                Part::Column {
                    index,
                    reading,
                    present,
                    null,
                    unchanged,
                } => match row.get(*index).ok_or(Unusual)? {
                    Column::Text(text) => {
                        out.extend_from_slice(present);
                        match reading {
                            Reading::Kernel(kernel) => kernel.write(text, format, out)?,
                            Reading::Given(number) => self.given.write(*number, text, out)?,
                        }
                    }
                    Column::Null => out.extend_from_slice(null.as_ref().ok_or(Unusual)?),
                    Column::Unchanged => out.extend_from_slice(unchanged.as_ref().ok_or(Unusual)?),
                },
                _ => return Err(Unusual),
            }
        }
        Ok(())
    }
}

/// Functions from outside for texts that no kernel reads.
pub trait Given: Debug + Send + Sync {
    /// Appends the value of a text as the function with this number writes it.
    fn write(&self, number: usize, text: &[u8], out: &mut Vec<u8>) -> Usual<()>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::Kernel;

    #[derive(Debug)]
    pub(crate) struct Nothing;

    impl Given for Nothing {
        fn write(&self, _: usize, _: &[u8], _: &mut Vec<u8>) -> Usual<()> {
            Err(Unusual)
        }
    }

    #[test]
    fn copied_rows_are_read_up_to_the_first_that_is_unusual_or_torn() {
        let number = Part::Column {
            index: 0,
            reading: Reading::Kernel(Kernel::Integer),
            present: Vec::new(),
            null: None,
            unchanged: None,
        };
        let table = Table {
            format: Format::Json,
            key_format: Format::Json,
            columns: 1,
            key: None,
            row: vec![number],
            value: vec![
                Part::After(b"after ".to_vec(), Vec::new()),
                Part::Fact(crate::Fact::Operation, b" ".to_vec(), Vec::new()),
            ],
            key_columns: Vec::new(),
            tombstones: false,
            given: Arc::new(Nothing),
        };
        let facts = Facts {
            commit_us: 0,
            now_ns: 0,
            commit_lsn: 0,
            lsn: 0,
            xid: None,
            xmin: None,
            origin: None,
            operation: b'r',
            mark: "true",
        };
        let mut values = Vec::new();
        for (lines, bytes) in [(&b"1\n22\nx\n3\n"[..], 5), (b"4\n5", 2), (b"\\N\n", 0), (b"", 0)] {
            let gone = table.read(lines, &facts, |record| {
                values.push(record.value.expect("a row has one"))
            });
            assert_eq!(gone, bytes);
        }
        let expected: Vec<&[u8]> = vec![b"after 1 \"r\"", b"after 22 \"r\"", b"after 4 \"r\""];
        assert_eq!(values, expected);
    }
}
