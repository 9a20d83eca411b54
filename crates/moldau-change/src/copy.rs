//! Rows as `COPY ... TO STDOUT` gives them in text: a line each, columns divided by tabs.
//!
//! Source: the manual, "COPY", "Text Format". `copying.py` of the connector reads the same.

use std::ops::Range;

use crate::row::{Column, Row};
use crate::{Unusual, Usual};

/// A column of a line that holds escapes.
enum Field<'data> {
    Null,
    AsItStands(&'data [u8]),
    /// A piece of what was written without its escapes.
    Freed(Range<usize>),
}

/// A line without its end, as a row of exactly `columns` columns. `freed` takes the texts that had escapes.
pub fn row<'data>(line: &'data [u8], columns: usize, freed: &'data mut Vec<u8>) -> Usual<Row<'data>> {
    let mut row = Vec::with_capacity(columns);
    if line.contains(&b'\\') {
        freed.clear();
        let mut fields = Vec::with_capacity(columns);
        for text in line.split(|byte| *byte == b'\t') {
            fields.push(field(text, freed)?);
        }
        let freed: &'data [u8] = freed;
        row.extend(fields.into_iter().map(|field| match field {
            Field::Null => Column::Null,
            Field::AsItStands(text) => Column::Text(text),
            Field::Freed(range) => Column::Text(&freed[range]),
        }));
    } else {
        row.extend(line.split(|byte| *byte == b'\t').map(Column::Text));
    }
    if row.len() == columns { Ok(row) } else { Err(Unusual) }
}

fn field<'data>(text: &'data [u8], freed: &mut Vec<u8>) -> Usual<Field<'data>> {
    if text == b"\\N" {
        return Ok(Field::Null);
    }
    if !text.contains(&b'\\') {
        return Ok(Field::AsItStands(text));
    }
    let start = freed.len();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        freed.push(if byte == b'\\' {
            escaped(*bytes.next().ok_or(Unusual)?)
        } else {
            byte
        });
    }
    Ok(Field::Freed(start..freed.len()))
}

/// What a letter behind a backslash stands for.
fn escaped(letter: u8) -> u8 {
    match letter {
        b'b' => 8,
        b't' => b'\t',
        b'n' => b'\n',
        b'v' => 11,
        b'f' => 12,
        b'r' => b'\r',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &[u8], columns: usize) -> Usual<Vec<Option<Vec<u8>>>> {
        let mut freed = Vec::new();
        let row = row(line, columns, &mut freed)?;
        row.iter()
            .map(|column| match column {
                Column::Text(text) => Ok(Some(text.to_vec())),
                Column::Null => Ok(None),
                Column::Unchanged => Err(Unusual),
            })
            .collect()
    }

    fn text(text: &[u8]) -> Option<Vec<u8>> {
        Some(text.to_vec())
    }

    #[test]
    fn columns_stand_between_tabs() {
        assert_eq!(read(b"1\t\tAda", 3), Ok(vec![text(b"1"), text(b""), text(b"Ada")]));
        assert_eq!(read(b"", 1), Ok(vec![text(b"")]));
    }

    #[test]
    fn escapes_are_undone_and_null_is_none_of_them() {
        let line = b"\\N\tplain\t\\\\N\ta\\tb\\nc\\rd\\be\\ff\\vg\\\\\\\\";
        let expected = vec![
            None,
            text(b"plain"),
            text(b"\\N"),
            text(b"a\tb\nc\rd\x08e\x0cf\x0bg\\\\"),
        ];
        assert_eq!(read(line, 4), Ok(expected));
    }

    #[test]
    fn another_count_of_columns_and_a_torn_escape_are_unusual() {
        assert_eq!(read(b"1\t2", 1), Err(Unusual));
        assert_eq!(read(b"1\t2", 3), Err(Unusual));
        assert_eq!(read(b"1\\", 1), Err(Unusual));
    }
}
