//! The messages of `pgoutput`, protocol version 1, that a run goes through: begin, commit, and changes of rows.

use crate::row::{Bytes, Row, tuple};
use crate::{Unusual, Usual};

/// Microseconds between 1970 and 2000, the epoch of PostgreSQL.
const POSTGRES_EPOCH_US: i64 = 946_684_800_000_000;
/// In front of a message in `CopyData`: `w`, where it starts, the end of the WAL, a clock.
const HEADER_BYTES: usize = 25;

/// A message and where it stands in the WAL.
#[derive(Debug, PartialEq, Eq)]
pub struct Placed<'data> {
    /// Where it starts.
    pub lsn: i64,
    /// Its first byte.
    pub kind: u8,
    /// What follows.
    pub body: &'data [u8],
}

/// What stands behind the header of a piece of WAL.
pub fn placed(data: &[u8]) -> Usual<Placed<'_>> {
    let (header, payload) = data.split_at_checked(HEADER_BYTES).ok_or(Unusual)?;
    let (kind, body) = payload.split_first().ok_or(Unusual)?;
    let mut header = Bytes::new(header);
    if header.byte()? != b'w' {
        return Err(Unusual);
    }
    let lsn = header.i64()?;
    Ok(Placed { lsn, kind: *kind, body })
}

/// A transaction starts.
#[derive(Debug, PartialEq, Eq)]
pub struct Begin {
    /// Microseconds since 1970.
    pub commit_us: i64,
    /// Its number.
    pub xid: u32,
}

/// Reads a `B`.
pub fn begin(body: &[u8]) -> Usual<Begin> {
    let mut bytes = Bytes::new(body);
    bytes.i64()?;
    let commit_us = bytes.i64()?.checked_add(POSTGRES_EPOCH_US).ok_or(Unusual)?;
    let xid = bytes.u32()?;
    bytes.end()?;
    Ok(Begin { commit_us, xid })
}

/// Reads a `C`: where its transaction ends.
pub fn commit(body: &[u8]) -> Usual<i64> {
    let mut bytes = Bytes::new(body);
    bytes.byte()?;
    bytes.i64()?;
    let end = bytes.i64()?;
    bytes.i64()?;
    bytes.end()?;
    Ok(end)
}

/// The relation that a change of a row, or what follows its kind in general, names.
pub fn relation(body: &[u8]) -> Usual<u32> {
    Bytes::new(body).u32()
}

/// A change of a row.
#[derive(Debug, PartialEq, Eq)]
pub enum Change<'data> {
    /// A new row.
    Insert(Row<'data>),
    /// The row before, where the server sends it, and after.
    Update(Option<Row<'data>>, Row<'data>),
    /// The row, or its key with NULL elsewhere.
    Delete(Row<'data>),
}

/// Reads an `I`, `U` or `D` of a table with so many columns.
pub fn change(kind: u8, body: &[u8], columns: usize) -> Usual<Change<'_>> {
    let mut bytes = Bytes::new(body);
    bytes.u32()?;
    let mut part = bytes.byte()?;
    let mut old = None;
    if matches!(part, b'K' | b'O') && kind != b'I' {
        old = Some(tuple(&mut bytes, columns)?);
        if kind == b'U' {
            part = bytes.byte()?;
        }
    }
    let change = match (kind, old) {
        (b'D', Some(old)) => Change::Delete(old),
        (b'I', None) if part == b'N' => Change::Insert(tuple(&mut bytes, columns)?),
        (b'U', old) if part == b'N' => Change::Update(old, tuple(&mut bytes, columns)?),
        _ => return Err(Unusual),
    };
    bytes.end()?;
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Column;

    #[test]
    fn changes_are_read_with_what_was_before() {
        let insert = b"\0\0\0\x07N\0\x01t\0\0\0\x011";
        assert_eq!(change(b'I', insert, 1), Ok(Change::Insert(vec![Column::Text(b"1")])));
        let update = b"\0\0\0\x07O\0\x01nN\0\x01t\0\0\0\x011";
        let expected = Change::Update(Some(vec![Column::Null]), vec![Column::Text(b"1")]);
        assert_eq!(change(b'U', update, 1), Ok(expected));
        let delete = b"\0\0\0\x07K\0\x01t\0\0\0\x011";
        assert_eq!(change(b'D', delete, 1), Ok(Change::Delete(vec![Column::Text(b"1")])));
    }

    #[test]
    fn every_cut_of_a_change_is_unusual() {
        let update = b"\0\0\0\x07O\0\x01nN\0\x01t\0\0\0\x011";
        for length in 0..update.len() {
            assert_eq!(change(b'U', &update[..length], 1), Err(Unusual), "{length} bytes");
        }
        let longer = [update.as_slice(), b"x"].concat();
        assert_eq!(change(b'U', &longer, 1), Err(Unusual));
    }

    #[test]
    fn a_new_row_is_no_old_one() {
        assert_eq!(change(b'D', b"\0\0\0\x07N\0\x01n", 1), Err(Unusual));
        assert_eq!(change(b'I', b"\0\0\0\x07O\0\x01nN\0\x01n", 1), Err(Unusual));
    }

    #[test]
    fn a_begin_counts_its_time_from_1970() {
        let body = [7i64.to_be_bytes().as_slice(), &0i64.to_be_bytes(), &42u32.to_be_bytes()].concat();
        let expected = Begin {
            commit_us: POSTGRES_EPOCH_US,
            xid: 42,
        };
        assert_eq!(begin(&body), Ok(expected));
        assert_eq!(begin(&body[1..]), Err(Unusual));
    }
}
