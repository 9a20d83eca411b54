//! From PostgreSQL's text of a value to the value, one kernel per kind of text, as `text.py` of the connector reads it.
//!
//! A kernel knows the usual form of a text only: dates of the years 1 to 9999, numbers that are finite.

use crate::{Format, Unusual, Usual};

const DAY_US: i64 = 86_400_000_000;

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Itself.
    Text,
    /// A whole number of up to 64 bits.
    Integer,
    /// `t` or `f`.
    Boolean,
    /// `0` or `1`.
    Bit,
    /// A floating point number of 64 bits.
    Double,
    /// Bytes in hexadecimal behind `\x`.
    Bytes,
    /// A number with so many digits behind the point: its unscaled two's complement.
    Decimal(u32),
    /// A date: days since 1970.
    Days,
    /// A time of the day, in units of so many microseconds.
    Clock(i64),
    /// A timestamp, in units of so many microseconds since 1970.
    Timestamp(i64),
    /// A timestamp in UTC as ISO-8601, with so many digits of the second.
    Zoned(usize),
}

impl Kernel {
    /// Appends the value of a text.
    pub fn write(self, text: &[u8], format: Format, out: &mut Vec<u8>) -> Usual<()> {
        match self {
            Kernel::Text => format.text(text, out)?,
            Kernel::Integer => {
                let number = integer(text)?;
                match format {
                    Format::Json => out.extend_from_slice(text),
                    Format::Avro => format.integer(number, out),
                }
            }
            Kernel::Boolean => format.boolean(one_of(text, *b"tf")?, out),
            Kernel::Bit => format.boolean(one_of(text, *b"10")?, out),
            Kernel::Double => double(text, format, out)?,
            Kernel::Bytes => format.bytes(&bytea(text)?, out),
            Kernel::Decimal(scale) => decimal(text, scale, format, out)?,
            Kernel::Days => format.integer(date(text)?, out),
            Kernel::Clock(unit) => format.integer(clock(text)?.0 / unit, out),
            Kernel::Timestamp(unit) => format.integer(timestamp(text)?.div_euclid(unit), out),
            Kernel::Zoned(digits) => zoned(text, digits, format, out)?,
        }
        Ok(())
    }
}

fn one_of(text: &[u8], [yes, no]: [u8; 2]) -> Usual<bool> {
    match text {
        [letter] if *letter == yes => Ok(true),
        [letter] if *letter == no => Ok(false),
        _ => Err(Unusual),
    }
}

fn string(text: &[u8]) -> Usual<&str> {
    std::str::from_utf8(text).map_err(|_| Unusual)
}

/// A number in the one form in which it is written: no sign in front of 0, no zero in front of others, no plus.
fn integer(text: &[u8]) -> Usual<i64> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let negative = digits.len() < text.len();
    if digits.is_empty() || (digits[0] == b'0' && (negative || digits.len() > 1)) || digits[0] == b'+' {
        return Err(Unusual);
    }
    string(text)?.parse().map_err(|_| Unusual)
}

fn double(text: &[u8], format: Format, out: &mut Vec<u8>) -> Usual<()> {
    let number: f64 = string(text)?.parse().map_err(|_| Unusual)?;
    if !number.is_finite() {
        return Err(Unusual);
    }
    format.double(number, out);
    Ok(())
}

fn bytea(text: &[u8]) -> Usual<Vec<u8>> {
    let digits = text.strip_prefix(b"\\x").ok_or(Unusual)?;
    let pairs = digits.chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return Err(Unusual);
    }
    let digit = |letter: u8| {
        char::from(letter)
            .to_digit(16)
            .and_then(|digit| u8::try_from(digit).ok())
    };
    pairs
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect::<Option<_>>()
        .ok_or(Unusual)
}

/// Of up to 38 digits, with exactly `scale` of them behind the point, as `numeric(p,s)` has them.
fn decimal(text: &[u8], scale: u32, format: Format, out: &mut Vec<u8>) -> Usual<()> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let negative = digits.len() < text.len();
    let mut unscaled: i128 = 0;
    let mut behind = None;
    for &digit in digits {
        if digit == b'.' && behind.is_none() {
            behind = Some(0);
            continue;
        }
        if !digit.is_ascii_digit() {
            return Err(Unusual);
        }
        unscaled = unscaled
            .checked_mul(10)
            .and_then(|n| n.checked_add(i128::from(digit - b'0')))
            .ok_or(Unusual)?;
        behind = behind.map(|count| count + 1);
    }
    if digits.is_empty() || behind.unwrap_or(0) != scale || (behind == Some(0)) {
        return Err(Unusual);
    }
    let bytes = if negative { -unscaled } else { unscaled }.to_be_bytes();
    // Leading bytes that only repeat the sign are left out, as `BigInteger.toByteArray` does.
    let needed = bytes
        .windows(2)
        .take_while(|pair| (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80))
        .count();
    format.bytes(&bytes[needed..], out);
    Ok(())
}

/// `count` digits at a place.
fn digits(text: &[u8], start: usize, count: usize) -> Usual<i64> {
    let digits = text.get(start..start + count).ok_or(Unusual)?;
    digits.iter().try_fold(0, |number, digit| {
        if digit.is_ascii_digit() {
            Ok(number * 10 + i64::from(digit - b'0'))
        } else {
            Err(Unusual)
        }
    })
}

fn expect(text: &[u8], place: usize, letter: u8) -> Usual<()> {
    if text.get(place) == Some(&letter) {
        Ok(())
    } else {
        Err(Unusual)
    }
}

fn date(text: &[u8]) -> Usual<i64> {
    if text.len() != 10 {
        return Err(Unusual);
    }
    expect(text, 4, b'-')?;
    expect(text, 7, b'-')?;
    let (year, month, day) = (digits(text, 0, 4)?, digits(text, 5, 2)?, digits(text, 8, 2)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 => 28 + i64::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return Err(Unusual),
    };
    if year == 0 || day == 0 || day > days {
        return Err(Unusual);
    }
    // Years begin with March here, so that the leap day is a year's last.
    let year = year - i64::from(month <= 2);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Ok(year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468)
}

/// A time of the day in microseconds, and how many digits its second has behind the point.
fn clock(text: &[u8]) -> Usual<(i64, usize)> {
    expect(text, 2, b':')?;
    expect(text, 5, b':')?;
    let (hour, minute, second) = (digits(text, 0, 2)?, digits(text, 3, 2)?, digits(text, 6, 2)?);
    if hour > 24 || minute > 59 || second > 59 {
        return Err(Unusual);
    }
    let whole = ((hour * 60 + minute) * 60 + second) * 1_000_000;
    if text.len() == 8 {
        return Ok((whole, 0));
    }
    expect(text, 8, b'.')?;
    let count = text.len() - 9;
    if !(1..=6).contains(&count) {
        return Err(Unusual);
    }
    let scale = 10_i64.pow(u32::try_from(6 - count).expect("at most five"));
    Ok((whole + digits(text, 9, count)? * scale, count))
}

fn timestamp(text: &[u8]) -> Usual<i64> {
    let (day, time) = text.split_at_checked(11).ok_or(Unusual)?;
    expect(day, 10, b' ')?;
    let (time_us, _) = clock(time)?;
    if time_us >= DAY_US {
        return Err(Unusual);
    }
    Ok(date(&day[..10])? * DAY_US + time_us)
}

fn zoned(text: &[u8], wanted: usize, format: Format, out: &mut Vec<u8>) -> Usual<()> {
    let plain = text.strip_suffix(b"+00").ok_or(Unusual)?;
    timestamp(plain)?;
    let mut made = [b'0'; 27];
    made[..10].copy_from_slice(&plain[..10]);
    made[10] = b'T';
    made[11..19].copy_from_slice(&plain[11..19]);
    made[19] = b'.';
    let fraction = plain.get(20..).unwrap_or_default();
    let kept = fraction.len().min(wanted);
    made[20..20 + kept].copy_from_slice(&fraction[..kept]);
    let end = if wanted == 0 { 19 } else { 20 + wanted };
    made[end] = b'Z';
    format.plain_text(&made[..=end], out);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(kernel: Kernel, text: &str) -> Usual<String> {
        let mut out = Vec::new();
        kernel.write(text.as_bytes(), Format::Json, &mut out)?;
        Ok(String::from_utf8(out).expect("JSON is UTF-8"))
    }

    fn written(kernel: Kernel, text: &str) -> String {
        json(kernel, text).expect("usual")
    }

    #[test]
    fn numbers_are_taken_in_their_one_form() {
        assert_eq!(written(Kernel::Integer, "-9223372036854775808"), "-9223372036854775808");
        for other in ["", "-", "+1", "01", "-0", "1.0", "9223372036854775808", " 1"] {
            assert_eq!(json(Kernel::Integer, other), Err(Unusual), "{other:?}");
        }
    }

    #[test]
    fn dates_and_times_are_numbers() {
        assert_eq!(written(Kernel::Days, "1970-01-01"), "0");
        assert_eq!(written(Kernel::Days, "2000-02-29"), "11016");
        assert_eq!(written(Kernel::Days, "0001-01-01"), "-719162");
        assert_eq!(written(Kernel::Timestamp(1), "1969-12-31 23:59:59.999999"), "-1");
        assert_eq!(written(Kernel::Timestamp(1000), "1969-12-31 23:59:59.9999"), "-1");
        assert_eq!(written(Kernel::Clock(1), "24:00:00"), "86400000000");
        assert_eq!(written(Kernel::Clock(1000), "00:00:01.5"), "1500");
    }

    #[test]
    fn what_is_no_usual_date_is_unusual() {
        for other in [
            "1900-02-29",
            "2001-13-01",
            "2001-04-31",
            "10000-01-01",
            "0044-03-15 BC",
            "infinity",
            "0000-01-01",
        ] {
            assert_eq!(json(Kernel::Days, other), Err(Unusual), "{other:?}");
        }
        for other in [
            "2001-01-01",
            "2001-01-01 00:00",
            "2001-01-01 00:00:00.",
            "2001-01-01 24:00:00",
            "-infinity",
        ] {
            assert_eq!(json(Kernel::Timestamp(1), other), Err(Unusual), "{other:?}");
        }
    }

    #[test]
    fn zoned_timestamps_have_the_digits_of_their_column() {
        let text = "2001-02-03 04:05:06.789+00";
        assert_eq!(written(Kernel::Zoned(6), text), "\"2001-02-03T04:05:06.789000Z\"");
        assert_eq!(written(Kernel::Zoned(3), text), "\"2001-02-03T04:05:06.789Z\"");
        assert_eq!(
            written(Kernel::Zoned(0), "2001-02-03 04:05:06+00"),
            "\"2001-02-03T04:05:06Z\""
        );
        assert_eq!(json(Kernel::Zoned(6), "2001-02-03 04:05:06+01"), Err(Unusual));
    }

    #[test]
    fn decimals_are_their_shortest_twos_complement() {
        for (text, scale, expected) in [
            ("0.00", 2, "AA=="),
            ("1.27", 2, "fw=="),
            ("1.28", 2, "AIA="),
            ("-1.28", 2, "gA=="),
            ("-1.29", 2, "/38="),
            ("7", 0, "Bw=="),
        ] {
            assert_eq!(
                written(Kernel::Decimal(scale), text),
                format!("\"{expected}\""),
                "{text}"
            );
        }
        for other in [
            "NaN",
            "1.2",
            "1",
            "1.234",
            "",
            "-",
            "1.",
            "99999999999999999999999999999999999999999.99",
        ] {
            assert_eq!(json(Kernel::Decimal(2), other), Err(Unusual), "{other:?}");
        }
    }

    #[test]
    fn bytes_are_read_from_hexadecimal() {
        assert_eq!(written(Kernel::Bytes, "\\x00ff"), "\"AP8=\"");
        for other in ["\\x0", "00", "\\x0g", "\\x+1"] {
            assert_eq!(json(Kernel::Bytes, other), Err(Unusual), "{other:?}");
        }
    }

    #[test]
    fn doubles_are_written_as_msgspec_writes_them() {
        for (text, expected) in [("1e+16", "1e16"), ("1", "1.0"), ("1e-05", "0.00001"), ("-0", "-0.0")] {
            assert_eq!(written(Kernel::Double, text), expected);
        }
        assert_eq!(json(Kernel::Double, "NaN"), Err(Unusual));
    }
}
