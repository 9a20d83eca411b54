//! The rows of a table that records are joined with, as far as they were looked up: above a store of the engine.
//!
//! A row is asked for once, and kept until somebody says that it may have changed, or until there are too many. It is
//! known by the parts of it that the join computes with.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Usual;
use crate::value::Value;

/// What a join computes with of a row; None for what is nothing usual.
pub type Parts = Arc<[Option<Value<'static>>]>;

/// How a row comes from its store, by table and key; without a key it is what stands for one that is not there.
pub type LookUp<'l> = dyn FnMut(usize, Option<&[u8]>) -> Usual<Option<Parts>> + 'l;

/// The rows of one table that are known; None for a key that is known not to be there.
#[derive(Debug, Default)]
pub struct Lookup {
    rows: HashMap<Box<[u8]>, Option<Parts>>,
    nothing: Option<Parts>,
    /// So many rows are kept.
    pub rows_max: usize,
    /// How many records were dropped because the key or the value is null.
    pub null: u64,
}

impl Lookup {
    /// An empty one.
    #[must_use]
    pub fn new(rows_max: usize) -> Lookup {
        Lookup {
            rows_max,
            ..Lookup::default()
        }
    }

    /// How many rows are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// A row, None if the table has none.
    ///
    /// # Errors
    /// As of `load`.
    pub fn row(&mut self, key: &[u8], load: impl FnOnce() -> Usual<Option<Parts>>) -> Usual<Option<Parts>> {
        if let Some(known) = self.rows.get(key) {
            return Ok(known.clone());
        }
        let found = load()?;
        if self.rows.len() >= self.rows_max {
            self.rows.clear();
        }
        self.rows.insert(key.into(), found.clone());
        Ok(found)
    }

    /// What stands for a row that is not there.
    ///
    /// # Errors
    /// As of `load`.
    pub fn nothing(&mut self, load: impl FnOnce() -> Usual<Option<Parts>>) -> Usual<Option<Parts>> {
        if self.nothing.is_none() {
            self.nothing = load()?;
        }
        Ok(self.nothing.clone())
    }

    /// A row may have changed.
    pub fn forget(&mut self, key: &[u8]) {
        self.rows.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Unusual;

    fn parts(number: i64) -> Usual<Option<Parts>> {
        Ok(Some(Arc::new([Some(Value::Int(number))])))
    }

    #[test]
    fn a_row_is_asked_for_once_until_it_may_have_changed() {
        let mut lookup = Lookup::new(2);
        assert_eq!(lookup.row(b"a", || parts(1)), parts(1));
        assert_eq!(lookup.row(b"a", || Err(Unusual)), parts(1));
        assert_eq!(lookup.row(b"b", || Ok(None)), Ok(None));
        assert_eq!(lookup.row(b"b", || Err(Unusual)), Ok(None));
        lookup.forget(b"b");
        assert_eq!(lookup.row(b"b", || parts(2)), parts(2));
        assert_eq!(lookup.row(b"c", || Err(Unusual)), Err(Unusual));
        assert_eq!(lookup.len(), 2);
        // There is no room for a third one but by itself.
        assert_eq!(lookup.row(b"c", || parts(3)), parts(3));
        assert_eq!(lookup.len(), 1);
        assert_eq!(lookup.nothing(|| parts(0)), parts(0));
        assert_eq!(lookup.nothing(|| Err(Unusual)), parts(0));
    }
}
