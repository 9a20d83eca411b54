//! `RecordBlock`, `ColumnProgram` and `ColumnRun`: records as they are fetched, and topologies of expressions over them.

use std::sync::Arc;

use moldau_columns::aggregate::{Aggregate, MOMENT_MAX, NotNull, Part, Windows};
use moldau_columns::block::Row;
use moldau_columns::expression::Expression;
use moldau_columns::lookup::Lookup;
use moldau_columns::program::{Join, KeyForm, KeyKind, Node, Output, Run, ValueForm};
use moldau_columns::source::{Absent, Field, FieldKind, Source};
use moldau_columns::table::{Table, Tables};
use moldau_columns::write::Kind;
use moldau_columns::{Block, Program};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyList, PyTuple};

use crate::expressions::{constant_of, expression_of, unknown, within};
use crate::tables::{AggregateTable, LookupTable};

#[pyclass(module = "moldau._core", frozen)]
pub struct RecordBlock {
    block: Arc<Block<PyBackedBytes>>,
}

#[pymethods]
impl RecordBlock {
    #[new]
    fn new(py: Python<'_>, answer: PyBackedBytes, offset: i64, aborted: Option<Vec<(i64, i64)>>) -> PyResult<Self> {
        let block = py
            .detach(|| Block::read(answer, offset, aborted.as_deref()))
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(RecordBlock { block: Arc::new(block) })
    }

    fn __len__(&self) -> usize {
        self.block.rows().len()
    }

    #[getter]
    fn next_offset(&self) -> i64 {
        self.block.next_offset()
    }

    #[getter]
    fn leader_epochs(&self) -> Vec<(i64, i32)> {
        self.block.leader_epochs().to_vec()
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.block.size_bytes()
    }

    /// The offset of a record.
    fn offset(&self, place: usize) -> PyResult<i64> {
        let row = self.block.rows().get(place);
        row.map(|row| row.offset)
            .ok_or_else(|| PyIndexError::new_err(format!("there is no record {place}")))
    }

    /// The time of a record.
    fn timestamp(&self, place: usize) -> PyResult<i64> {
        let row = self.block.rows().get(place);
        row.map(|row| row.timestamp_ms)
            .ok_or_else(|| PyIndexError::new_err(format!("there is no record {place}")))
    }

    /// The first of some of the records that is not older than a moment.
    fn until(&self, start: usize, stop: usize, moment_ms: i64) -> usize {
        self.block.until(start, stop, moment_ms)
    }

    /// Some of the records, each as offset, timestamp, key, value, headers.
    fn records<'py>(&self, py: Python<'py>, start: usize, stop: usize) -> PyResult<Bound<'py, PyList>> {
        let rows = self.block.rows();
        let stop = stop.min(rows.len());
        let none = PyTuple::empty(py).into_any();
        PyList::new(
            py,
            rows.get(start..stop)
                .unwrap_or(&[])
                .iter()
                .map(|row| record(py, &self.block, row, &none))
                .collect::<PyResult<Vec<_>>>()?,
        )
    }
}

fn record<'py>(
    py: Python<'py>,
    block: &Block<PyBackedBytes>,
    row: &Row,
    none: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyTuple>> {
    (
        row.offset,
        row.timestamp_ms,
        block.key(row).map(|key| PyBytes::new(py, key)),
        block.value(row).map(|value| PyBytes::new(py, value)),
        headers(py, block, row, none)?,
    )
        .into_pyobject(py)
}

fn headers<'py>(
    py: Python<'py>,
    block: &Block<PyBackedBytes>,
    row: &Row,
    none: &Bound<'py, PyAny>,
) -> PyResult<Bound<'py, PyAny>> {
    if row.headers.is_empty() {
        return Ok(none.clone());
    }
    let told = block
        .headers(row)
        .map(|(key, value)| (String::from_utf8_lossy(key), value.map(|value| PyBytes::new(py, value))));
    Ok(PyList::new(py, told.collect::<Vec<_>>())?.into_any())
}

#[pyclass(module = "moldau._core", frozen)]
pub struct ColumnProgram {
    program: Program,
}

#[pymethods]
impl ColumnProgram {
    #[new]
    #[pyo3(signature = (key, value, registers, nodes, roots, outputs, tables, lookups=0))]
    #[expect(clippy::too_many_arguments, reason = "the parts of a program")]
    fn new(
        key: &str,
        value: &Bound<'_, PyAny>,
        registers: usize,
        nodes: Vec<Bound<'_, PyTuple>>,
        roots: Vec<usize>,
        outputs: usize,
        tables: usize,
        lookups: usize,
    ) -> PyResult<ColumnProgram> {
        let key = match key {
            "text" => KeyKind::Text,
            "bytes" => KeyKind::Bytes,
            "long" => KeyKind::Long,
            _ => return Err(unknown("kind of key", key)),
        };
        let source = source_of(value)?;
        let known = Known {
            registers,
            nodes: nodes.len(),
            outputs,
            tables,
            lookups,
        };
        if let Source::Object(fields) = &source
            && let Some(last) = fields.len().checked_sub(1)
        {
            known.register(last)?;
        }
        for root in &roots {
            known.node(*root)?;
        }
        let nodes = nodes
            .iter()
            .enumerate()
            .map(|(number, node)| known.node_of(number, node))
            .collect::<PyResult<_>>()?;
        Ok(ColumnProgram {
            program: Program {
                key,
                source,
                registers,
                nodes,
                roots,
                outputs,
                tables,
                lookups,
            },
        })
    }

    /// Takes records of a block through the topology, from `start` on, up to `stop` or the first unusual one, or until
    /// the tables hold more updates than there is room for.
    #[pyo3(signature = (block, start, stop, tables=Vec::new(), room_bytes=usize::MAX, lookups=Vec::new()))]
    #[expect(clippy::too_many_arguments, reason = "what a program is run over, and with")]
    fn run(
        &self,
        py: Python<'_>,
        block: &RecordBlock,
        start: usize,
        stop: usize,
        tables: Vec<Py<AggregateTable>>,
        room_bytes: usize,
        lookups: Vec<Py<LookupTable>>,
    ) -> PyResult<ColumnRun> {
        for (what, wanted, given) in [
            ("tables", self.program.tables, tables.len()),
            ("lookups", self.program.lookups, lookups.len()),
        ] {
            if given != wanted {
                return Err(PyValueError::new_err(format!(
                    "a program with {wanted} {what} was given {given}"
                )));
            }
        }
        let block = Arc::clone(&block.block);
        let run = py.detach(|| {
            let mut lent: Vec<Table> = tables.iter().map(|table| table.get().lend()).collect();
            let mut rows: Vec<Lookup> = lookups.iter().map(|lookup| lookup.get().lend()).collect();
            let run = self.program.run(
                &block,
                start,
                stop,
                Tables {
                    tables: &mut lent,
                    load: &mut |table, key, moment| tables[table].get().load(key, moment),
                    room_bytes,
                    lookups: &mut rows,
                    look_up: &mut |lookup, key| lookups[lookup].get().load(key),
                },
            );
            for (table, lent) in tables.iter().zip(lent) {
                table.get().put_back(lent);
            }
            for (lookup, lent) in lookups.iter().zip(rows) {
                lookup.get().put_back(lent);
            }
            run
        });
        Ok(ColumnRun { run, block })
    }
}

#[pyclass(module = "moldau._core", frozen)]
pub struct ColumnRun {
    run: Run,
    pub block: Arc<Block<PyBackedBytes>>,
}

#[pymethods]
impl ColumnRun {
    #[getter]
    fn stop(&self) -> usize {
        self.run.stop
    }

    #[getter]
    fn latest_ms(&self) -> i64 {
        self.run.latest_ms
    }

    #[getter]
    fn full(&self) -> bool {
        self.run.full
    }

    /// How many records an output has.
    fn count(&self, output: usize) -> PyResult<usize> {
        Ok(self.output(output)?.records.len())
    }

    /// The records of an output, each as key, value, timestamp, headers.
    fn records<'py>(&self, py: Python<'py>, output: usize) -> PyResult<Bound<'py, PyList>> {
        let output = self.output(output)?;
        let none = PyTuple::empty(py).into_any();
        let list = PyList::empty(py);
        for record in &output.records {
            let row = &self.block.rows()[record.row];
            list.append((
                output.key(record).map(|key| PyBytes::new(py, key)),
                output.value(record).map(|value| PyBytes::new(py, value)),
                record.timestamp_ms,
                headers(py, &self.block, row, &none)?,
            ))?;
        }
        Ok(list)
    }
}

impl ColumnRun {
    pub fn output(&self, number: usize) -> PyResult<&Output> {
        self.run
            .outputs
            .get(number)
            .ok_or_else(|| PyValueError::new_err(format!("there is no output {number}")))
    }
}

fn source_of(value: &Bound<'_, PyAny>) -> PyResult<Source> {
    if let Ok(name) = value.extract::<String>() {
        return match name.as_str() {
            "bytes" => Ok(Source::Bytes),
            "text" => Ok(Source::Text),
            _ => Err(unknown("kind of value", &name)),
        };
    }
    let fields: Vec<Bound<'_, PyTuple>> = value.extract()?;
    Ok(Source::Object(fields.iter().map(field_of).collect::<PyResult<_>>()?))
}

fn field_of(field: &Bound<'_, PyTuple>) -> PyResult<Field> {
    let (name, kind, nullable, absent): (String, String, bool, Bound<'_, PyTuple>) = field.extract()?;
    let kind = match kind.as_str() {
        "any" => FieldKind::Any,
        "bool" => FieldKind::Bool,
        "int" => FieldKind::Int,
        "float" => FieldKind::Float,
        "text" => FieldKind::Text,
        _ => return Err(unknown("kind of field", &kind)),
    };
    let what: String = absent.get_item(0)?.extract()?;
    let absent = match what.as_str() {
        "missing" => Absent::Missing,
        "required" => Absent::Required,
        "default" => Absent::Default(constant_of(&absent.get_item(1)?)?),
        _ => return Err(unknown("default", &what)),
    };
    Ok(Field {
        name,
        kind,
        nullable,
        absent,
    })
}

/// How many there are of what parts of a program name by number.
struct Known {
    registers: usize,
    nodes: usize,
    outputs: usize,
    tables: usize,
    lookups: usize,
}

impl Known {
    fn register(&self, number: usize) -> PyResult<usize> {
        within("register", number, self.registers)
    }

    fn node(&self, number: usize) -> PyResult<usize> {
        within("node", number, self.nodes)
    }

    /// The nodes behind the node `number`, each of which must come after it: so no record goes round in circles.
    fn after(&self, number: usize, nodes: &Bound<'_, PyAny>) -> PyResult<Vec<usize>> {
        let nodes: Vec<usize> = nodes.extract()?;
        for node in &nodes {
            self.later(number, *node)?;
        }
        Ok(nodes)
    }

    fn later(&self, number: usize, node: usize) -> PyResult<usize> {
        if node <= number {
            return Err(PyValueError::new_err(format!(
                "node {node} is not behind node {number}"
            )));
        }
        self.node(node)
    }

    fn node_of(&self, number: usize, node: &Bound<'_, PyTuple>) -> PyResult<Node> {
        let what: String = node.get_item(0)?.extract()?;
        Ok(match what.as_str() {
            "filter" => Node::Filter {
                predicate: self.expression(&node.get_item(1)?)?,
                wanted: node.get_item(2)?.extract()?,
                then: self.after(number, &node.get_item(3)?)?,
            },
            "keep" => {
                let parts: Vec<(usize, Bound<'_, PyAny>)> = node.get_item(1)?.extract()?;
                Node::Keep {
                    parts: parts
                        .iter()
                        .map(|(place, expression)| Ok((self.register(*place)?, self.expression(expression)?)))
                        .collect::<PyResult<_>>()?,
                    then: self.after(number, &node.get_item(2)?)?,
                }
            }
            "branch" => {
                let branches: Vec<(Bound<'_, PyAny>, usize)> = node.get_item(1)?.extract()?;
                let default: Option<usize> = node.get_item(2)?.extract()?;
                Node::Branch {
                    branches: branches
                        .iter()
                        .map(|(expression, then)| Ok((self.expression(expression)?, self.later(number, *then)?)))
                        .collect::<PyResult<_>>()?,
                    default: default.map(|then| self.later(number, then)).transpose()?,
                }
            }
            "pass" => Node::Pass(self.after(number, &node.get_item(1)?)?),
            "keyed" => {
                let register: Option<usize> = node.get_item(1)?.extract()?;
                Node::Keyed {
                    register: register.map(|register| self.register(register)).transpose()?,
                    then: self.after(number, &node.get_item(2)?)?,
                }
            }
            "aggregate" => Node::Aggregate(self.aggregate(number, node)?),
            "join" => Node::Join(self.join(number, node)?),
            "sink" => Node::Sink {
                output: within("output", node.get_item(1)?.extract()?, self.outputs)?,
                key: self.key_form(&node.get_item(2)?)?,
                value: self.value_form(&node.get_item(3)?)?,
            },
            _ => return Err(unknown("node", &what)),
        })
    }

    /// `("aggregate", table, windows, parts, not_null, first_register, nodes)`; without a register nothing is handed on.
    fn aggregate(&self, number: usize, node: &Bound<'_, PyTuple>) -> PyResult<Aggregate> {
        let windows: Option<(i64, i64, i64)> = node.get_item(2)?.extract()?;
        let windows = windows.map(windows_of).transpose()?;
        let parts: Vec<Bound<'_, PyTuple>> = node.get_item(3)?.extract()?;
        let parts = parts.iter().map(|part| self.part(part)).collect::<PyResult<Vec<_>>>()?;
        let not_null = self.not_null(&node.get_item(4)?)?;
        let first: Option<usize> = node.get_item(5)?.extract()?;
        if let (Some(first), Some(others)) = (first, parts.len().checked_sub(1)) {
            self.register(first.saturating_add(others))?;
        }
        Ok(Aggregate {
            table: within("table", node.get_item(1)?.extract()?, self.tables)?,
            windows,
            parts,
            not_null,
            emits: first.is_some(),
            first_register: first.unwrap_or(0),
            then: self.after(number, &node.get_item(6)?)?,
        })
    }

    /// `("join", lookup, not_null, keeps_unmatched, first_register, parts, nodes)`
    fn join(&self, number: usize, node: &Bound<'_, PyTuple>) -> PyResult<Join> {
        let (first_register, parts): (usize, usize) = (node.get_item(4)?.extract()?, node.get_item(5)?.extract()?);
        if let Some(others) = parts.checked_sub(1) {
            self.register(first_register.saturating_add(others))?;
        }
        Ok(Join {
            lookup: within("lookup", node.get_item(1)?.extract()?, self.lookups)?,
            not_null: self.not_null(&node.get_item(2)?)?,
            keeps_unmatched: node.get_item(3)?.extract()?,
            first_register,
            parts,
            then: self.after(number, &node.get_item(6)?)?,
        })
    }

    fn not_null(&self, rule: &Bound<'_, PyAny>) -> PyResult<NotNull> {
        match rule.get_item(0)?.extract::<String>()?.as_str() {
            "key" => Ok(NotNull::Key),
            "value" => Ok(NotNull::Value),
            "register" => Ok(NotNull::Register(self.register(rule.get_item(1)?.extract()?)?)),
            what => Err(unknown("rule for nulls", what)),
        }
    }

    fn part(&self, part: &Bound<'_, PyTuple>) -> PyResult<Part> {
        let of = || self.expression(&part.get_item(1)?);
        Ok(match part.get_item(0)?.extract::<String>()?.as_str() {
            "count" => Part::Count,
            "counted" => Part::Counted(of()?),
            "sum" => Part::Sum(of()?),
            "min" => Part::Least(of()?),
            "max" => Part::Greatest(of()?),
            what => return Err(unknown("aggregation", what)),
        })
    }

    fn key_form(&self, form: &Bound<'_, PyAny>) -> PyResult<KeyForm> {
        let what: String = form.get_item(0)?.extract()?;
        match what.as_str() {
            "record" => Ok(KeyForm::Record),
            "window" => Ok(KeyForm::Window),
            "register" => {
                let (number, kind) = self.kept(form)?;
                Ok(KeyForm::Register(number, kind))
            }
            _ => Err(unknown("form of keys", &what)),
        }
    }

    fn value_form(&self, form: &Bound<'_, PyAny>) -> PyResult<ValueForm> {
        let what: String = form.get_item(0)?.extract()?;
        Ok(match what.as_str() {
            "record" => ValueForm::Record,
            "again" => ValueForm::Again,
            "register" => {
                let (number, kind) = self.kept(form)?;
                ValueForm::Register(number, kind)
            }
            "object" => {
                let parts: Vec<(Vec<u8>, usize)> = form.get_item(1)?.extract()?;
                for (_, number) in &parts {
                    self.register(*number)?;
                }
                ValueForm::Object {
                    parts,
                    of_record: form.get_item(2)?.extract()?,
                }
            }
            _ => return Err(unknown("form of values", &what)),
        })
    }

    fn kept(&self, form: &Bound<'_, PyAny>) -> PyResult<(usize, Kind)> {
        let kind: String = form.get_item(2)?.extract()?;
        let kind = match kind.as_str() {
            "json" => Kind::Json,
            "text" => Kind::Text,
            "long" => Kind::Long,
            "double" => Kind::Double,
            "type" => Kind::ByType,
            _ => return Err(unknown("serde", &kind)),
        };
        Ok((self.register(form.get_item(1)?.extract()?)?, kind))
    }

    fn expression(&self, tree: &Bound<'_, PyAny>) -> PyResult<Expression> {
        expression_of(tree, self.registers)
    }
}

/// Windows of a size, an advance and a grace (ms) that can be computed with.
fn windows_of((size_ms, advance_ms, grace_ms): (i64, i64, i64)) -> PyResult<Windows> {
    let sizes = 1..=MOMENT_MAX;
    if sizes.contains(&size_ms) && (1..=size_ms).contains(&advance_ms) && (0..=MOMENT_MAX).contains(&grace_ms) {
        Ok(Windows {
            size_ms,
            advance_ms,
            grace_ms,
        })
    } else {
        Err(PyValueError::new_err(format!(
            "windows of {size_ms} ms every {advance_ms} ms with a grace of {grace_ms} ms are none"
        )))
    }
}
