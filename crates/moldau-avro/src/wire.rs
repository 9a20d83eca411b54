//! Avro's numbers and lengths, off the front of bytes and onto the end of them.
//!
//! A length is checked against what is there before anything is made of it.

use crate::fault::{Checked, Fault};

/// Bytes, and how far they have been read.
pub struct Cursor<'data> {
    data: &'data [u8],
    position: usize,
}

impl<'data> Cursor<'data> {
    /// From the first of `data`.
    #[must_use]
    pub fn new(data: &'data [u8], position: usize) -> Cursor<'data> {
        Cursor {
            data,
            position: position.min(data.len()),
        }
    }

    /// The byte that is read next.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// How many bytes there still are.
    #[must_use]
    pub fn left(&self) -> usize {
        self.data.len() - self.position
    }

    #[cold]
    fn ended(&self) -> Fault {
        Fault::at("the bytes end inside of the value", self.data.len())
    }

    /// One byte.
    #[inline]
    pub fn byte(&mut self) -> Checked<u8> {
        match self.data.get(self.position) {
            Some(byte) => {
                self.position += 1;
                Ok(*byte)
            }
            None => Err(self.ended()),
        }
    }

    /// So many bytes.
    #[inline]
    pub fn take(&mut self, size: usize) -> Checked<&'data [u8]> {
        let taken = self.data[self.position..].get(..size).ok_or_else(|| self.ended())?;
        self.position += size;
        Ok(taken)
    }

    /// So many bytes, as an array.
    #[inline]
    pub fn array<const SIZE: usize>(&mut self) -> Checked<[u8; SIZE]> {
        let mut array = [0; SIZE];
        array.copy_from_slice(self.take(SIZE)?);
        Ok(array)
    }

    /// A zigzag number of up to 64 bits.
    #[inline]
    pub fn long(&mut self) -> Checked<i64> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(unzigzag(u64::from(first)));
        }
        self.longer(first)
    }

    fn longer(&mut self, first: u8) -> Checked<i64> {
        let start = self.position - 1;
        let mut value = u64::from(first & 0x7f);
        let mut shift = 7;
        loop {
            let byte = self.byte()?;
            // The tenth byte has room for one bit only.
            if shift == 63 && byte > 1 {
                return Err(Fault::at("a number has more than 64 bits", start));
            }
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(unzigzag(value));
            }
            shift += 7;
        }
    }

    /// A zigzag number of up to 32 bits.
    #[inline]
    pub fn int(&mut self) -> Checked<i32> {
        let start = self.position;
        let value = self.long()?;
        i32::try_from(value).map_err(|_| Fault::at(format!("{value} is no int: it has more than 32 bits"), start))
    }

    /// A length, and the bytes that it counts.
    #[inline]
    pub fn sized(&mut self) -> Checked<&'data [u8]> {
        let start = self.position;
        let size = self.long()?;
        match usize::try_from(size) {
            Ok(size) if size <= self.left() => self.take(size),
            _ => Err(Fault::at(
                format!("a length of {size} bytes, with {} left", self.left()),
                start,
            )),
        }
    }

    /// The number of a symbol or of a union's branch, of which there are `count`.
    #[inline]
    pub fn index(&mut self, count: usize, of: &str) -> Checked<usize> {
        let start = self.position;
        let index = self.long()?;
        match usize::try_from(index) {
            Ok(index) if index < count => Ok(index),
            _ => Err(Fault::at(format!("{index} is none of {count} {of}"), start)),
        }
    }

    /// How many items the next block of an array or a map has, and its bytes if it says so; 0 items is the end.
    #[inline]
    pub fn block(&mut self) -> Checked<(u64, Option<usize>)> {
        let start = self.position;
        let count = self.long()?;
        if count >= 0 {
            return Ok((count.unsigned_abs(), None));
        }
        let size = self.long()?;
        match usize::try_from(size) {
            Ok(size) if size <= self.left() => Ok((count.unsigned_abs(), Some(size))),
            _ => Err(Fault::at(
                format!("a block of {size} bytes, with {} left", self.left()),
                start,
            )),
        }
    }
}

#[inline]
fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

/// Appends a zigzag number.
#[inline]
pub fn put_long(out: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)).cast_unsigned();
    while rest >= 0x80 {
        out.push((rest as u8) | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// Appends a length and the bytes that it counts.
#[inline]
pub fn put_sized(out: &mut Vec<u8>, content: &[u8]) {
    put_long(out, content.len() as i64);
    out.extend_from_slice(content);
}

/// Appends a double.
#[inline]
pub fn put_double(out: &mut Vec<u8>, value: f64) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Appends a float.
///
/// # Errors
/// It is finite and no float is.
#[inline]
pub fn put_float(out: &mut Vec<u8>, value: f64) -> Checked<()> {
    let narrow = value as f32;
    if narrow.is_infinite() && value.is_finite() {
        return Err(Fault::new(format!("{value} is too large for a float")));
    }
    out.extend_from_slice(&narrow.to_le_bytes());
    Ok(())
}
