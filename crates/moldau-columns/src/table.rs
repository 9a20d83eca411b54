//! The groups of an aggregate that are in use, above a store of the engine that knows nothing of them.
//!
//! A group is read from the store once, changed here, and handed over when somebody else wants to look or to write: of
//! each group that changed what it holds, and the last update of it. Changes by a record that turns out to be unusual
//! are taken back.

use std::collections::HashMap;
use std::sync::Arc;

use crate::block::{self, Block};
use crate::lookup::{LookUp, Lookup};
use crate::value::Value;
use crate::write::{self, Kind};
use crate::{Unusual, Usual};

/// What a store holds for a group.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// A value for each part.
    pub values: Vec<Value<'static>>,
    /// The greatest time of the records that are in it.
    pub timestamp_ms: i64,
}

/// The last update of a group, as whoever works on behind it has to know it.
#[derive(Debug, Clone)]
pub struct Change {
    /// Later updates have greater numbers.
    pub number: u64,
    /// Where the record stands that made it.
    pub offset: i64,
    /// The time of that record.
    pub moment_ms: i64,
    /// Its headers.
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Change {
    fn by<B: AsRef<[u8]>>(number: u64, block: &Block<B>, row: &block::Row) -> Change {
        let headers = block.headers(row);
        Change {
            number,
            offset: row.offset,
            moment_ms: row.timestamp_ms,
            headers: headers
                .map(|(name, value)| (name.to_vec(), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// A group that is in use.
#[derive(Debug)]
struct Group {
    place: Arc<[u8]>,
    /// None if the store has nothing.
    held: Option<Held>,
    /// None if it is in the store as it is here.
    change: Option<Change>,
}

/// What goes back with a record that turns out to be unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The greatest time of the records that came to the aggregate.
    pub stream_time_ms: i64,
    /// The greatest start of a window that was put into the store.
    pub store_time_ms: i64,
    /// How many records were dropped because the key, or what has to be there, is null.
    pub null: u64,
    /// How many windows were closed to a record that was in them.
    pub late: u64,
    /// About how much memory the updates take that were not handed over.
    pub changed_bytes: usize,
}

/// One change of a group, to be undone.
#[derive(Debug)]
pub struct Undo {
    group: usize,
    held: Option<Held>,
    change: Option<Change>,
}

/// A group's change, handed over: its place, what it holds, and the last update.
pub type Changed = (Arc<[u8]>, Held, Change);

/// How what a group holds is written.
#[derive(Debug)]
pub enum Written {
    /// Its only part, in eight bytes.
    Long,
    /// An object of its parts, of which this stands before each (`"name":`).
    Object(Vec<Vec<u8>>),
}

impl Written {
    fn bytes(&self, values: &[Value<'static>]) -> Usual<Vec<u8>> {
        let mut out = Vec::new();
        match (self, values) {
            (Written::Long, [value]) => Kind::Long.write(value, &mut out)?,
            (Written::Long, _) => return Err(Unusual),
            (Written::Object(names), values) => {
                let parts = names.iter().zip(values).map(|(name, value)| Ok((&name[..], value)));
                write::fields(parts, &mut out)?;
            }
        }
        Ok(out)
    }
}

/// A group with what it holds as it is written.
pub type Row = (Changed, Vec<u8>);

/// The groups of one aggregate that are in use. A place is the key and, of a window, its start in eight bytes.
#[derive(Debug)]
pub struct Table {
    /// How long after the latest start the store keeps windows; None of a store without windows.
    retention_ms: Option<i64>,
    /// How many groups are kept when all were handed over.
    pub groups_max: usize,
    /// What an update takes beside the key, and beside it once more for a value that was there before.
    update_bytes: usize,
    value_bytes: usize,
    places: HashMap<Arc<[u8]>, usize>,
    groups: Vec<Group>,
    /// Groups in the order of their first change since they were handed over.
    changed: Vec<usize>,
    changes: u64,
    /// Times and counts.
    pub clock: Clock,
}

impl Default for Table {
    fn default() -> Table {
        Table::new(None, 0, 0, 0)
    }
}

impl Table {
    /// An empty one, above a store that may have everything.
    #[must_use]
    pub fn new(retention_ms: Option<i64>, groups_max: usize, update_bytes: usize, value_bytes: usize) -> Table {
        Table {
            retention_ms,
            groups_max,
            update_bytes,
            value_bytes,
            places: HashMap::new(),
            groups: Vec::new(),
            changed: Vec::new(),
            changes: 0,
            clock: Clock {
                stream_time_ms: -1,
                store_time_ms: -1,
                null: 0,
                late: 0,
                changed_bytes: 0,
            },
        }
    }

    /// How many groups are in use.
    #[must_use]
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A group that is in use.
    #[must_use]
    pub fn find(&self, place: &[u8]) -> Option<usize> {
        self.places.get(place).copied()
    }

    /// Keeps what the store has of a group.
    pub fn keep(&mut self, place: &[u8], held: Option<Held>) -> usize {
        let (number, place) = (self.groups.len(), Arc::<[u8]>::from(place));
        self.places.insert(Arc::clone(&place), number);
        self.groups.push(Group {
            place,
            held,
            change: None,
        });
        number
    }

    /// What a group holds.
    #[must_use]
    pub fn held(&self, group: usize) -> Option<&Held> {
        self.groups[group].held.as_ref()
    }

    /// Notes that a window is put into the store.
    ///
    /// # Errors
    /// It is older than the store keeps windows: what becomes of it the store decides.
    pub fn takes(&mut self, start_ms: i64) -> Usual<()> {
        let retention_ms = self.retention_ms.unwrap_or(i64::MAX);
        if start_ms > self.clock.store_time_ms {
            self.clock.store_time_ms = start_ms;
        } else if start_ms <= self.clock.store_time_ms.saturating_sub(retention_ms) {
            return Err(Unusual);
        }
        Ok(())
    }

    /// Changes a group; with the answer the change can be taken back.
    pub fn change<B: AsRef<[u8]>>(&mut self, number: usize, held: Held, block: &Block<B>, row: &block::Row) -> Undo {
        self.changes += 1;
        let change = Change::by(self.changes, block, row);
        let group = &mut self.groups[number];
        let undo = Undo {
            group: number,
            held: group.held.replace(held),
            change: group.change.replace(change),
        };
        if undo.change.is_none() {
            self.changed.push(number);
            let values = 1 + usize::from(undo.held.is_some());
            self.clock.changed_bytes += self.update_bytes + group.place.len() + values * self.value_bytes;
        }
        undo
    }

    /// Takes the latest change back. Counts and times are the caller's to restore.
    pub fn undo(&mut self, undo: Undo) {
        if undo.change.is_none() {
            self.changed.pop();
        }
        let group = &mut self.groups[undo.group];
        group.held = undo.held;
        group.change = undo.change;
    }

    /// Hands over what changed since the last time, in the order of the first changes.
    pub fn hand_over(&mut self) -> Vec<Changed> {
        self.clock.changed_bytes = 0;
        let mut changed = Vec::with_capacity(self.changed.len());
        for number in self.changed.drain(..) {
            let group = &mut self.groups[number];
            if let (Some(held), Some(change)) = (&group.held, group.change.take()) {
                changed.push((Arc::clone(&group.place), held.clone(), change));
            }
        }
        self.bound();
        changed
    }

    /// Hands over what changed since the last time as it is written, in the same order; nothing is, if one of them has
    /// to be written by somebody else.
    ///
    /// # Errors
    /// It has.
    pub fn write_rows(&mut self, written: &Written) -> Usual<Vec<Row>> {
        let bytes = self.changed.iter().map(|number| match &self.groups[*number].held {
            Some(held) => written.bytes(&held.values),
            None => Err(Unusual),
        });
        let bytes = bytes.collect::<Usual<Vec<_>>>()?;
        Ok(self.hand_over().into_iter().zip(bytes).collect())
    }

    fn bound(&mut self) {
        if self.groups.len() > self.groups_max {
            self.places.clear();
            self.groups.clear();
        }
    }

    /// Forgets a group that somebody else may change; all changes were handed over before.
    pub fn forget(&mut self, place: &[u8]) {
        debug_assert!(self.changed.is_empty());
        self.places.remove(place);
    }
}

/// How a group comes from its store, by table, key and start of a window (0 without windows).
pub type Load<'l> = dyn FnMut(usize, &[u8], i64) -> Usual<Option<Held>> + 'l;

/// The tables of one task.
pub struct Tables<'t> {
    /// In the order of the program's numbers.
    pub tables: &'t mut [Table],
    /// For groups that are not in use yet.
    pub load: &'t mut Load<'t>,
    /// How much memory updates may take until they have to be handed over.
    pub room_bytes: usize,
    /// The tables that records are joined with, in the order of the program's numbers.
    pub lookups: &'t mut [Lookup],
    /// For rows that are not known yet.
    pub look_up: &'t mut LookUp<'t>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_that_the_store_keeps_no_more_is_not_for_columns() {
        let mut table = Table::new(Some(100), 10, 0, 0);
        assert_eq!((table.takes(200), table.takes(101)), (Ok(()), Ok(())));
        assert_eq!(table.takes(100), Err(Unusual));
    }

    #[test]
    fn rows_are_written_all_or_none() {
        let mut table = Table::new(None, 10, 0, 0);
        for (place, value) in [(b"a", Value::Int(1)), (b"b", Value::Text("x".into()))] {
            let held = Held {
                values: vec![value],
                timestamp_ms: 5,
            };
            let group = table.keep(place, Some(held));
            table.groups[group].change = Some(Change {
                number: 1,
                offset: 0,
                moment_ms: 0,
                headers: Vec::new(),
            });
            table.changed.push(group);
        }
        assert!(table.write_rows(&Written::Long).is_err());
        let object = Written::Object(vec![b"\"n\":".to_vec()]);
        let rows = table.write_rows(&object).unwrap();
        let ((place, held, _), bytes) = &rows[0];
        assert_eq!((&place[..], &bytes[..]), (&b"a"[..], &b"{\"n\":1}"[..]));
        assert_eq!((&held.values[..], held.timestamp_ms), (&[Value::Int(1)][..], 5));
        assert_eq!(rows[1].1, b"{\"n\":\"x\"}");
        assert!(table.write_rows(&object).unwrap().is_empty());
    }

    #[test]
    fn a_forgotten_group_is_asked_for_again_and_many_are_not_kept() {
        let mut table = Table::new(None, 2, 0, 0);
        table.keep(b"a", None);
        assert_eq!(table.find(b"a"), Some(0));
        table.forget(b"a");
        assert_eq!(table.find(b"a"), None);
        table.keep(b"b", None);
        table.keep(b"c", None);
        assert!(table.hand_over().is_empty());
        assert!(table.is_empty());
    }
}
