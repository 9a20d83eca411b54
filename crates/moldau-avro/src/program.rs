//! The program that reads values: what `resolve` makes and `decode` runs.

use crate::schema::{BytesAs, IntAs, LongAs, StringAs};

/// The number of an operation in its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpId(pub u32);

/// Reads values of one schema, as another sees them.
#[derive(Debug)]
pub struct Program {
    pub(crate) ops: Vec<Op>,
    pub(crate) root: OpId,
    pub(crate) records: Vec<RecordShape>,
    pub(crate) enums: Vec<EnumShape>,
}

impl Program {
    /// The records that a builder is asked to build, by number.
    #[must_use]
    pub fn records(&self) -> &[RecordShape] {
        &self.records
    }

    /// The enums whose symbols a builder is asked for, by number.
    #[must_use]
    pub fn enums(&self) -> &[EnumShape] {
        &self.enums
    }

    pub(crate) fn op(&self, id: OpId) -> &Op {
        &self.ops[id.0 as usize]
    }
}

/// A record as the reader sees it.
#[derive(Debug)]
pub struct RecordShape {
    /// Its full name.
    pub name: String,
    /// The names of its fields, by slot.
    pub fields: Vec<String>,
}

/// An enum as the reader sees it.
#[derive(Debug)]
pub struct EnumShape {
    /// Its full name.
    pub name: String,
    /// By number.
    pub symbols: Vec<String>,
}

/// What to read, and what it becomes.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Null,
    Boolean,
    Int(IntAs),
    Long(LongAs),
    Float,
    Double,
    IntAsFloat,
    LongAsFloat,
    Bytes(BytesAs),
    String(StringAs),
    Fixed {
        size: usize,
        as_: BytesAs,
    },
    Enum {
        shape: u32,
        /// The reader's number for each of the writer's.
        symbols: Vec<Result<u32, String>>,
    },
    Array(OpId),
    Map(OpId),
    Union(Vec<Branch>),
    Record(Box<RecordOp>),
    /// The reader has no use for what the writer wrote.
    Never(String),
}

#[derive(Clone, Debug)]
pub(crate) struct Branch {
    pub op: OpId,
    /// The number of the record, to say which it was where a builder wants to know.
    pub record: Option<u32>,
}

#[derive(Clone, Debug)]
pub(crate) struct RecordOp {
    pub shape: u32,
    pub steps: Vec<Step>,
    pub defaults: Vec<DefaultOp>,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Read { slot: u32, op: OpId },
    Skip(OpId),
}

/// A field that the writer does not know: its default as bytes, read anew for every record, so that none is shared.
#[derive(Clone, Debug)]
pub(crate) struct DefaultOp {
    pub slot: u32,
    pub op: OpId,
    pub bytes: Vec<u8>,
}
