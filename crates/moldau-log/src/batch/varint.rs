//! Zigzag variable-length integers, as records use them for every number.
//!
//! A hostile one (endless, or with bits beyond the type) is an error, never a wrap.

use super::BatchError;

const TOO_LONG: BatchError = BatchError::Corrupt("a variable-length integer does not end");
const MISSING: BatchError = BatchError::Corrupt("a record ends inside a variable-length integer");

/// Reads a 64-bit one off the front of `bytes`.
#[inline]
pub(super) fn take_long(bytes: &mut &[u8]) -> Result<i64, BatchError> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        // The tenth byte has room for one bit only.
        if index == 9 && byte > 1 {
            return Err(TOO_LONG);
        }
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            *bytes = &bytes[index + 1..];
            return Ok((value >> 1) as i64 ^ -((value & 1) as i64));
        }
    }
    Err(if bytes.len() < 10 { MISSING } else { TOO_LONG })
}

/// Reads a 32-bit one off the front of `bytes`.
#[inline]
pub(super) fn take_int(bytes: &mut &[u8]) -> Result<i32, BatchError> {
    // One byte is by far the most common: lengths under 64 and small deltas.
    if let [byte, rest @ ..] = *bytes
        && byte & 0x80 == 0
    {
        *bytes = rest;
        return Ok(i32::from(byte >> 1) ^ -i32::from(byte & 1));
    }
    i32::try_from(take_long(bytes)?).map_err(|_| TOO_LONG)
}

/// Appends `value`.
pub(super) fn put_long(buffer: &mut Vec<u8>, value: i64) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest >= 0x80 {
        buffer.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    buffer.push(rest as u8);
}

/// How many bytes [`put_long`] appends.
pub(super) fn long_bytes(value: i64) -> usize {
    let zigzag = ((value << 1) ^ (value >> 63)) as u64;
    (64 - (zigzag | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_put_is_taken(value: i64) {
            let mut buffer = Vec::new();
            put_long(&mut buffer, value);
            prop_assert_eq!(buffer.len(), long_bytes(value));
            let mut rest = &buffer[..];
            prop_assert_eq!(take_long(&mut rest).unwrap(), value);
            prop_assert!(rest.is_empty());
            let mut rest = &buffer[..];
            prop_assert_eq!(take_int(&mut rest).ok(), i32::try_from(value).ok());
        }

        #[test]
        fn any_bytes_give_a_value_or_an_error(bytes: Vec<u8>) {
            let mut rest = &bytes[..];
            let _ = take_long(&mut rest);
            let mut rest = &bytes[..];
            let _ = take_int(&mut rest);
        }
    }

    #[test]
    fn an_endless_integer_is_an_error() {
        assert_eq!(take_long(&mut &[0xff; 32][..]), Err(TOO_LONG));
        assert_eq!(take_long(&mut &[0xff; 3][..]), Err(MISSING));
        assert_eq!(take_int(&mut &[][..]), Err(MISSING));
    }
}
