//! `ChangeTable` and `ChangeStream`: rows of PostgreSQL as the bytes of records, by `moldau-change`.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use moldau_change::program::Reading;
use moldau_change::stream::{Relation, Surroundings};
use moldau_change::table::{Given, Record, Table};
use moldau_change::{Fact, Facts, Format, Kernel, Part, Position, Program, Stream, Unusual, Usual};
use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyTuple};

/// A position as Python tells it: lsn, processed, commit, events at lsn, transaction, its time, kind.
type PositionTuple = (i64, i64, i64, i64, Option<i64>, i64, u8);

/// A run as Python sees it: messages gone through, position behind them, the last event's, whether a transaction is
/// under way, the number of records, the records by relation, and how many rows were created, updated and deleted, how
/// many changes passed over, how many transactions ended; and the numbers of those that began.
type RunTuple<'py> = (
    usize,
    PositionTuple,
    Option<PositionTuple>,
    Option<bool>,
    usize,
    Bound<'py, PyDict>,
    (usize, usize, usize, usize, usize),
    Vec<u32>,
);

fn position_of(told: PositionTuple) -> Position {
    let (lsn, processed_lsn, commit_lsn, events_at_lsn, xid, commit_us, kind) = told;
    Position {
        lsn,
        processed_lsn,
        commit_lsn,
        events_at_lsn,
        xid,
        commit_us,
        kind,
    }
}

fn told(position: &Position) -> PositionTuple {
    (
        position.lsn,
        position.processed_lsn,
        position.commit_lsn,
        position.events_at_lsn,
        position.xid,
        position.commit_us,
        position.kind,
    )
}

/// Functions of Python, each from a text to the bytes of its value. Whatever one raises makes the message unusual:
/// the connector's own way meets the same text and raises it again.
#[derive(Debug)]
struct Functions(Vec<Py<PyAny>>);

impl Given for Functions {
    fn write(&self, number: usize, text: &[u8], out: &mut Vec<u8>) -> Usual<()> {
        Python::attach(|py| {
            let function = self.0.get(number).ok_or(Unusual)?.bind(py);
            let made = function.call1((PyBytes::new(py, text),)).map_err(|_| Unusual)?;
            out.extend_from_slice(made.cast::<PyBytes>().map_err(|_| Unusual)?.as_bytes());
            Ok(())
        })
    }
}

fn kernel_of(name: &str, argument: i64) -> Option<Kernel> {
    let unsigned = u32::try_from(argument).ok();
    Some(match name {
        "text" => Kernel::Text,
        "integer" => Kernel::Integer,
        "boolean" => Kernel::Boolean,
        "bit" => Kernel::Bit,
        "double" => Kernel::Double,
        "bytes" => Kernel::Bytes,
        "decimal" => Kernel::Decimal(unsigned?),
        "days" => Kernel::Days,
        "clock" if argument > 0 => Kernel::Clock(argument),
        "timestamp" if argument > 0 => Kernel::Timestamp(argument),
        "zoned" if argument <= 6 => Kernel::Zoned(usize::try_from(argument).ok()?),
        _ => return None,
    })
}

fn fact_of(name: &str) -> Option<Fact> {
    Some(match name {
        "commit_ms" => Fact::CommitMs,
        "commit_us" => Fact::CommitUs,
        "commit_ns" => Fact::CommitNs,
        "now_ms" => Fact::NowMs,
        "now_us" => Fact::NowUs,
        "now_ns" => Fact::NowNs,
        "sequence" => Fact::Sequence,
        "xid" => Fact::Xid,
        "lsn" => Fact::Lsn,
        "xmin" => Fact::Xmin,
        "origin" => Fact::Origin,
        "origin_lsn" => Fact::OriginLsn,
        "operation" => Fact::Operation,
        "mark" => Fact::Mark,
        _ => return None,
    })
}

fn format_of(name: &str) -> PyResult<Format> {
    match name {
        "json" => Ok(Format::Json),
        "avro" => Ok(Format::Avro),
        _ => Err(unknown("format", name)),
    }
}

fn unknown(what: &str, name: &str) -> PyErr {
    PyValueError::new_err(format!("there is no {what} {name:?} for changes of rows"))
}

fn program_of(parts: &[Bound<'_, PyTuple>], functions: &mut Vec<Py<PyAny>>) -> PyResult<Program> {
    parts.iter().map(|part| part_of(part, functions)).collect()
}

fn part_of(part: &Bound<'_, PyTuple>, functions: &mut Vec<Py<PyAny>>) -> PyResult<Part> {
    let kind: String = part.get_item(0)?.extract()?;
    let bytes = |place: usize| part.get_item(place)?.extract::<Vec<u8>>();
    Ok(match kind.as_str() {
        "literal" => Part::Literal(bytes(1)?),
        "before" => Part::Before(bytes(1)?, bytes(2)?),
        "after" => Part::After(bytes(1)?, bytes(2)?),
        "fact" => {
            let name: String = part.get_item(1)?.extract()?;
            Part::Fact(
                fact_of(&name).ok_or_else(|| unknown("fact", &name))?,
                bytes(2)?,
                bytes(3)?,
            )
        }
        "column" => {
            let reader = part.get_item(2)?;
            let reading = if reader.is_callable() {
                functions.push(reader.unbind());
                Reading::Given(functions.len() - 1)
            } else {
                let (name, argument): (String, i64) = reader.extract()?;
                Reading::Kernel(kernel_of(&name, argument).ok_or_else(|| unknown("kernel", &name))?)
            };
            Part::Column {
                index: part.get_item(1)?.extract()?,
                reading,
                present: bytes(3)?,
                null: part.get_item(4)?.extract()?,
                unchanged: part.get_item(5)?.extract()?,
            }
        }
        _ => return Err(unknown("part", &kind)),
    })
}

fn message_of<'py>(py: Python<'py>, record: &Record) -> PyResult<Bound<'py, PyDict>> {
    let message = PyDict::new(py);
    let value = record.value.as_ref().map(|value| PyBytes::new(py, value));
    message.set_item(intern!(py, "value"), value)?;
    if let Some(key) = &record.key {
        message.set_item(intern!(py, "key"), PyBytes::new(py, key))?;
    }
    Ok(message)
}

fn slices<'data>(messages: &'data [Bound<'_, PyBytes>]) -> Vec<&'data [u8]> {
    messages.iter().map(|message| message.as_bytes()).collect()
}

#[pyclass(module = "moldau._core", frozen)]
pub struct ChangeTable {
    table: Arc<Table>,
}

#[pymethods]
impl ChangeTable {
    #[new]
    #[pyo3(signature = (columns, formats, key, row, value, key_columns, *, tombstones))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        columns: usize,
        formats: (String, String),
        key: Option<Vec<Bound<'_, PyTuple>>>,
        row: Vec<Bound<'_, PyTuple>>,
        value: Vec<Bound<'_, PyTuple>>,
        key_columns: Vec<usize>,
        tombstones: bool,
    ) -> PyResult<ChangeTable> {
        let (key_format, format) = (format_of(&formats.0)?, format_of(&formats.1)?);
        let mut functions = Vec::new();
        let key = key.map(|parts| program_of(&parts, &mut functions)).transpose()?;
        let row = program_of(&row, &mut functions)?;
        let value = program_of(&value, &mut functions)?;
        let table = Table {
            format,
            key_format,
            columns,
            key,
            row,
            value,
            key_columns,
            tombstones,
            given: Arc::new(Functions(functions)),
        };
        Ok(ChangeTable { table: Arc::new(table) })
    }

    /// Records of rows that were copied, up to the first line that is not as usual; where that is, and their size.
    #[allow(clippy::too_many_arguments)]
    fn rows<'py>(
        &self,
        py: Python<'py>,
        lines: &Bound<'py, PyBytes>,
        start: usize,
        position: PositionTuple,
        now_ns: i64,
        xmin: Option<i64>,
        mark: &str,
    ) -> PyResult<(Bound<'py, PyList>, usize, usize)> {
        let lines = lines.as_bytes().get(start..).unwrap_or_default();
        let position = position_of(position);
        let facts = Facts {
            commit_us: position.commit_us,
            now_ns,
            commit_lsn: position.commit_lsn,
            lsn: position.lsn,
            xid: position.xid,
            xmin,
            origin: None,
            operation: b'r',
            mark,
        };
        let (records, gone) = py.detach(|| {
            let mut records = Vec::new();
            let gone = self.table.read(lines, &facts, |record| records.push(record));
            (records, gone)
        });
        let messages = PyList::empty(py);
        let mut size = 0;
        for record in &records {
            messages.append(message_of(py, record)?)?;
            size += [&record.key, &record.value]
                .into_iter()
                .flatten()
                .map(Vec::len)
                .sum::<usize>();
        }
        Ok((messages, start + gone, size))
    }
}

#[pyclass(module = "moldau._core")]
pub struct ChangeStream {
    stream: Stream,
}

#[pymethods]
impl ChangeStream {
    #[new]
    fn new() -> ChangeStream {
        ChangeStream {
            stream: Stream::default(),
        }
    }

    /// What a relation is: compiled, or (`None`) one whose changes are passed over.
    fn put(&mut self, oid: u32, table: Option<&ChangeTable>) {
        let relation = table.map_or(Relation::PassedOver, |table| {
            Relation::Captured(Arc::clone(&table.table))
        });
        self.stream.relations.insert(oid, relation);
    }

    /// Leave a relation to the connector from now on.
    fn remove(&mut self, oid: u32) {
        self.stream.relations.remove(&oid);
    }

    /// A run of messages from the place `start` on.
    #[allow(clippy::too_many_arguments)]
    fn run<'py>(
        &self,
        py: Python<'py>,
        messages: &Bound<'py, PyList>,
        start: usize,
        position: PositionTuple,
        now_ns: i64,
        xmin: Option<i64>,
        origin: Option<(String, i64)>,
        watched_from: Option<u32>,
    ) -> PyResult<RunTuple<'py>> {
        let held: Vec<Bound<'py, PyBytes>> = messages
            .iter()
            .skip(start)
            .map(|message| message.cast_into::<PyBytes>().map_err(PyErr::from))
            .collect::<PyResult<_>>()?;
        let data = slices(&held);
        let surroundings = Surroundings {
            now_ns,
            xmin,
            origin: origin.as_ref().map(|(name, lsn)| (name.as_str(), *lsn)),
            watched_from,
        };
        let position = position_of(position);
        let (run, records) = py.detach(|| {
            let mut records: Vec<(u32, Record)> = Vec::with_capacity(data.len());
            let run = self
                .stream
                .run(data.into_iter(), position, surroundings, |oid, record| {
                    records.push((oid, record));
                });
            (run, records)
        });
        let count = records.len();
        let by_relation = PyDict::new(py);
        let mut lists: HashMap<u32, Bound<'py, PyList>> = HashMap::new();
        for (oid, record) in &records {
            let list = match lists.entry(*oid) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => {
                    let list = PyList::empty(py);
                    by_relation.set_item(oid, &list)?;
                    place.insert(list)
                }
            };
            list.append(message_of(py, record)?)?;
        }
        let last = run.last_event.as_ref().map(told);
        let seen = run.counts;
        Ok((
            run.messages,
            told(&run.position),
            last,
            run.in_transaction,
            count,
            by_relation,
            (
                seen.created,
                seen.updated,
                seen.deleted,
                seen.passed_over,
                seen.transactions,
            ),
            run.begun,
        ))
    }
}
