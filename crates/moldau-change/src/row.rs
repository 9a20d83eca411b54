//! Rows as PostgreSQL sends them: tuples of the replication stream.
//!
//! Source: the manual's "Logical Replication Message Formats" (`TupleData`).

use crate::{Unusual, Usual};

/// A column as it arrives: its text, NULL, or a TOASTed value that was not sent because it has not changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Column<'data> {
    /// The text of a value.
    Text(&'data [u8]),
    /// NULL.
    Null,
    /// Not sent.
    Unchanged,
}

/// The columns of a row in the table's order.
pub type Row<'data> = Vec<Column<'data>>;

/// Bytes that are taken off the front.
pub struct Bytes<'data> {
    left: &'data [u8],
}

impl<'data> Bytes<'data> {
    /// All of `data`.
    #[must_use]
    pub fn new(data: &'data [u8]) -> Bytes<'data> {
        Bytes { left: data }
    }

    /// So many bytes.
    pub fn take(&mut self, size: usize) -> Usual<&'data [u8]> {
        let (taken, left) = self.left.split_at_checked(size).ok_or(Unusual)?;
        self.left = left;
        Ok(taken)
    }

    fn array<const SIZE: usize>(&mut self) -> Usual<[u8; SIZE]> {
        self.take(SIZE)?.try_into().map_err(|_| Unusual)
    }

    /// One byte.
    pub fn byte(&mut self) -> Usual<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// A 16-bit number.
    pub fn i16(&mut self) -> Usual<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    /// A 32-bit number.
    pub fn u32(&mut self) -> Usual<u32> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    /// A 64-bit number.
    pub fn i64(&mut self) -> Usual<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    /// Whether nothing is left; anything else is unusual.
    pub fn end(&self) -> Usual<()> {
        if self.left.is_empty() { Ok(()) } else { Err(Unusual) }
    }
}

/// A tuple of exactly `columns` columns.
pub fn tuple<'data>(data: &mut Bytes<'data>, columns: usize) -> Usual<Row<'data>> {
    if usize::try_from(data.i16()?) != Ok(columns) {
        return Err(Unusual);
    }
    let mut row = Vec::with_capacity(columns);
    for _ in 0..columns {
        row.push(match data.byte()? {
            b't' => {
                let length = usize::try_from(data.u32()?).map_err(|_| Unusual)?;
                Column::Text(data.take(length)?)
            }
            b'n' => Column::Null,
            b'u' => Column::Unchanged,
            _ => return Err(Unusual),
        });
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tuple_is_read_column_by_column() {
        let data = b"\0\x03t\0\0\0\x0242nu";
        let mut bytes = Bytes::new(data);
        let row = tuple(&mut bytes, 3);
        assert_eq!(row, Ok(vec![Column::Text(b"42"), Column::Null, Column::Unchanged]));
        assert_eq!(bytes.end(), Ok(()));
    }

    #[test]
    fn a_length_behind_the_end_is_unusual_and_allocates_nothing() {
        let data = b"\0\x01t\xff\xff\xff\xff42";
        assert_eq!(tuple(&mut Bytes::new(data), 1), Err(Unusual));
    }

    #[test]
    fn a_tuple_with_another_count_of_columns_is_unusual() {
        assert_eq!(tuple(&mut Bytes::new(b"\0\x02nn"), 3), Err(Unusual));
        assert_eq!(tuple(&mut Bytes::new(b"\xff\xffnn"), 2), Err(Unusual));
    }
}
