//! From schemas to a program: a schema alone, or what one schema wrote as another sees it ("Schema Resolution").
//!
//! What cannot be resolved is no error here: it becomes `Never`, an error for the values that meet it. A branch of a
//! union that nobody writes any more does no harm.

use std::collections::HashMap;

use crate::default::default_bytes;
use crate::program::{Branch, DefaultOp, EnumShape, Op, OpId, Program, RecordOp, RecordShape, Step};
use crate::schema::{BytesAs, Enum, Field, Name, Node, NodeId, Record, Schema};

/// Types inside of types, followed through their names.
const NESTING_MAX: u32 = 512;

impl Program {
    /// Reads what `schema` wrote.
    #[must_use]
    pub fn of(schema: &Schema) -> Program {
        let mut maker = Maker::new(schema, schema);
        let root = maker.same(Side::Reader, schema.root);
        maker.program(root)
    }

    /// Reads what `writer` wrote, as `reader` sees it.
    #[must_use]
    pub fn resolved(writer: &Schema, reader: &Schema) -> Program {
        let mut maker = Maker::new(writer, reader);
        let root = maker.pair(writer.root, reader.root);
        maker.program(root)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Side {
    Writer,
    Reader,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Known {
    Same(Side, NodeId),
    Pair(NodeId, NodeId),
}

struct Maker<'schemas> {
    writer: &'schemas Schema,
    reader: &'schemas Schema,
    ops: Vec<Op>,
    known: HashMap<Known, OpId>,
    records: Vec<RecordShape>,
    enums: Vec<EnumShape>,
    shapes: HashMap<(Side, NodeId), u32>,
    depth: u32,
}

impl<'schemas> Maker<'schemas> {
    fn new(writer: &'schemas Schema, reader: &'schemas Schema) -> Maker<'schemas> {
        Maker {
            writer,
            reader,
            ops: Vec::new(),
            known: HashMap::new(),
            records: Vec::new(),
            enums: Vec::new(),
            shapes: HashMap::new(),
            depth: 0,
        }
    }

    fn program(self, root: OpId) -> Program {
        Program {
            ops: self.ops,
            root,
            records: self.records,
            enums: self.enums,
        }
    }

    fn side(&self, side: Side) -> &'schemas Schema {
        match side {
            Side::Writer => self.writer,
            Side::Reader => self.reader,
        }
    }

    /// The operation behind `known`, made once: its number is given out before it is made, so that it may refer to itself.
    fn op(&mut self, known: Known, make: impl FnOnce(&mut Self) -> Op) -> OpId {
        if let Some(id) = self.known.get(&known) {
            return *id;
        }
        let id = OpId(u32::try_from(self.ops.len()).expect("types are counted in 32 bits"));
        self.ops.push(Op::Null);
        self.known.insert(known, id);
        self.depth += 1;
        let op = if self.depth > NESTING_MAX {
            Op::Never(format!("types are nested deeper than {NESTING_MAX}"))
        } else {
            make(self)
        };
        self.depth -= 1;
        self.ops[id.0 as usize] = op;
        id
    }

    fn record_shape(&mut self, side: Side, id: NodeId, record: &Record) -> u32 {
        *self.shapes.entry((side, id)).or_insert_with(|| {
            self.records.push(RecordShape {
                name: record.name.full.clone(),
                fields: record.fields.iter().map(|field| field.name.clone()).collect(),
            });
            self.records.len() as u32 - 1
        })
    }

    fn enum_shape(&mut self, side: Side, id: NodeId, one: &Enum) -> u32 {
        *self.shapes.entry((side, id)).or_insert_with(|| {
            self.enums.push(EnumShape {
                name: one.name.full.clone(),
                symbols: one.symbols.clone(),
            });
            self.enums.len() as u32 - 1
        })
    }

    /// One side's values as that side sees them: to build them, to skip them, to read a default.
    fn same(&mut self, side: Side, id: NodeId) -> OpId {
        self.op(Known::Same(side, id), |maker| {
            let schema = maker.side(side);
            match schema.node(id) {
                Node::Array(items) => Op::Array(maker.same(side, *items)),
                Node::Map(values) => Op::Map(maker.same(side, *values)),
                Node::Union(branches) => Op::Union(
                    branches
                        .iter()
                        .map(|branch| Branch {
                            op: maker.same(side, *branch),
                            record: maker.record_of(side, *branch),
                        })
                        .collect(),
                ),
                Node::Enum(one) => Op::Enum {
                    shape: maker.enum_shape(side, id, one),
                    symbols: (0..one.symbols.len() as u32).map(Ok).collect(),
                },
                Node::Record(record) => {
                    let shape = maker.record_shape(side, id, record);
                    let steps = (0..).zip(&record.fields).map(|(slot, field)| Step::Read {
                        slot,
                        op: maker.same(side, field.node),
                    });
                    Op::Record(Box::new(RecordOp {
                        shape,
                        steps: steps.collect(),
                        defaults: Vec::new(),
                    }))
                }
                plain => unchanged(plain),
            }
        })
    }

    fn record_of(&mut self, side: Side, id: NodeId) -> Option<u32> {
        match self.side(side).node(id) {
            Node::Record(record) => Some(self.record_shape(side, id, record)),
            _ => None,
        }
    }

    fn pair(&mut self, writer: NodeId, reader: NodeId) -> OpId {
        self.op(Known::Pair(writer, reader), |maker| maker.resolve(writer, reader))
    }

    fn resolve(&mut self, writer: NodeId, reader: NodeId) -> Op {
        let (written, read) = (self.writer.node(writer), self.reader.node(reader));
        match (written, read) {
            (Node::Union(branches), _) => Op::Union(branches.iter().map(|one| self.branch(*one, reader)).collect()),
            (_, Node::Union(_)) => match self.chosen(writer, reader) {
                Some(branch) => self.resolve(writer, branch),
                None => mismatch(written, read),
            },
            (Node::Array(written), Node::Array(read)) => Op::Array(self.pair(*written, *read)),
            (Node::Map(written), Node::Map(read)) => Op::Map(self.pair(*written, *read)),
            _ if fit(written, read).is_none() => mismatch(written, read),
            (Node::Enum(written), Node::Enum(read)) => self.symbols(written, reader, read),
            (Node::Record(written), Node::Record(record)) => self.record(written, reader, record),
            _ => promoted(written, read),
        }
    }

    fn branch(&mut self, writer: NodeId, reader: NodeId) -> Branch {
        let op = self.pair(writer, reader);
        let record = match self.chosen(writer, reader) {
            Some(chosen) => self.record_of(Side::Reader, chosen),
            None => None,
        };
        Branch { op, record }
    }

    /// The reader's type for a type of the writer: itself, or the best branch of a union.
    fn chosen(&self, writer: NodeId, reader: NodeId) -> Option<NodeId> {
        let written = self.writer.node(writer);
        let Node::Union(branches) = self.reader.node(reader) else {
            return fit(written, self.reader.node(reader)).map(|_| reader);
        };
        branches
            .iter()
            .filter_map(|branch| fit(written, self.reader.node(*branch)).map(|fit| (fit, *branch)))
            .min_by_key(|(fit, _)| *fit)
            .map(|(_, branch)| branch)
    }

    fn symbols(&mut self, written: &Enum, reader: NodeId, read: &Enum) -> Op {
        let number = |symbol: &String| read.symbols.iter().position(|other| other == symbol);
        let otherwise = read.default.as_ref().and_then(number);
        Op::Enum {
            symbols: written
                .symbols
                .iter()
                .map(|symbol| match number(symbol).or(otherwise) {
                    Some(index) => Ok(index as u32),
                    None => Err(format!(
                        "the symbol {symbol:?} is none of the reader's {}, which has no default",
                        read.name.full
                    )),
                })
                .collect(),
            shape: self.enum_shape(Side::Reader, reader, read),
        }
    }

    fn record(&mut self, written: &Record, reader: NodeId, read: &Record) -> Op {
        let shape = self.record_shape(Side::Reader, reader, read);
        let slots = slots(written, read);
        let steps = written.fields.iter().zip(&slots).map(|(field, slot)| match slot {
            Some(slot) => Step::Read {
                slot: *slot as u32,
                op: self.pair(field.node, read.fields[*slot].node),
            },
            None => Step::Skip(self.same(Side::Writer, field.node)),
        });
        let steps = steps.collect();
        let mut defaults = Vec::new();
        for (slot, field) in read.fields.iter().enumerate() {
            if slots.contains(&Some(slot)) {
                continue;
            }
            match default_bytes(self.reader, field) {
                Ok(Some(bytes)) => defaults.push(DefaultOp {
                    slot: slot as u32,
                    op: self.same(Side::Reader, field.node),
                    bytes,
                }),
                Ok(None) => return Op::Never(no_default(read, field)),
                Err(what) => return Op::Never(what),
            }
        }
        Op::Record(Box::new(RecordOp { shape, steps, defaults }))
    }
}

fn no_default(record: &Record, field: &Field) -> String {
    format!(
        "the writer has no field {:?}, and {} no default for it",
        field.name, record.name.full
    )
}

/// For each field of the writer the reader's: by its name, else by an alias that nothing else answers to.
fn slots(written: &Record, read: &Record) -> Vec<Option<usize>> {
    let mut slots: Vec<Option<usize>> = written
        .fields
        .iter()
        .map(|field| read.fields.iter().position(|other| other.name == field.name))
        .collect();
    for (slot, field) in read.fields.iter().enumerate() {
        if slots.contains(&Some(slot)) {
            continue;
        }
        let named = |other: &Field| field.aliases.contains(&other.name);
        if let Some(index) = written.fields.iter().position(named)
            && slots[index].is_none()
        {
            slots[index] = Some(slot);
        }
    }
    slots
}

/// How well a type of the writer fits one of the reader, the best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    Same,
    SimpleName,
    Alias,
    Promoted,
}

fn fit(written: &Node, read: &Node) -> Option<Fit> {
    match (written, read) {
        (Node::Fixed(one), Node::Fixed(other)) if one.size != other.size => None,
        (Node::Fixed(_), Node::Fixed(_)) | (Node::Enum(_), Node::Enum(_)) | (Node::Record(_), Node::Record(_)) => {
            name_fits(written.name()?, read.name()?)
        }
        // A union of the writer is looked at branch by branch, a union of the reader is chosen from.
        (Node::Union(_), _) | (_, Node::Union(_)) => Some(Fit::Same),
        _ if written.type_name() == read.type_name() => Some(Fit::Same),
        (Node::Int(_), Node::Long(_) | Node::Float | Node::Double)
        | (Node::Long(_), Node::Float | Node::Double)
        | (Node::Float, Node::Double)
        | (Node::String(_), Node::Bytes(_))
        | (Node::Bytes(_), Node::String(_)) => Some(Fit::Promoted),
        _ => None,
    }
}

fn name_fits(written: &Name, read: &Name) -> Option<Fit> {
    if written.full == read.full {
        Some(Fit::Same)
    } else if written.simple() == read.simple() {
        Some(Fit::SimpleName)
    } else if read.aliases.contains(&written.full) {
        Some(Fit::Alias)
    } else {
        None
    }
}

fn mismatch(written: &Node, read: &Node) -> Op {
    let said = |node: &Node| match node.name() {
        Some(name) => format!("{} {}", node.type_name(), name.full),
        None => node.type_name().to_owned(),
    };
    Op::Never(format!(
        "the writer's {} cannot be read as {}",
        said(written),
        said(read)
    ))
}

fn unchanged(node: &Node) -> Op {
    match node {
        Node::Null => Op::Null,
        Node::Boolean => Op::Boolean,
        Node::Int(as_) => Op::Int(*as_),
        Node::Long(as_) => Op::Long(*as_),
        Node::Float => Op::Float,
        Node::Double => Op::Double,
        Node::Bytes(as_) => Op::Bytes(*as_),
        Node::String(as_) => Op::String(*as_),
        Node::Fixed(fixed) => Op::Fixed {
            size: fixed.size,
            as_: fixed.as_,
        },
        other => unreachable!("{} is made of other types", other.type_name()),
    }
}

fn promoted(written: &Node, read: &Node) -> Op {
    match (written, read) {
        (Node::Int(_), Node::Float | Node::Double) => Op::IntAsFloat,
        (Node::Long(_), Node::Float | Node::Double) => Op::LongAsFloat,
        (Node::Float, Node::Double) => Op::Float,
        // The digits are the writer's, so the point is where the writer put it.
        (Node::Bytes(as_ @ BytesAs::Decimal { .. }), Node::Bytes(BytesAs::Decimal { .. })) => Op::Bytes(*as_),
        (Node::Fixed(fixed), Node::Fixed(other)) => Op::Fixed {
            size: fixed.size,
            as_: match (fixed.as_, other.as_) {
                (BytesAs::Decimal { .. }, BytesAs::Decimal { .. }) => fixed.as_,
                (_, theirs) => theirs,
            },
        },
        // An int is a short long, and a string is bytes with a promise: read as the reader's.
        (_, theirs) => unchanged(theirs),
    }
}
