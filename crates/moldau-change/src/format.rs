//! Values as JSON (as msgspec writes it) and as Avro's binary encoding.

use std::io::Write;

use crate::{Unusual, Usual};

/// What the bytes of a record are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON without spaces; bytes are base64.
    Json,
    /// Avro 1.12, "Binary Encoding".
    Avro,
}

impl Format {
    /// A number of up to 64 bits.
    pub fn integer(self, number: i64, out: &mut Vec<u8>) {
        match self {
            Format::Json => out.extend_from_slice(decimal(number, &mut [0; DIGITS_MAX])),
            Format::Avro => zigzag(number, out),
        }
    }

    /// True or false.
    pub fn boolean(self, value: bool, out: &mut Vec<u8>) {
        match self {
            Format::Json => out.extend_from_slice(if value { b"true" } else { b"false" }),
            Format::Avro => out.push(u8::from(value)),
        }
    }

    /// A finite floating point number of 64 bits.
    pub fn double(self, number: f64, out: &mut Vec<u8>) {
        match self {
            Format::Json => {
                // msgspec writes no plus in front of an exponent.
                let mut buffer = zmij::Buffer::new();
                let written = buffer.format_finite(number).as_bytes();
                out.extend(written.iter().filter(|letter| **letter != b'+'));
            }
            Format::Avro => out.extend_from_slice(&number.to_le_bytes()),
        }
    }

    /// Text, which must be UTF-8.
    pub fn text(self, text: &[u8], out: &mut Vec<u8>) -> Usual<()> {
        match self {
            Format::Json => json_text(text, out),
            Format::Avro => {
                std::str::from_utf8(text).map_err(|_| Unusual)?;
                self.bytes(text, out);
                Ok(())
            }
        }
    }

    /// Text that is known to need no escape.
    pub fn plain_text(self, text: &[u8], out: &mut Vec<u8>) {
        match self {
            Format::Json => {
                out.push(b'"');
                out.extend_from_slice(text);
                out.push(b'"');
            }
            Format::Avro => self.bytes(text, out),
        }
    }

    /// Bytes.
    pub fn bytes(self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Format::Json => {
                out.push(b'"');
                base64(bytes, out);
                out.push(b'"');
            }
            Format::Avro => {
                zigzag(i64::try_from(bytes.len()).expect("memory is smaller"), out);
                out.extend_from_slice(bytes);
            }
        }
    }
}

/// So many letters has the longest number of 64 bits.
pub const DIGITS_MAX: usize = 20;

/// The digits of a number, at the end of `buffer`. Most of what an event is made of are numbers, and the standard
/// library's formatting takes several times as long.
pub fn decimal(number: i64, buffer: &mut [u8; DIGITS_MAX]) -> &[u8] {
    let mut left = number.unsigned_abs();
    let mut start = DIGITS_MAX;
    loop {
        start -= 1;
        buffer[start] = b'0' + u8::try_from(left % 10).expect("one digit");
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        start -= 1;
        buffer[start] = b'-';
    }
    &buffer[start..]
}

fn zigzag(number: i64, out: &mut Vec<u8>) {
    let mut left = ((number << 1) ^ (number >> 63)).cast_unsigned();
    while left >= 0x80 {
        out.push(u8::try_from(left & 0x7f).expect("seven bits") | 0x80);
        left >>= 7;
    }
    out.push(u8::try_from(left).expect("seven bits"));
}

/// Which bytes of a text JSON writes otherwise: 0 for none, `u` for six characters, else the letter of the escape.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        escapes[byte] = b'u';
        byte += 1;
    }
    escapes[8] = b'b';
    escapes[9] = b't';
    escapes[10] = b'n';
    escapes[12] = b'f';
    escapes[13] = b'r';
    escapes[b'"' as usize] = b'"';
    escapes[b'\\' as usize] = b'\\';
    escapes
};

fn json_text(text: &[u8], out: &mut Vec<u8>) -> Usual<()> {
    std::str::from_utf8(text).map_err(|_| Unusual)?;
    out.push(b'"');
    let mut written = 0;
    for (place, &byte) in text.iter().enumerate() {
        let escape = ESCAPES[usize::from(byte)];
        if escape == 0 {
            continue;
        }
        out.extend_from_slice(&text[written..place]);
        written = place + 1;
        if escape == b'u' {
            write!(out, "\\u{byte:04x}").expect("a Vec takes everything");
        } else {
            out.extend_from_slice(&[b'\\', escape]);
        }
    }
    out.extend_from_slice(&text[written..]);
    out.push(b'"');
    Ok(())
}

const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for place in 0..4 {
            let six = usize::try_from(bits >> (18 - 6 * place) & 63).expect("six bits");
            out.push(if place <= group.len() { BASE64[six] } else { b'=' });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Format::Json.text(text, &mut out).expect("UTF-8");
        out
    }

    #[test]
    fn text_is_escaped_where_json_needs_it() {
        assert_eq!(
            json("ž\"\\/\n\u{1}\u{7f}".as_bytes()),
            "\"ž\\\"\\\\/\\n\\u0001\u{7f}\"".as_bytes()
        );
        assert_eq!(json(b""), b"\"\"");
    }

    #[test]
    fn text_that_is_no_utf8_is_unusual() {
        assert_eq!(Format::Json.text(b"\xff", &mut Vec::new()), Err(Unusual));
        assert_eq!(Format::Avro.text(b"\xff", &mut Vec::new()), Err(Unusual));
    }

    #[test]
    fn bytes_in_json_are_base64_with_its_padding() {
        for (bytes, expected) in [
            (&b""[..], "\"\""),
            (b"f", "\"Zg==\""),
            (b"fo", "\"Zm8=\""),
            (b"foo", "\"Zm9v\""),
        ] {
            let mut out = Vec::new();
            Format::Json.bytes(bytes, &mut out);
            assert_eq!(out, expected.as_bytes());
        }
    }

    #[test]
    fn numbers_in_json_are_their_digits() {
        for number in [0, 7, -1, 1000, i64::MAX, i64::MIN] {
            let mut out = Vec::new();
            Format::Json.integer(number, &mut out);
            assert_eq!(out, number.to_string().as_bytes());
        }
    }

    #[test]
    fn numbers_in_avro_are_zigzag() {
        for (number, expected) in [
            (0, &b"\x00"[..]),
            (-1, b"\x01"),
            (64, b"\x80\x01"),
            (i64::MIN, &[0xff; 9]),
        ] {
            let mut out = Vec::new();
            Format::Avro.integer(number, &mut out);
            assert!(out.starts_with(expected), "{number}: {out:?}");
        }
    }
}
