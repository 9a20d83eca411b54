//! Running a program: bytes go in, and a `Builder` is told what there is.
//!
//! Lengths are checked where they are read (`wire`). What is left for a hostile value is to be deep, which
//! `DEPTH_MAX` ends, and to consist of values without bytes (nulls by the million), which a budget ends.

use crate::fault::{Checked, Fault, Segment};
use crate::program::{Op, OpId, Program, RecordOp, Step};
use crate::schema::{BytesAs, IntAs, LongAs, StringAs};
use crate::wire::Cursor;

/// Records, arrays and maps inside of one another.
pub const DEPTH_MAX: u32 = 512;
/// Values without bytes, beside one for each byte that there is.
const EMPTY_VALUES_MAX: usize = 1 << 20;

/// Makes values of what is read. What it refuses becomes a fault with the place.
#[allow(missing_docs, reason = "each is told about the type that it is named after")]
pub trait Builder {
    type Value;
    type Record;
    type Array;
    type Map;

    fn null(&mut self) -> Self::Value;
    fn boolean(&mut self, value: bool) -> Self::Value;
    fn int(&mut self, value: i32, as_: IntAs) -> Checked<Self::Value>;
    fn long(&mut self, value: i64, as_: LongAs) -> Checked<Self::Value>;
    fn double(&mut self, value: f64) -> Checked<Self::Value>;
    fn bytes(&mut self, value: &[u8], as_: BytesAs) -> Checked<Self::Value>;
    /// Not yet known to be UTF-8.
    fn string(&mut self, value: &[u8], as_: StringAs) -> Checked<Self::Value>;
    fn symbol(&mut self, shape: u32, index: u32) -> Checked<Self::Value>;

    fn record(&mut self, shape: u32) -> Checked<Self::Record>;
    fn set(&mut self, record: &mut Self::Record, shape: u32, slot: u32, value: Self::Value) -> Checked<()>;
    fn finish_record(&mut self, record: Self::Record, shape: u32) -> Checked<Self::Value>;

    fn array(&mut self) -> Checked<Self::Array>;
    fn push(&mut self, array: &mut Self::Array, value: Self::Value) -> Checked<()>;
    fn finish_array(&mut self, array: Self::Array) -> Self::Value;

    fn map(&mut self) -> Checked<Self::Map>;
    fn insert(&mut self, map: &mut Self::Map, key: &[u8], value: Self::Value) -> Checked<()>;
    fn finish_map(&mut self, map: Self::Map) -> Self::Value;

    /// A record that was a union's branch.
    fn branch(&mut self, _shape: u32, value: Self::Value) -> Checked<Self::Value> {
        Ok(value)
    }
}

/// The value at `start` of `data`. What stands behind it is not looked at.
///
/// # Errors
/// The bytes are no value of the writer's schema, the reader cannot read it, or `builder` refuses it.
pub fn decode<B: Builder>(program: &Program, data: &[u8], start: usize, builder: &mut B) -> Checked<B::Value> {
    let mut run = Run {
        program,
        cursor: Cursor::new(data, start),
        depth: 0,
        empty_values_left: EMPTY_VALUES_MAX + data.len(),
    };
    run.read(program.root, builder)
}

struct Run<'run> {
    program: &'run Program,
    cursor: Cursor<'run>,
    depth: u32,
    empty_values_left: usize,
}

impl Run<'_> {
    fn read<B: Builder>(&mut self, id: OpId, builder: &mut B) -> Checked<B::Value> {
        let start = self.cursor.position();
        let program = self.program;
        let made = match program.op(id) {
            Op::Null => {
                self.empty_value()?;
                Ok(builder.null())
            }
            Op::Boolean => self.boolean().map(|value| builder.boolean(value)),
            Op::Int(as_) => builder.int(self.cursor.int()?, *as_),
            Op::Long(as_) => builder.long(self.cursor.long()?, *as_),
            Op::Float => builder.double(f64::from(f32::from_le_bytes(self.cursor.array()?))),
            Op::Double => builder.double(f64::from_le_bytes(self.cursor.array()?)),
            Op::IntAsFloat => builder.double(f64::from(self.cursor.int()?)),
            Op::LongAsFloat => builder.double(self.cursor.long()? as f64),
            Op::Bytes(as_) => builder.bytes(self.cursor.sized()?, *as_),
            Op::String(as_) => builder.string(self.cursor.sized()?, *as_),
            Op::Fixed { size, as_ } => {
                self.empty_value()?;
                builder.bytes(self.cursor.take(*size)?, *as_)
            }
            Op::Enum { shape, symbols } => match &symbols[self.cursor.index(symbols.len(), "symbols")?] {
                Ok(index) => builder.symbol(*shape, *index),
                Err(what) => Err(Fault::new(what.as_str())),
            },
            Op::Union(branches) => {
                let branch = &branches[self.cursor.index(branches.len(), "branches of a union")?];
                let value = self.read(branch.op, builder)?;
                match branch.record {
                    Some(shape) => builder.branch(shape, value),
                    None => Ok(value),
                }
            }
            Op::Array(items) => self.deeper(|run| run.array(*items, builder)),
            Op::Map(values) => self.deeper(|run| run.map(*values, builder)),
            Op::Record(record) => self.deeper(|run| run.record(record, builder)),
            Op::Never(what) => Err(Fault::new(what.as_str())),
        };
        made.map_err(|fault| fault.near(start))
    }

    fn boolean(&mut self) -> Checked<bool> {
        let start = self.cursor.position();
        match self.cursor.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Fault::at(format!("{other} is no boolean"), start)),
        }
    }

    #[inline]
    fn empty_value(&mut self) -> Checked<()> {
        match self.empty_values_left.checked_sub(1) {
            Some(left) => {
                self.empty_values_left = left;
                Ok(())
            }
            None => Err(Fault::at(
                format!("more than {EMPTY_VALUES_MAX} values without bytes"),
                self.cursor.position(),
            )),
        }
    }

    #[inline]
    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Checked<T>) -> Checked<T> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::at(
                format!("values are nested deeper than {DEPTH_MAX}"),
                self.cursor.position(),
            ));
        }
        self.depth += 1;
        let made = read(self);
        self.depth -= 1;
        made
    }

    fn record<B: Builder>(&mut self, plan: &RecordOp, builder: &mut B) -> Checked<B::Value> {
        if plan.steps.is_empty() {
            self.empty_value()?;
        }
        let shape = plan.shape;
        let named = |slot: u32| Segment::Named(self.program.records[shape as usize].fields[slot as usize].clone());
        let mut record = builder.record(shape)?;
        for step in &plan.steps {
            match step {
                Step::Read { slot, op } => {
                    let read = self.read(*op, builder);
                    read.and_then(|value| builder.set(&mut record, shape, *slot, value))
                        .map_err(|fault| fault.inside(named(*slot)))?;
                }
                Step::Skip(op) => self.skip(*op)?,
            }
        }
        for default in &plan.defaults {
            let mut run = Run {
                program: self.program,
                cursor: Cursor::new(&default.bytes, 0),
                depth: self.depth,
                empty_values_left: self.empty_values_left,
            };
            let read = run.read(default.op, builder);
            read.and_then(|value| builder.set(&mut record, shape, default.slot, value))
                .map_err(|fault| fault.inside(named(default.slot)))?;
            self.empty_values_left = run.empty_values_left;
        }
        builder.finish_record(record, shape)
    }

    fn array<B: Builder>(&mut self, items: OpId, builder: &mut B) -> Checked<B::Value> {
        let mut array = builder.array()?;
        let mut index = 0;
        loop {
            let (count, _) = self.cursor.block()?;
            if count == 0 {
                return Ok(builder.finish_array(array));
            }
            for _ in 0..count {
                let read = self.read(items, builder);
                read.and_then(|value| builder.push(&mut array, value))
                    .map_err(|fault| fault.inside(Segment::Index(index)))?;
                index += 1;
            }
        }
    }

    fn map<B: Builder>(&mut self, values: OpId, builder: &mut B) -> Checked<B::Value> {
        let mut map = builder.map()?;
        loop {
            let (count, _) = self.cursor.block()?;
            if count == 0 {
                return Ok(builder.finish_map(map));
            }
            for _ in 0..count {
                let start = self.cursor.position();
                let key = self.cursor.sized()?;
                let read = self.read(values, builder);
                read.and_then(|value| builder.insert(&mut map, key, value).map_err(|fault| fault.near(start)))
                    .map_err(|fault| fault.inside(Segment::Named(String::from_utf8_lossy(key).into_owned())))?;
            }
        }
    }

    fn skip(&mut self, id: OpId) -> Checked<()> {
        let program = self.program;
        match program.op(id) {
            Op::Null => self.empty_value(),
            Op::Boolean => self.boolean().map(drop),
            Op::Int(_) | Op::IntAsFloat => self.cursor.int().map(drop),
            Op::Long(_) | Op::LongAsFloat => self.cursor.long().map(drop),
            Op::Float => self.cursor.take(4).map(drop),
            Op::Double => self.cursor.take(8).map(drop),
            Op::Bytes(_) | Op::String(_) => self.cursor.sized().map(drop),
            Op::Fixed { size, .. } => {
                self.empty_value()?;
                self.cursor.take(*size).map(drop)
            }
            Op::Enum { symbols, .. } => self.cursor.index(symbols.len(), "symbols").map(drop),
            Op::Union(branches) => {
                let index = self.cursor.index(branches.len(), "branches of a union")?;
                self.skip(branches[index].op)
            }
            Op::Array(items) => self.deeper(|run| run.skip_blocks(*items, false)),
            Op::Map(values) => self.deeper(|run| run.skip_blocks(*values, true)),
            Op::Record(record) => self.deeper(|run| {
                if record.steps.is_empty() {
                    run.empty_value()?;
                }
                record.steps.iter().try_for_each(|step| match step {
                    Step::Read { op, .. } | Step::Skip(op) => run.skip(*op),
                })
            }),
            Op::Never(what) => Err(Fault::at(what.as_str(), self.cursor.position())),
        }
    }

    fn skip_blocks(&mut self, items: OpId, keyed: bool) -> Checked<()> {
        loop {
            let (count, size) = self.cursor.block()?;
            if count == 0 {
                return Ok(());
            }
            if let Some(size) = size {
                self.cursor.take(size)?;
                continue;
            }
            for _ in 0..count {
                if keyed {
                    self.cursor.sized()?;
                }
                self.skip(items)?;
            }
        }
    }
}
