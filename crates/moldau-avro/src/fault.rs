//! What was wrong with a value: one sentence, the path to it, and the byte at which it was seen.

use std::fmt;

/// The result of everything that can meet a bad value.
pub type Checked<T> = Result<T, Fault>;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// A field of a record, or an entry of a map.
    Named(String),
    /// An entry of an array.
    Index(usize),
}

/// A value that cannot be read or written. In a box, because it is rare and the way without it must be short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(Box<Facts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Facts {
    what: String,
    offset: Option<usize>,
    // From the inside to the outside, as it is found while returning.
    path: Vec<Segment>,
}

impl Fault {
    /// A value that cannot be written.
    #[cold]
    pub fn new(what: impl Into<String>) -> Fault {
        Fault(Box::new(Facts {
            what: what.into(),
            offset: None,
            path: Vec::new(),
        }))
    }

    /// Bytes that cannot be read, from `offset` on.
    #[cold]
    pub fn at(what: impl Into<String>, offset: usize) -> Fault {
        let mut fault = Fault::new(what);
        fault.0.offset = Some(offset);
        fault
    }

    /// The same fault, seen from the record, map or array around it.
    #[cold]
    #[must_use]
    pub fn inside(mut self, segment: Segment) -> Fault {
        self.0.path.push(segment);
        self
    }

    /// The same fault, with the byte at which it was seen if it does not know one.
    #[cold]
    #[must_use]
    pub fn near(mut self, offset: usize) -> Fault {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// One sentence, without the place.
    #[must_use]
    pub fn what(&self) -> &str {
        &self.0.what
    }

    /// The byte at which it was seen, if it was read from bytes.
    #[must_use]
    pub fn offset(&self) -> Option<usize> {
        self.0.offset
    }

    /// The way to the value, as `items[3].price`; empty for the value itself.
    #[must_use]
    pub fn path(&self) -> String {
        let mut text = String::new();
        for segment in self.0.path.iter().rev() {
            match segment {
                Segment::Named(name) if text.is_empty() => text.push_str(name),
                Segment::Named(name) => {
                    text.push('.');
                    text.push_str(name);
                }
                Segment::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        text
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path();
        if !path.is_empty() {
            write!(out, "{path}: ")?;
        }
        out.write_str(&self.0.what)?;
        match self.0.offset {
            Some(offset) => write!(out, " (at byte {offset})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}
