//! A topology of expressions, from the bytes of fetched records to the bytes of those that go out.
//!
//! A record goes through the nodes as it does in Python: depth first, children in their order. What it needs of the
//! value is read into registers once, before. A record that turns out to be unusual leaves nothing behind.

use crate::aggregate::{Aggregate, NotNull};
use crate::block::{Block, Row};
use crate::expression::{Expression, Registers};
use crate::json;
use crate::lookup::{LookUp, Lookup};
use crate::source::{Absent, Field, Source};
use crate::table::{Clock, Held, Load, Table, Tables, Undo};
use crate::value::Value;
use crate::write::{self, Kind};
use crate::{Unusual, Usual};

/// Which bytes a key may be, for all that is done with it is to hand it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// UTF-8.
    Text,
    /// Any.
    Bytes,
    /// Eight bytes.
    Long,
}

/// A step of a topology, with the nodes behind it by number.
#[derive(Debug)]
pub enum Node {
    /// Hands records on for which an expression is true, or false.
    Filter {
        /// What it asks.
        predicate: Expression,
        /// Which answer it wants.
        wanted: bool,
        /// Who is next.
        then: Vec<usize>,
    },
    /// Computes registers, in their order.
    Keep {
        /// Which, and of what.
        parts: Vec<(usize, Expression)>,
        /// Who is next.
        then: Vec<usize>,
    },
    /// Hands each record to the first for which its expression is true, else to the default.
    Branch {
        /// The expressions, and who is next.
        branches: Vec<(Expression, usize)>,
        /// Who gets the others.
        default: Option<usize>,
    },
    /// Hands records on.
    Pass(Vec<usize>),
    /// Hands records on that have a key.
    Keyed {
        /// The register that it is in; without one it is the record's.
        register: Option<usize>,
        /// Who is next.
        then: Vec<usize>,
    },
    /// Adds records to their groups.
    Aggregate(Aggregate),
    /// Looks up the row of a record's key.
    Join(Join),
    /// Writes a record.
    Sink {
        /// To which output.
        output: usize,
        /// What its key is.
        key: KeyForm,
        /// What its value is.
        value: ValueForm,
    },
}

/// How a record meets the row that a table has of its key.
#[derive(Debug)]
pub struct Join {
    /// Which table.
    pub lookup: usize,
    /// Which value drops a record when it is null.
    pub not_null: NotNull,
    /// Whether records without a row go on, and those without a key.
    pub keeps_unmatched: bool,
    /// Where the first part of the row is put; the others are in the registers after it.
    pub first_register: usize,
    /// How many parts of it there are.
    pub parts: usize,
    /// Who is next.
    pub then: Vec<usize>,
}

/// What a key that goes out is made of.
#[derive(Debug)]
pub enum KeyForm {
    /// It is the record's.
    Record,
    /// It is the record's, with the start of the window that was added to.
    Window,
    /// A register.
    Register(usize, Kind),
}

/// What a value that goes out is made of.
#[derive(Debug)]
pub enum ValueForm {
    /// It is the record's.
    Record,
    /// It is the record's, JSON, after it was read.
    Again,
    /// A register.
    Register(usize, Kind),
    /// An object of registers.
    Object {
        /// What stands before each value (`"name":`), and its register.
        parts: Vec<(Vec<u8>, usize)>,
        /// Whether it is the record's own value, which may be null.
        of_record: bool,
    },
}

/// A topology that is taken through records; for use by any thread.
#[derive(Debug)]
pub struct Program {
    /// What keys are.
    pub key: KeyKind,
    /// What values are.
    pub source: Source,
    /// How many registers there are, those of fields first.
    pub registers: usize,
    /// All steps; one hands on to steps behind it only.
    pub nodes: Vec<Node>,
    /// Who is behind the source.
    pub roots: Vec<usize>,
    /// How many outputs there are.
    pub outputs: usize,
    /// How many tables of groups there are.
    pub tables: usize,
    /// How many tables there are to be joined with.
    pub lookups: usize,
}

/// Records on their way to one output.
#[derive(Debug, Default)]
pub struct Output {
    /// In the order in which they came.
    pub records: Vec<OutRecord>,
    bytes: Vec<u8>,
}

/// One of them.
#[derive(Debug)]
pub struct OutRecord {
    /// Where in the block the record is that it was made of; headers are its own.
    pub row: usize,
    /// Its time.
    pub timestamp_ms: i64,
    key: Option<(usize, usize)>,
    value: Option<(usize, usize)>,
}

impl Output {
    /// A record's key.
    #[must_use]
    pub fn key(&self, record: &OutRecord) -> Option<&[u8]> {
        record.key.map(|(start, end)| &self.bytes[start..end])
    }

    /// A record's value.
    #[must_use]
    pub fn value(&self, record: &OutRecord) -> Option<&[u8]> {
        record.value.map(|(start, end)| &self.bytes[start..end])
    }

    /// What `write` appends; None if there is nothing to be written.
    fn append(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Usual<bool>) -> Usual<Option<(usize, usize)>> {
        let start = self.bytes.len();
        Ok(write(&mut self.bytes)?.then_some((start, self.bytes.len())))
    }
}

/// What became of a run of records.
#[derive(Debug)]
pub struct Run {
    /// The first record that was not taken.
    pub stop: usize,
    /// The greatest time of those that were, -1 of none.
    pub latest_ms: i64,
    /// Whether it stopped because the tables hold as much as they may.
    pub full: bool,
    /// What goes out.
    pub outputs: Vec<Output>,
}

impl Program {
    /// Takes the records from `start` on through the nodes, up to `stop` or the first unusual one.
    pub fn run<B: AsRef<[u8]>>(&self, block: &Block<B>, start: usize, stop: usize, tables: Tables<'_>) -> Run {
        let Tables {
            tables,
            load,
            room_bytes,
            lookups,
            look_up,
        } = tables;
        let mut state = State {
            program: self,
            block,
            registers: vec![None; self.registers],
            outputs: (0..self.outputs).map(|_| Output::default()).collect(),
            expected: 0,
            tables,
            load,
            lookups,
            look_up,
            undo: Vec::new(),
            place: Vec::new(),
            timestamp_ms: -1,
        };
        let mut marks = Marks::new(&state);
        let mut latest_ms = -1;
        let stop = stop.min(block.rows().len());
        for at in start..stop {
            let row = &block.rows()[at];
            marks.set(&mut state);
            if state.take(at, row).is_err() {
                marks.go_back(&mut state);
                return state.ended(at, latest_ms, false);
            }
            latest_ms = latest_ms.max(row.timestamp_ms);
            if state.changed_bytes() > room_bytes {
                return state.ended(at + 1, latest_ms, true);
            }
        }
        state.ended(stop.max(start), latest_ms, false)
    }
}

/// Where everything was before a record.
struct Marks {
    outputs: Vec<(usize, usize)>,
    clocks: Vec<Clock>,
    nulls: Vec<u64>,
}

impl Marks {
    fn new<B>(state: &State<'_, '_, B>) -> Marks {
        Marks {
            outputs: vec![(0, 0); state.outputs.len()],
            clocks: state.tables.iter().map(|table| table.clock).collect(),
            nulls: vec![0; state.lookups.len()],
        }
    }

    fn set<B>(&mut self, state: &mut State<'_, '_, B>) {
        state.undo.clear();
        for (mark, output) in self.outputs.iter_mut().zip(&state.outputs) {
            *mark = (output.records.len(), output.bytes.len());
        }
        for (mark, table) in self.clocks.iter_mut().zip(state.tables.iter()) {
            *mark = table.clock;
        }
        for (mark, lookup) in self.nulls.iter_mut().zip(state.lookups.iter()) {
            *mark = lookup.null;
        }
    }

    fn go_back<B>(&self, state: &mut State<'_, '_, B>) {
        for ((records, bytes), output) in self.outputs.iter().zip(&mut state.outputs) {
            output.records.truncate(*records);
            output.bytes.truncate(*bytes);
        }
        while let Some((table, undo)) = state.undo.pop() {
            state.tables[table].undo(undo);
        }
        for (mark, table) in self.clocks.iter().zip(state.tables.iter_mut()) {
            table.clock = *mark;
        }
        for (mark, lookup) in self.nulls.iter().zip(state.lookups.iter_mut()) {
            lookup.null = *mark;
        }
    }
}

struct State<'a, 't, B> {
    program: &'a Program,
    block: &'a Block<B>,
    registers: Registers<'a>,
    outputs: Vec<Output>,
    /// The field that comes next, if values have their fields in the order in which the program names them.
    expected: usize,
    tables: &'t mut [Table],
    load: &'t mut Load<'t>,
    lookups: &'t mut [Lookup],
    look_up: &'t mut LookUp<'t>,
    /// The changes of groups by this record.
    undo: Vec<(usize, Undo)>,
    /// The group that was added to last.
    place: Vec<u8>,
    /// The time of what goes out.
    timestamp_ms: i64,
}

impl<'a, B: AsRef<[u8]>> State<'a, '_, B> {
    fn ended(self, stop: usize, latest_ms: i64, full: bool) -> Run {
        Run {
            stop,
            latest_ms,
            full,
            outputs: self.outputs,
        }
    }

    fn changed_bytes(&self) -> usize {
        self.tables.iter().map(|table| table.clock.changed_bytes).sum()
    }

    fn take(&mut self, at: usize, row: &'a Row) -> Usual<()> {
        if row.timestamp_ms < 0 {
            return Err(Unusual);
        }
        self.timestamp_ms = row.timestamp_ms;
        if let Some(key) = self.block.key(row) {
            self.check_key(key)?;
        }
        self.registers.fill(None);
        if let Some(value) = self.block.value(row) {
            self.read(value)?;
        }
        let program = self.program;
        self.all(&program.roots, at, row)
    }

    fn check_key(&self, key: &[u8]) -> Usual<()> {
        let fits = match self.program.key {
            KeyKind::Text => std::str::from_utf8(key).is_ok(),
            KeyKind::Bytes => true,
            KeyKind::Long => key.len() == 8,
        };
        if fits { Ok(()) } else { Err(Unusual) }
    }

    fn read(&mut self, value: &'a [u8]) -> Usual<()> {
        let fields = match &self.program.source {
            Source::Bytes => return Ok(()),
            Source::Text => return std::str::from_utf8(value).map(|_| ()).map_err(|_| Unusual),
            Source::Object(fields) => fields,
        };
        self.expected = 0;
        json::object(value, |name, token| {
            if let Some(number) = self.field(fields, name) {
                let register = &mut self.registers[number];
                if register.is_some() {
                    // Of two fields of one name the last would count, unless the first cannot be read.
                    return Err(Unusual);
                }
                *register = Some(fields[number].read(token)?);
            }
            Ok(())
        })?;
        for (field, register) in fields.iter().zip(&mut self.registers) {
            if register.is_none() {
                match &field.absent {
                    Absent::Missing => {}
                    Absent::Default(value) => *register = Some(value.clone()),
                    Absent::Required => return Err(Unusual),
                }
            }
        }
        Ok(())
    }

    fn field(&mut self, fields: &[Field], name: &str) -> Option<usize> {
        if fields.get(self.expected).is_some_and(|field| field.name == name) {
            self.expected += 1;
            return Some(self.expected - 1);
        }
        let found = fields.iter().position(|field| field.name == name);
        if let Some(number) = found {
            self.expected = number + 1;
        }
        found
    }

    fn all(&mut self, nodes: &[usize], at: usize, row: &'a Row) -> Usual<()> {
        nodes.iter().try_for_each(|node| self.go(*node, at, row))
    }

    fn go(&mut self, node: usize, at: usize, row: &'a Row) -> Usual<()> {
        let program = self.program;
        match &program.nodes[node] {
            Node::Filter {
                predicate,
                wanted,
                then,
            } => {
                if predicate.truth(&self.registers)? == *wanted {
                    self.all(then, at, row)?;
                }
            }
            Node::Keep { parts, then } => {
                for (register, expression) in parts {
                    self.registers[*register] = Some(expression.kept(&self.registers)?);
                }
                self.all(then, at, row)?;
            }
            Node::Branch { branches, default } => {
                for (predicate, then) in branches {
                    if predicate.truth(&self.registers)? {
                        return self.go(*then, at, row);
                    }
                }
                if let Some(then) = default {
                    self.go(*then, at, row)?;
                }
            }
            Node::Pass(then) => self.all(then, at, row)?,
            Node::Keyed { register, then } => {
                let has_key = match register {
                    None => row.key.is_some(),
                    Some(number) => *self.registers[*number].as_ref().ok_or(Unusual)? != Value::Null,
                };
                if has_key {
                    self.all(then, at, row)?;
                }
            }
            Node::Aggregate(aggregate) => self.add(aggregate, at, row)?,
            Node::Join(join) => self.join(join, at, row)?,
            Node::Sink { output, key, value } => self.write(*output, key, value, at, row)?,
        }
        Ok(())
    }

    fn is_null(&self, not_null: NotNull, row: &Row) -> Usual<bool> {
        Ok(match not_null {
            NotNull::Key => false,
            NotNull::Value => row.value.is_none(),
            NotNull::Register(number) => *self.registers[number].as_ref().ok_or(Unusual)? == Value::Null,
        })
    }

    /// Puts the parts of the row that a table has of a record's key into their registers.
    fn join(&mut self, join: &'a Join, at: usize, row: &'a Row) -> Usual<()> {
        let key = self.block.key(row);
        let is_null = self.is_null(join.not_null, row)?;
        let (number, look_up) = (join.lookup, &mut self.look_up);
        let lookup = &mut self.lookups[number];
        if is_null || (key.is_none() && !join.keeps_unmatched) {
            lookup.null += 1;
            return Ok(());
        }
        let mut found = None;
        if let Some(key) = key {
            found = lookup.row(key, || look_up(number, Some(key)))?;
        }
        if found.is_none() && join.keeps_unmatched {
            found = lookup.nothing(|| look_up(number, None))?;
        }
        let Some(parts) = found else { return Ok(()) };
        let registers = self.registers.iter_mut().skip(join.first_register);
        for (register, part) in registers.zip(parts.iter().take(join.parts)) {
            register.clone_from(part);
        }
        self.all(&join.then, at, row)
    }

    /// Adds a record to its group, or to each of its windows that is open.
    fn add(&mut self, aggregate: &'a Aggregate, at: usize, row: &'a Row) -> Usual<()> {
        let is_null = self.is_null(aggregate.not_null, row)?;
        let clock = &mut self.tables[aggregate.table].clock;
        let Some(key) = self.block.key(row).filter(|_| !is_null) else {
            clock.null += 1;
            return Ok(());
        };
        let Some(windows) = aggregate.windows else {
            return self.add_to(aggregate, key, None, at, row);
        };
        let starts = windows.starts(row.timestamp_ms)?;
        clock.stream_time_ms = clock.stream_time_ms.max(row.timestamp_ms);
        let closed = clock.stream_time_ms - windows.grace_ms;
        for start in starts {
            if start + windows.size_ms <= closed {
                self.tables[aggregate.table].clock.late += 1;
            } else {
                self.add_to(aggregate, key, Some(start), at, row)?;
            }
        }
        Ok(())
    }

    fn add_to(
        &mut self,
        aggregate: &'a Aggregate,
        key: &[u8],
        start: Option<i64>,
        at: usize,
        row: &'a Row,
    ) -> Usual<()> {
        let table = &mut self.tables[aggregate.table];
        self.place.clear();
        self.place.extend_from_slice(key);
        if let Some(start) = start {
            table.takes(start)?;
            self.place.extend_from_slice(&start.to_be_bytes());
        }
        let group = match table.find(&self.place) {
            Some(group) => group,
            None => {
                let held = (self.load)(aggregate.table, key, start.unwrap_or(0))?;
                table.keep(&self.place, held)
            }
        };
        let (held, mut timestamp_ms) = (table.held(group), row.timestamp_ms);
        let mut values = Vec::with_capacity(aggregate.parts.len());
        match held {
            None => {
                for part in &aggregate.parts {
                    values.push(part.step(&part.first(), &self.registers)?);
                }
            }
            Some(held) => {
                timestamp_ms = timestamp_ms.max(held.timestamp_ms);
                for (part, value) in aggregate.parts.iter().zip(&held.values) {
                    values.push(part.step(value, &self.registers)?);
                }
            }
        }
        if aggregate.emits {
            for (number, value) in values.iter().enumerate() {
                self.registers[aggregate.first_register + number] = Some(value.clone());
            }
        }
        let undo = table.change(group, Held { values, timestamp_ms }, self.block, row);
        self.undo.push((aggregate.table, undo));
        if aggregate.emits {
            self.timestamp_ms = timestamp_ms;
            self.all(&aggregate.then, at, row)?;
            self.timestamp_ms = row.timestamp_ms;
        }
        Ok(())
    }

    fn write(&mut self, output: usize, key: &KeyForm, value: &ValueForm, at: usize, row: &'a Row) -> Usual<()> {
        let (block, registers, place) = (self.block, &self.registers, &self.place);
        let output = &mut self.outputs[output];
        let key = output.append(|out| match key {
            KeyForm::Record => Ok(copied(block.key(row), out)),
            KeyForm::Window => Ok(copied(Some(place), out)),
            KeyForm::Register(number, kind) => register(registers, *number, *kind, out),
        })?;
        let value = output.append(|out| match value {
            ValueForm::Record => Ok(copied(block.value(row), out)),
            ValueForm::Again => match block.value(row) {
                Some(value) => write::object(value, out).map(|()| true),
                None => Ok(false),
            },
            ValueForm::Register(number, kind) => register(registers, *number, *kind, out),
            ValueForm::Object { of_record: true, .. } if row.value.is_none() => Ok(false),
            ValueForm::Object { parts, .. } => object(registers, parts, out),
        })?;
        output.records.push(OutRecord {
            row: at,
            timestamp_ms: self.timestamp_ms,
            key,
            value,
        });
        Ok(())
    }
}

fn copied(bytes: Option<&[u8]>, out: &mut Vec<u8>) -> bool {
    if let Some(bytes) = bytes {
        out.extend_from_slice(bytes);
    }
    bytes.is_some()
}

fn register(registers: &Registers<'_>, number: usize, kind: Kind, out: &mut Vec<u8>) -> Usual<bool> {
    match registers[number].as_ref().ok_or(Unusual)? {
        Value::Null => Ok(false),
        value => kind.write(value, out).map(|()| true),
    }
}

fn object(registers: &Registers<'_>, parts: &[(Vec<u8>, usize)], out: &mut Vec<u8>) -> Usual<bool> {
    let parts = parts.iter().map(|(name, number)| {
        let value = registers[*number].as_ref().ok_or(Unusual)?;
        Ok((&name[..], value))
    });
    write::fields(parts, out).map(|()| true)
}
