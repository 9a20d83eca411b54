//! The named fields of a JSON object, and whether all of it is JSON; nothing is built of what nobody names.
//!
//! What is taken here msgspec takes too, and reads the same. The reverse does not hold: escapes in names, surrogates,
//! numbers with very many digits and very deep nesting are `Unusual`, not wrong. Source: RFC 8259.

use std::borrow::Cow;

use crate::{Unusual, Usual};

const DEPTH_MAX: usize = 64;
const DIGITS_MAX: usize = 40;
const EXPONENT_DIGITS_MAX: usize = 2;
/// Any number with so many digits is one of 64 bits.
const SAFE_DIGITS: usize = 18;

/// A value as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Token<'a> {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number without point and exponent.
    Integer(&'a str),
    /// A number with one.
    Decimal(&'a str),
    /// What is between the quotes; `plain` if it holds no escape.
    Text {
        /// Between the quotes.
        raw: &'a str,
        /// Without an escape it is what it means.
        plain: bool,
    },
    /// `[…]`
    Array(&'a str),
    /// `{…}`
    Object(&'a str),
}

/// Reads an object, all of it; `field` is told each name and value of the outermost level, in their order.
///
/// # Errors
/// It is none, or not a usual one; or `field` says so.
pub fn object<'a>(bytes: &'a [u8], field: impl FnMut(&'a str, Token<'a>) -> Usual<()>) -> Usual<()> {
    let text = std::str::from_utf8(bytes).map_err(|_| Unusual)?;
    let mut reader = Reader { text, at: 0 };
    reader.space();
    reader.members(0, field)?;
    reader.space();
    if reader.at == text.len() { Ok(()) } else { Err(Unusual) }
}

/// The elements of an array that was read as a token before.
///
/// # Errors
/// `element` says so.
pub fn elements<'a>(array: &'a str, element: impl FnMut(Token<'a>) -> Usual<()>) -> Usual<()> {
    Reader { text: array, at: 0 }.elements(0, element)
}

/// A whole number of 64 bits.
///
/// # Errors
/// It has more.
pub fn integer(digits: &str) -> Usual<i64> {
    let (negative, plain) = match digits.strip_prefix('-') {
        Some(plain) => (true, plain),
        None => (false, digits),
    };
    if plain.len() > SAFE_DIGITS {
        return digits.parse().map_err(|_| Unusual);
    }
    let number = plain
        .bytes()
        .fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'));
    Ok(if negative { -number } else { number })
}

/// A number with a point or an exponent.
///
/// # Errors
/// It is not finite.
pub fn decimal(text: &str) -> Usual<f64> {
    let number: f64 = text.parse().map_err(|_| Unusual)?;
    if number.is_finite() { Ok(number) } else { Err(Unusual) }
}

/// What a text means.
///
/// # Errors
/// It has half of a surrogate pair, or a whole one.
pub fn text(raw: &str, plain: bool) -> Usual<Cow<'_, str>> {
    if plain {
        return Ok(Cow::Borrowed(raw));
    }
    let mut meant = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        meant.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).ok_or(Unusual)?;
        let mut taken = 2;
        meant.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                taken = 6;
                let digits = rest.get(at + 2..at + 6).ok_or(Unusual)?;
                let code = u32::from_str_radix(digits, 16).map_err(|_| Unusual)?;
                char::from_u32(code).ok_or(Unusual)?
            }
            other => char::from(*other),
        });
        rest = &rest[at + taken..];
    }
    meant.push_str(rest);
    Ok(Cow::Owned(meant))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> Usual<()> {
        if self.peek() != Some(wanted) {
            return Err(Unusual);
        }
        self.at += 1;
        Ok(())
    }

    /// Whether a list goes on behind this element; otherwise it has ended.
    fn goes_on(&mut self, end: u8) -> Usual<bool> {
        self.space();
        let found = self.peek();
        self.at += 1;
        if found == Some(b',') {
            self.space();
            return Ok(true);
        }
        if found == Some(end) { Ok(false) } else { Err(Unusual) }
    }

    fn members(&mut self, depth: usize, mut field: impl FnMut(&'a str, Token<'a>) -> Usual<()>) -> Usual<()> {
        self.take(b'{')?;
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let (name, plain) = self.string()?;
            if !plain {
                return Err(Unusual);
            }
            self.space();
            self.take(b':')?;
            self.space();
            field(name, self.value(depth)?)?;
            if !self.goes_on(b'}')? {
                return Ok(());
            }
        }
    }

    fn elements(&mut self, depth: usize, mut element: impl FnMut(Token<'a>) -> Usual<()>) -> Usual<()> {
        self.take(b'[')?;
        self.space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            element(self.value(depth)?)?;
            if !self.goes_on(b']')? {
                return Ok(());
            }
        }
    }

    fn value(&mut self, depth: usize) -> Usual<Token<'a>> {
        let start = self.at;
        match self.peek().ok_or(Unusual)? {
            b'"' => {
                let (raw, plain) = self.string()?;
                Ok(Token::Text { raw, plain })
            }
            b'{' | b'[' if depth == DEPTH_MAX => Err(Unusual),
            b'{' => {
                self.members(depth + 1, |_, _| Ok(()))?;
                Ok(Token::Object(&self.text[start..self.at]))
            }
            b'[' => {
                self.elements(depth + 1, |_| Ok(()))?;
                Ok(Token::Array(&self.text[start..self.at]))
            }
            b'n' => self.word("null", Token::Null),
            b't' => self.word("true", Token::Bool(true)),
            b'f' => self.word("false", Token::Bool(false)),
            _ => self.number(),
        }
    }

    fn word(&mut self, word: &str, token: Token<'a>) -> Usual<Token<'a>> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(token)
    }

    /// How many digits follow.
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Usual<Token<'a>> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let leading = self.peek();
        let mut count = self.digits();
        if count == 0 || (count > 1 && leading == Some(b'0')) {
            return Err(Unusual);
        }
        let mut whole = true;
        if self.peek() == Some(b'.') {
            self.at += 1;
            whole = false;
            let behind = self.digits();
            if behind == 0 {
                return Err(Unusual);
            }
            count += behind;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            whole = false;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if !(1..=EXPONENT_DIGITS_MAX).contains(&self.digits()) {
                return Err(Unusual);
            }
        }
        if count > DIGITS_MAX {
            return Err(Unusual);
        }
        let text = &self.text[start..self.at];
        Ok(if whole {
            Token::Integer(text)
        } else {
            Token::Decimal(text)
        })
    }

    /// What is between quotes, and whether it has no escape.
    fn string(&mut self) -> Usual<(&'a str, bool)> {
        self.take(b'"')?;
        let start = self.at;
        let mut plain = true;
        loop {
            self.at += unremarkable(&self.text.as_bytes()[self.at..]);
            match self.peek().ok_or(Unusual)? {
                b'"' => {
                    let raw = &self.text[start..self.at];
                    self.at += 1;
                    return Ok((raw, plain));
                }
                b'\\' => {
                    plain = false;
                    self.escape()?;
                }
                // A control character.
                _ => return Err(Unusual),
            }
        }
    }

    fn escape(&mut self) -> Usual<()> {
        let bytes = self.text.as_bytes();
        match bytes.get(self.at + 1).ok_or(Unusual)? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 2,
            b'u' => {
                let digits = bytes.get(self.at + 2..self.at + 6).ok_or(Unusual)?;
                let surrogate = digits[0].eq_ignore_ascii_case(&b'd') && digits[1] > b'7';
                if surrogate || !digits.iter().all(u8::is_ascii_hexdigit) {
                    return Err(Unusual);
                }
                self.at += 6;
            }
            _ => return Err(Unusual),
        }
        Ok(())
    }
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// How many bytes come before a quote, a backslash or a control character, eight at a time.
fn unremarkable(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let word = u64::from_le_bytes(*chunk);
        let zero_where = |wanted: u8| {
            let differs = word ^ (ONES * u64::from(wanted));
            differs.wrapping_sub(ONES) & !differs
        };
        let control = word.wrapping_sub(ONES * 0x20) & !word;
        let found = (zero_where(b'"') | zero_where(b'\\') | control) & HIGHS;
        if found != 0 {
            return at + found.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or(&[]);
    at + rest
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f))
        .unwrap_or(rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Usual<Vec<(&str, Token<'_>)>> {
        let mut found = Vec::new();
        object(text.as_bytes(), |name, token| {
            found.push((name, token));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn the_fields_of_the_outermost_object_are_told_in_order() {
        let read = read(r#" {"a": -12, "b" :1.5e2,"c":"x\ny","d":[1,{"a":"]"}], "e":{"f":null},"g":true} "#).unwrap();
        assert_eq!(
            read,
            [
                ("a", Token::Integer("-12")),
                ("b", Token::Decimal("1.5e2")),
                (
                    "c",
                    Token::Text {
                        raw: r"x\ny",
                        plain: false
                    }
                ),
                ("d", Token::Array(r#"[1,{"a":"]"}]"#)),
                ("e", Token::Object(r#"{"f":null}"#)),
                ("g", Token::Bool(true)),
            ]
        );
    }

    #[test]
    fn what_is_no_json_or_not_a_usual_one_is_unusual() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            "{}x",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":.5}",
            "{\"a\":+1}",
            "{\"a\":1e}",
            "{\"a\":1e400}",
            "{\"a\":\"\t\"}",
            "{\"a\":\"\\x\"}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\uD83D\\uDE00\"}",
            "{\"\\u0061\":1}",
            "{\"a\":nul}",
            "{\"a\":-}",
            "{\"a\":[1 2]}",
            "{a:1}",
            "{\"a\":\"",
            "{\"a\":\"\\u00\"}",
            "{\"a\":NaN}",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(1000), "]".repeat(1000));
        assert!(read(&deep).is_err());
        assert!(object(b"{\"a\":\"\xff\"}", |_, _| Ok(())).is_err());
    }

    #[test]
    fn numbers_and_texts_mean_what_they_say() {
        assert_eq!(integer("-0"), Ok(0));
        assert_eq!(integer("9223372036854775807"), Ok(i64::MAX));
        assert_eq!(integer("-9223372036854775808"), Ok(i64::MIN));
        assert_eq!(integer("9223372036854775808"), Err(Unusual));
        assert_eq!(decimal("0.1e1"), Ok(1.0));
        assert_eq!(text(r#"a\u00e9\"\/\\\n"#, false).unwrap(), "aé\"/\\\n");
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>) {
            let _ = object(&bytes, |_, _| Ok(()));
        }

        #[test]
        fn a_torn_object_is_unusual(at in 0usize..200) {
            let whole = r#"{"a": -12.5e-3, "b": "text \u00e9 with a few more words in it", "c": [1, {"d": null}], "e": false}"#;
            prop_assert_eq!(read(&whole[..at.min(whole.len() - 1)]).is_ok(), false);
        }

        #[test]
        fn a_remarkable_byte_is_found_wherever_it_is(before in 0usize..40, byte in prop::sample::select(b"\"\\\x00\x1f\n".to_vec()), filler in 0x20u8..) {
            prop_assume!(filler != b'"' && filler != b'\\');
            let mut bytes = vec![filler; before];
            bytes.push(byte);
            bytes.extend([b'"'; 9]);
            prop_assert_eq!(unremarkable(&bytes), before);
        }
    }
}
