//! Values by the byte: what each type looks like, what a reader makes of another's, and what no bytes may do.

use moldau_avro::decode::Builder;
use moldau_avro::fault::Checked;
use moldau_avro::schema::{BytesAs, IntAs, LongAs, StringAs};
use moldau_avro::{Program, Schema, decode};

/// Values as text, so that a table can show them.
struct Text<'program>(&'program Program);

impl Builder for Text<'_> {
    type Value = String;
    type Record = Vec<(u32, String)>;
    type Array = Vec<String>;
    type Map = Vec<String>;

    fn null(&mut self) -> String {
        "null".into()
    }
    fn boolean(&mut self, value: bool) -> String {
        value.to_string()
    }
    fn int(&mut self, value: i32, as_: IntAs) -> Checked<String> {
        Ok(match as_ {
            IntAs::Number => value.to_string(),
            other => format!("{other:?}({value})"),
        })
    }
    fn long(&mut self, value: i64, as_: LongAs) -> Checked<String> {
        Ok(match as_ {
            LongAs::Number => value.to_string(),
            other => format!("{other:?}({value})"),
        })
    }
    fn double(&mut self, value: f64) -> Checked<String> {
        Ok(format!("{value:?}"))
    }
    fn bytes(&mut self, value: &[u8], as_: BytesAs) -> Checked<String> {
        Ok(match as_ {
            BytesAs::Bytes => format!("{value:x?}"),
            other => format!("{other:?}({value:x?})"),
        })
    }
    fn string(&mut self, value: &[u8], _: StringAs) -> Checked<String> {
        Ok(format!("{:?}", String::from_utf8_lossy(value)))
    }
    fn symbol(&mut self, shape: u32, index: u32) -> Checked<String> {
        Ok(self.0.enums()[shape as usize].symbols[index as usize].clone())
    }
    fn record(&mut self, _: u32) -> Checked<Self::Record> {
        Ok(Vec::new())
    }
    fn set(&mut self, record: &mut Self::Record, _: u32, slot: u32, value: String) -> Checked<()> {
        record.push((slot, value));
        Ok(())
    }
    fn finish_record(&mut self, mut record: Self::Record, shape: u32) -> Checked<String> {
        record.sort();
        let fields = &self.0.records()[shape as usize].fields;
        let shown: Vec<_> = record
            .iter()
            .map(|(slot, value)| format!("{}={value}", fields[*slot as usize]))
            .collect();
        Ok(format!("{{{}}}", shown.join(" ")))
    }
    fn array(&mut self) -> Checked<Vec<String>> {
        Ok(Vec::new())
    }
    fn push(&mut self, array: &mut Vec<String>, value: String) -> Checked<()> {
        array.push(value);
        Ok(())
    }
    fn finish_array(&mut self, array: Vec<String>) -> String {
        format!("[{}]", array.join(" "))
    }
    fn map(&mut self) -> Checked<Vec<String>> {
        Ok(Vec::new())
    }
    fn insert(&mut self, map: &mut Vec<String>, key: &[u8], value: String) -> Checked<()> {
        map.push(format!("{}:{value}", String::from_utf8_lossy(key)));
        Ok(())
    }
    fn finish_map(&mut self, map: Vec<String>) -> String {
        format!("<{}>", map.join(" "))
    }
}

fn schema(text: &str) -> Schema {
    Schema::parse(text, &[] as &[&str]).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run(program: &Program, data: &[u8]) -> String {
    match decode(program, data, 0, &mut Text(program)) {
        Ok(value) => value,
        Err(fault) => format!("! {fault}"),
    }
}

#[track_caller]
fn check(writer: &str, data: &[u8], expected: &str) {
    assert_eq!(run(&Program::of(&schema(writer)), data), expected, "{writer}");
}

#[track_caller]
fn check_resolved(writer: &str, reader: &str, data: &[u8], expected: &str) {
    let program = Program::resolved(&schema(writer), &schema(reader));
    assert_eq!(run(&program, data), expected, "{writer} as {reader}");
}

const NODE: &str = r#"{"type":"record","name":"Node","fields":[{"name":"next","type":["null","Node"]}]}"#;

#[test]
fn every_type_is_read_by_the_byte() {
    check(r#""null""#, b"", "null");
    check("string", b"\x06foo", "\"foo\"");
    check(r#""boolean""#, &[1], "true");
    check(r#""int""#, &[0x7f], "-64");
    check(r#""int""#, &[0xff, 0xff, 0xff, 0xff, 0x0f], "-2147483648");
    let lowest = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    check(r#""long""#, &lowest, "-9223372036854775808");
    check(r#""float""#, &[0, 0, 0xc0, 0x3f], "1.5");
    check(r#""double""#, &[0, 0, 0, 0, 0, 0, 0xf8, 0x7f], "NaN");
    check(r#""bytes""#, &[4, 0, 0xff], "[0, ff]");
    check(r#"{"type":"fixed","name":"F","size":2}"#, &[1, 2], "[1, 2]");
    check(r#"{"type":"enum","name":"E","symbols":["A","B"]}"#, &[2], "B");
    check(r#"["null","string"]"#, &[2, 2, b'x'], "\"x\"");
    check(
        r#"{"type":"long","logicalType":"timestamp-micros"}"#,
        &[2],
        "TimestampMicros(1)",
    );
    check(r#"{"type":"int","logicalType":"date"}"#, &[1], "Date(-1)");
    check(r#"{"type":"int","logicalType":"timestamp-micros"}"#, &[2], "1");
    let decimal = r#"{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}"#;
    check(decimal, &[2, 5], "Decimal { precision: 4, scale: 2 }([5])");
    check(NODE, &[2, 2, 0], "{next={next={next=null}}}");
}

#[test]
fn a_block_may_say_how_long_it_is() {
    check(r#"{"type":"array","items":"int"}"#, &[4, 2, 4, 1, 2, 6, 0], "[1 2 3]");
    check(r#"{"type":"map","values":"int"}"#, &[1, 6, 2, b'k', 6, 0], "<k:3>");
}

#[test]
fn a_reader_sees_what_another_schema_wrote() {
    check_resolved("int", "long", &[2], "1");
    check_resolved("int", "double", &[2], "1.0");
    check_resolved("long", "float", &[2], "1.0");
    check_resolved("float", "double", &[0, 0, 0xc0, 0x3f], "1.5");
    check_resolved("string", "bytes", b"\x02x", "[78]");
    check_resolved("bytes", "string", b"\x02x", "\"x\"");
    check_resolved(r#"["int","string"]"#, "long", &[0, 2], "1");
    check_resolved("int", r#"["null","double","long"]"#, &[2], "1.0");
    check_resolved("int", r#"["null","long","int"]"#, &[2], "1");
    let enums = |symbols: &str, more: &str| format!(r#"{{"type":"enum","name":"E","symbols":[{symbols}]{more}}}"#);
    check_resolved(&enums(r#""A","B""#, ""), &enums(r#""B","A""#, ""), &[2], "B");
    check_resolved(
        &enums(r#""A","B""#, ""),
        &enums(r#""A""#, r#","default":"A""#),
        &[2],
        "A",
    );
}

#[test]
fn fields_are_found_by_name_and_alias_and_others_skipped_or_filled() {
    let writer = r#"{"type":"record","name":"a.R","fields":[
        {"name":"gone","type":{"type":"array","items":["null","string"]}},
        {"name":"old","type":"int"},{"name":"same","type":"string"}]}"#;
    let reader = r#"{"type":"record","name":"R","fields":[
        {"name":"same","type":"string"},{"name":"new","type":"long","aliases":["old"]},
        {"name":"more","type":{"type":"map","values":"bytes"},"default":{"k":"ÿ"}},
        {"name":"maybe","type":["null","int"],"default":7}]}"#;
    let data = [5, 12, 0, 0, 2, 2, b'x', 0, 0, 0, 0, 0];
    // A block of three items in six bytes, which is skipped as a whole.
    let written = [&[5, 12][..], &data[2..8], &[0, 6, 2, b's']].concat();
    check_resolved(writer, reader, &written, r#"{same="s" new=3 more=<k:[ff]> maybe=7}"#);
}

#[test]
fn what_cannot_be_resolved_is_told_for_the_value_that_meets_it() {
    check_resolved(
        "string",
        "int",
        b"\x02x",
        "! the writer's string cannot be read as int (at byte 0)",
    );
    check_resolved(r#"["int","string"]"#, "int", &[0, 2], "1");
    check_resolved(
        r#"["int","string"]"#,
        "int",
        b"\x02\x02x",
        "! the writer's string cannot be read as int (at byte 1)",
    );
    let record = |fields: &str| format!(r#"{{"type":"record","name":"R","fields":[{fields}]}}"#);
    check_resolved(
        &record(""),
        &record(r#"{"name":"a","type":"int"}"#),
        b"",
        "! the writer has no field \"a\", and R no default for it (at byte 0)",
    );
    check_resolved(
        &record(""),
        &record(r#"{"name":"a","type":"int","default":"x"}"#),
        b"",
        "! the default of the field \"a\" is \"x\", which is no int (at byte 0)",
    );
    check_resolved(
        r#"{"type":"enum","name":"E","symbols":["A","B"]}"#,
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        &[2],
        "! the symbol \"B\" is none of the reader's E, which has no default (at byte 0)",
    );
}

#[test]
fn bytes_that_are_no_value_are_told_with_path_and_place() {
    check("string", &[6, b'x'], "! a length of 3 bytes, with 1 left (at byte 0)");
    check("string", &[1], "! a length of -1 bytes, with 0 left (at byte 0)");
    check("string", &[0xff; 11], "! a number has more than 64 bits (at byte 0)");
    check("boolean", &[2], "! 2 is no boolean (at byte 0)");
    check(
        "int",
        &[0x80, 0x80, 0x80, 0x80, 0x20],
        "! 4294967296 is no int: it has more than 32 bits (at byte 0)",
    );
    check("double", &[0; 7], "! the bytes end inside of the value (at byte 7)");
    check(r#"["null"]"#, &[2], "! 1 is none of 1 branches of a union (at byte 0)");
    check(
        r#"{"type":"enum","name":"E","symbols":["A"]}"#,
        &[1],
        "! -1 is none of 1 symbols (at byte 0)",
    );
    let nested = r#"{"type":"record","name":"R","fields":[{"name":"lines","type":
        {"type":"array","items":{"type":"map","values":"string"}}}]}"#;
    let data = [4, 0, 2, 2, b'k', 20, 0];
    check(
        nested,
        &data,
        "! lines[1].k: a length of 10 bytes, with 1 left (at byte 5)",
    );
}

#[test]
fn a_count_costs_nothing_before_its_items_are_there() {
    let many = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    check(
        r#"{"type":"array","items":"int"}"#,
        &many,
        "! [0]: the bytes end inside of the value (at byte 9)",
    );
    let nulls = run(&Program::of(&schema(r#"{"type":"array","items":"null"}"#)), &many);
    assert!(nulls.contains("values without bytes"), "{nulls}");
    let empty = r#"{"type":"array","items":{"type":"record","name":"R","fields":[]}}"#;
    let records = run(&Program::of(&schema(empty)), &many);
    assert!(records.contains("values without bytes"), "{records}");
}

#[test]
fn a_value_without_end_is_an_error_and_no_crash() {
    let deep = run(&Program::of(&schema(NODE)), &[2; 100_000]);
    assert!(
        deep.ends_with("values are nested deeper than 512 (at byte 512)"),
        "{deep}"
    );
    let endless = r#"{"type":"record","name":"R","fields":[{"name":"r","type":"R"}]}"#;
    let endless = run(&Program::of(&schema(endless)), &[]);
    assert!(endless.contains("nested deeper than 512"), "{endless}");
}

#[test]
fn a_default_without_end_is_told_and_not_followed() {
    let record = r#"{"type":"record","name":"R","fields":[
        {"name":"a","type":["R","null"],"default":{}},{"name":"b","type":["R","null"],"default":{}}]}"#;
    let empty = r#"{"type":"record","name":"R","fields":[]}"#;
    let program = Program::resolved(&schema(empty), &schema(record));
    assert!(run(&program, &[]).starts_with("! the default of the field \"a\" is {}, which is no union"));
}

#[test]
fn no_bytes_make_it_panic() {
    let everything = r#"{"type":"record","name":"R","fields":[
        {"name":"u","type":["null","int","string",{"type":"array","items":"R"},{"type":"map","values":"double"}]},
        {"name":"e","type":{"type":"enum","name":"E","symbols":["A","B","C"]}},
        {"name":"f","type":{"type":"fixed","name":"F","size":3}},{"name":"b","type":"bytes"}]}"#;
    let reader = r#"{"type":"record","name":"R","fields":[{"name":"b","type":"string"}]}"#;
    let (same, other) = (
        Program::of(&schema(everything)),
        Program::resolved(&schema(everything), &schema(reader)),
    );
    // A generator of a few lines: the same bytes at every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for _ in 0..20_000 {
        let mut data = [0; 24];
        for byte in &mut data {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8 & if state & 0x100 == 0 { 0x07 } else { 0xff };
        }
        run(&same, &data);
        run(&other, &data);
    }
}

#[test]
fn a_text_that_is_no_schema_is_told_with_its_place() {
    let told =
        |text: &str| Schema::parse(text, &[] as &[&str]).map_or_else(|error| error.to_string(), |_| "fine".into());
    assert_eq!(told(r#""Nobody""#), "there is no type \"Nobody\"");
    assert_eq!(told(r#"["int","int"]"#), "a union may not hold int twice");
    assert_eq!(told(r#"{"type":"array"}"#), "it needs \"items\"");
    let field = r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"map","values":"x"}}]}"#;
    assert_eq!(told(field), "a.values: there is no type \"x\"");
    assert!(told("{").starts_with("it is no JSON"));
    let deep = format!(
        "{}\"int\"{}",
        r#"{"type":"array","items":"#.repeat(120),
        "}".repeat(120)
    );
    assert!(told(&deep).contains("nested deeper than 100"), "{}", told(&deep));
    assert!(told(&"[".repeat(100_000)).contains("no JSON"));
}

#[test]
fn names_of_references_are_known() {
    let address = r#"{"type":"record","name":"Address","namespace":"shop","fields":[{"name":"city","type":"string"}]}"#;
    let order = r#"{"type":"record","name":"Order","namespace":"shop","fields":[{"name":"to","type":"Address"}]}"#;
    let schema = Schema::parse(order, &[address]).expect("the reference is known");
    assert_eq!(run(&Program::of(&schema), b"\x02x"), r#"{to={city="x"}}"#);
}
