//! What a schema says, with every name resolved: nodes that refer to each other by number, so that recursion is a loop.

use serde_json::Value as Json;

/// The number of a node in its schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NodeId(pub u32);

/// A schema. Made by `parse`.
#[derive(Clone, Debug)]
pub struct Schema {
    pub(crate) nodes: Vec<Node>,
    pub(crate) root: NodeId,
}

impl Schema {
    /// The node of the whole value.
    #[must_use]
    pub fn root(&self) -> NodeId {
        self.root
    }

    /// A node by its number.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0 as usize]
    }

    /// Every node, at the place of its number.
    #[must_use]
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }
}

/// How an `int` is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntAs {
    /// As a number.
    Number,
    /// Days since 1970-01-01.
    Date,
    /// Milliseconds since midnight.
    TimeMillis,
}

/// How a `long` is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongAs {
    /// As a number.
    Number,
    /// Microseconds since midnight.
    TimeMicros,
    /// Milliseconds since 1970 in UTC.
    TimestampMillis,
    /// Microseconds since 1970 in UTC.
    TimestampMicros,
    /// Milliseconds since 1970 where the reader is.
    LocalTimestampMillis,
    /// Microseconds since 1970 where the reader is.
    LocalTimestampMicros,
}

/// How `bytes` or a `fixed` is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BytesAs {
    /// As they are.
    Bytes,
    /// A big-endian two's-complement number, with the point `scale` digits from the right.
    Decimal {
        /// Digits at most.
        precision: u32,
        /// Digits behind the point.
        scale: u32,
    },
    /// The sixteen bytes of a UUID.
    Uuid,
}

/// How a `string` is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringAs {
    /// As text.
    Text,
    /// A UUID in its usual spelling.
    Uuid,
}

/// One type of a schema.
#[derive(Clone, Debug)]
pub enum Node {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int(IntAs),
    /// `long`
    Long(LongAs),
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes(BytesAs),
    /// `string`
    String(StringAs),
    /// `fixed`
    Fixed(Fixed),
    /// `enum`
    Enum(Enum),
    /// `array`, with the node of its items
    Array(NodeId),
    /// `map`, with the node of its values
    Map(NodeId),
    /// A union, with the nodes of its branches
    Union(Vec<NodeId>),
    /// `record` or `error`
    Record(Record),
}

impl Node {
    /// What the specification calls it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            Node::Null => "null",
            Node::Boolean => "boolean",
            Node::Int(_) => "int",
            Node::Long(_) => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes(_) => "bytes",
            Node::String(_) => "string",
            Node::Fixed(_) => "fixed",
            Node::Enum(_) => "enum",
            Node::Array(_) => "array",
            Node::Map(_) => "map",
            Node::Union(_) => "union",
            Node::Record(_) => "record",
        }
    }

    /// The name and aliases of a record, an enum or a fixed.
    #[must_use]
    pub fn name(&self) -> Option<&Name> {
        match self {
            Node::Fixed(one) => Some(&one.name),
            Node::Enum(one) => Some(&one.name),
            Node::Record(one) => Some(&one.name),
            _ => None,
        }
    }

    /// The name by which a union's branch is asked for: the full name, or the type for what has none.
    #[must_use]
    pub fn branch_name(&self) -> &str {
        self.name().map_or(self.type_name(), |name| &name.full)
    }
}

/// A name with its namespace, and the other names that a reader's type answers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// With the namespace in front.
    pub full: String,
    /// Full names too.
    pub aliases: Vec<String>,
}

impl Name {
    /// What stands behind the last dot.
    #[must_use]
    pub fn simple(&self) -> &str {
        simple(&self.full)
    }
}

/// What stands behind the last dot of a name.
#[must_use]
pub fn simple(full: &str) -> &str {
    full.rsplit_once('.').map_or(full, |(_, last)| last)
}

/// A number of bytes that is always the same.
#[derive(Clone, Debug)]
pub struct Fixed {
    /// Its name.
    pub name: Name,
    /// Its size in bytes.
    pub size: usize,
    /// How it is to be understood.
    pub as_: BytesAs,
}

/// One of several symbols.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Its name.
    pub name: Name,
    /// In the order of their numbers.
    pub symbols: Vec<String>,
    /// What a reader takes a symbol for that it does not know.
    pub default: Option<String>,
}

/// Fields, one behind the other.
#[derive(Clone, Debug)]
pub struct Record {
    /// Its name.
    pub name: Name,
    /// In the order in which they are written.
    pub fields: Vec<Field>,
}

/// One field of a record.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The other names under which a writer may know it.
    pub aliases: Vec<String>,
    /// Its type.
    pub node: NodeId,
    /// What it is where a writer has none, as JSON.
    pub default: Option<Json>,
}
