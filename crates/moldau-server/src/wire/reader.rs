//! Reads Kafka's primitive types from a slice, and refuses what is not there. Bytes after the last field are left
//! alone, as Kafka leaves them.

use std::ops::Range;

use uuid::Uuid;

/// A request that is not what its header says. The text is for one log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DecodeError(pub &'static str);

/// No request of a sane client has more topics, or more partitions of one topic. Decoded elements are larger than
/// their shortest encoding; without this a frame of the full size could ask for many times its size in memory.
const ELEMENTS_MAX: usize = 1_000_000;

/// A cursor over one frame.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    flexible: bool,
}

impl<'a> Reader<'a> {
    /// Start at the beginning of `bytes`; `flexible` chooses compact lengths and tagged fields.
    pub fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Reader {
            bytes,
            position: 0,
            flexible,
        }
    }

    /// How far the reader is.
    pub fn position(&self) -> usize {
        self.position
    }

    fn remaining(&self) -> usize {
        self.bytes.len() - self.position
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        if length > self.remaining() {
            return Err(DecodeError("a field reaches past the end of the request"));
        }
        let taken = &self.bytes[self.position..self.position + length];
        self.position += length;
        Ok(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut value = [0; N];
        value.copy_from_slice(self.take(N)?);
        Ok(value)
    }

    /// BOOLEAN: any byte but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    /// INT8.
    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.fixed()?))
    }

    /// INT16.
    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.fixed()?))
    }

    /// INT32.
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.fixed()?))
    }

    /// INT64.
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.fixed()?))
    }

    /// UUID.
    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid::from_bytes(self.fixed()?))
    }

    /// UNSIGNED_VARINT of at most 32 bits.
    pub fn unsigned_varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.fixed::<1>()?[0];
            if shift == 28 && byte > 0x0f {
                break;
            }
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError("a varint is longer than 32 bits"))
    }

    /// The length before a string, array or byte field; `None` for null. `narrow` is the 16-bit length of old strings.
    fn length(&mut self, narrow: bool) -> Result<Option<usize>, DecodeError> {
        let length = if self.flexible {
            i64::from(self.unsigned_varint()?) - 1
        } else if narrow {
            i64::from(self.i16()?)
        } else {
            i64::from(self.i32()?)
        };
        match length {
            -1 => Ok(None),
            0.. => Ok(Some(length as usize)),
            _ => Err(DecodeError("a length is negative")),
        }
    }

    fn text(&mut self, length: usize) -> Result<&'a str, DecodeError> {
        std::str::from_utf8(self.take(length)?).map_err(|_| DecodeError("a string is not UTF-8"))
    }

    /// STRING or COMPACT_STRING.
    pub fn string(&mut self) -> Result<&'a str, DecodeError> {
        self.nullable_string()?
            .ok_or(DecodeError("a string that must not be null is null"))
    }

    /// NULLABLE_STRING or COMPACT_NULLABLE_STRING.
    pub fn nullable_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.length(true)? {
            None => Ok(None),
            Some(length) if length > i16::MAX as usize => Err(DecodeError("a string is longer than 32767 bytes")),
            Some(length) => self.text(length).map(Some),
        }
    }

    /// NULLABLE_STRING with its old 16-bit length, whatever the version: `client_id` of a request header.
    pub fn header_string(&mut self) -> Result<Option<&'a str>, DecodeError> {
        match self.i16()? {
            -1 => Ok(None),
            length @ 0.. => self.text(length as usize).map(Some),
            _ => Err(DecodeError("a length is negative")),
        }
    }

    /// Records: where they are in the slice, `None` for null.
    pub fn nullable_bytes(&mut self) -> Result<Option<Range<usize>>, DecodeError> {
        let Some(length) = self.length(false)? else {
            return Ok(None);
        };
        let start = self.position;
        self.take(length)?;
        Ok(Some(start..self.position))
    }

    /// An array whose elements take at least `element_bytes` each; `None` for null. `read` is called per element.
    pub fn nullable_array<T>(
        &mut self,
        element_bytes: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<Vec<T>>, DecodeError> {
        let Some(count) = self.length(false)? else {
            return Ok(None);
        };
        if count > self.remaining() / element_bytes {
            return Err(DecodeError(
                "an array claims more elements than the request has bytes for",
            ));
        }
        if count > ELEMENTS_MAX {
            return Err(DecodeError("an array has more than a million elements"));
        }
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(read(self)?);
        }
        Ok(Some(elements))
    }

    /// An array that must not be null.
    pub fn array<T>(
        &mut self,
        element_bytes: usize,
        read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        self.nullable_array(element_bytes, read)?
            .ok_or(DecodeError("an array that must not be null is null"))
    }

    /// Tagged fields: `read` gets each tag with a reader over its bytes; tags it does not know it leaves alone. Nothing
    /// is read in a version that is not flexible.
    pub fn tags(
        &mut self,
        mut read: impl FnMut(u32, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let mut field = Reader::new(self.take(size)?, true);
            read(tag, &mut field)?;
        }
        Ok(())
    }

    /// Skip tagged fields that have no meaning for us.
    pub fn skip_tags(&mut self) -> Result<(), DecodeError> {
        self.tags(|_, _| Ok(()))
    }
}
