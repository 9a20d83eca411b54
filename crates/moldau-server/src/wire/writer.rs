//! Writes Kafka's primitive types to the end of a connection's output.

use bytes::{BufMut, BytesMut};
use uuid::Uuid;

/// Appends to `bytes`; `flexible` chooses compact lengths and tagged fields.
#[derive(Debug)]
pub struct Writer<'a> {
    bytes: &'a mut BytesMut,
    flexible: bool,
    throttle_at: Option<usize>,
}

impl<'a> Writer<'a> {
    /// Write after what is already in `bytes`.
    pub fn new(bytes: &'a mut BytesMut, flexible: bool) -> Self {
        Writer {
            bytes,
            flexible,
            throttle_at: None,
        }
    }

    /// BOOLEAN.
    pub fn bool(&mut self, value: bool) {
        self.bytes.put_u8(u8::from(value));
    }

    /// INT8.
    pub fn i8(&mut self, value: i8) {
        self.bytes.put_i8(value);
    }

    /// INT16.
    pub fn i16(&mut self, value: i16) {
        self.bytes.put_i16(value);
    }

    /// INT32.
    pub fn i32(&mut self, value: i32) {
        self.bytes.put_i32(value);
    }

    /// INT32 `throttle_time_ms`: 0, unless the place is filled in when the answer is whole and its cost is known.
    pub fn throttle_time(&mut self) {
        self.throttle_at = Some(self.bytes.len());
        self.bytes.put_i32(0);
    }

    /// Where that place is among all bytes.
    pub(crate) fn throttle_at(&self) -> Option<usize> {
        self.throttle_at
    }

    /// INT64.
    pub fn i64(&mut self, value: i64) {
        self.bytes.put_i64(value);
    }

    /// UUID.
    pub fn uuid(&mut self, value: Uuid) {
        self.bytes.put_slice(value.as_bytes());
    }

    /// UNSIGNED_VARINT.
    pub fn unsigned_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.bytes.put_u8(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.put_u8(value as u8);
    }

    /// STRING or COMPACT_STRING. Callers pass names that came over the wire or from the configuration, both shorter
    /// than 32,768 bytes; anything longer (a message of ours) is cut.
    pub fn string(&mut self, value: &str) {
        let mut end = value.len().min(i16::MAX as usize);
        while !value.is_char_boundary(end) {
            end -= 1;
        }
        if self.flexible {
            self.unsigned_varint(end as u32 + 1);
        } else {
            self.bytes.put_i16(end as i16);
        }
        self.bytes.put_slice(&value.as_bytes()[..end]);
    }

    /// NULLABLE_STRING or COMPACT_NULLABLE_STRING.
    pub fn nullable_string(&mut self, value: Option<&str>) {
        match value {
            Some(value) => self.string(value),
            None if self.flexible => self.unsigned_varint(0),
            None => self.bytes.put_i16(-1),
        }
    }

    /// The length before an array or a byte field.
    pub fn array_length(&mut self, length: usize) {
        if self.flexible {
            self.unsigned_varint(length as u32 + 1);
        } else {
            self.bytes.put_i32(length as i32);
        }
    }

    /// A null array.
    pub fn null_array(&mut self) {
        if self.flexible {
            self.unsigned_varint(0);
        } else {
            self.bytes.put_i32(-1);
        }
    }

    /// An array of INT32.
    pub fn i32_array(&mut self, values: &[i32]) {
        self.array_length(values.len());
        for value in values {
            self.i32(*value);
        }
    }

    /// The end of a structure without tagged fields; nothing in a version that is not flexible.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.bytes.put_u8(0);
        }
    }

    /// How many tagged fields follow.
    pub fn tag_count(&mut self, count: u32) {
        debug_assert!(self.flexible, "tagged fields exist in flexible versions alone");
        self.unsigned_varint(count);
    }

    /// One tagged field whose content `write` appends.
    pub fn tag(&mut self, tag: u32, write: impl FnOnce(&mut Writer<'_>)) {
        let mut content = BytesMut::new();
        write(&mut Writer::new(&mut content, true));
        self.unsigned_varint(tag);
        self.unsigned_varint(content.len() as u32);
        self.bytes.put_slice(&content);
    }
}
