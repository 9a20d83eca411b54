//! `AggregateTable` and `LookupTable`: the groups of an aggregate in a task, and the rows of a table that its records are
//! joined with, above the stores that Python has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moldau_columns::lookup::{Lookup, Parts};
use moldau_columns::table::{Change, Changed, Held, Table, Written};
use moldau_columns::value::Value;
use moldau_columns::{Unusual, Usual};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyBytes, PyFloat, PyInt, PyList, PyString, PyTuple};

const START_BYTES: usize = 8;

#[pyclass(module = "moldau._core", frozen)]
pub struct AggregateTable {
    table: Mutex<Table>,
    load: Py<PyAny>,
    windowed: bool,
    written: Written,
}

#[pymethods]
impl AggregateTable {
    #[new]
    fn new(
        load: Py<PyAny>,
        names: Option<Vec<Vec<u8>>>,
        retention_ms: Option<i64>,
        groups_max: usize,
        update_bytes: usize,
        value_bytes: usize,
    ) -> AggregateTable {
        AggregateTable {
            table: Mutex::new(Table::new(retention_ms, groups_max, update_bytes, value_bytes)),
            load,
            windowed: retention_ms.is_some(),
            written: names.map_or(Written::Long, Written::Object),
        }
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    /// How many groups are kept from now on when all were handed over.
    fn limit(&self, groups_max: usize) {
        self.lock().groups_max = groups_max;
    }

    /// Goes on to the times of the aggregate and its store, that somebody else may have worked on.
    fn begin(&self, stream_time_ms: i64, store_time_ms: i64) {
        let clock = &mut self.lock().clock;
        clock.stream_time_ms = clock.stream_time_ms.max(stream_time_ms);
        clock.store_time_ms = clock.store_time_ms.max(store_time_ms);
    }

    #[getter]
    fn stream_time_ms(&self) -> i64 {
        self.lock().clock.stream_time_ms
    }

    /// How many records and windows were dropped since the last time: for what is null, for what is late.
    fn take_dropped(&self) -> (u64, u64) {
        let clock = &mut self.lock().clock;
        (std::mem::take(&mut clock.null), std::mem::take(&mut clock.late))
    }

    /// The groups that changed since the last time, in the order of their first changes.
    fn hand_over<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let changed = self.lock().hand_over();
        PyList::new(
            py,
            changed
                .iter()
                .map(|one| self.told(py, one))
                .collect::<PyResult<Vec<_>>>()?,
        )
    }

    /// The same as it is written, as place, value, time, number and headers of the last update; None, and nothing is
    /// handed over, if something in it is not usual.
    fn rows<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Ok(rows) = self.lock().write_rows(&self.written) else {
            return Ok(None);
        };
        let rows = rows.iter().map(|((place, held, change), value)| {
            let headers = headers(py, change)?;
            let (place, value) = (PyBytes::new(py, place), PyBytes::new(py, value));
            (place, value, held.timestamp_ms, change.number, headers).into_pyobject(py)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?).map(Some)
    }

    /// The same with what a store keeps of it in front: key, start and parts.
    fn rows_with_parts<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let Ok(rows) = self.lock().write_rows(&self.written) else {
            return Ok(None);
        };
        let rows = rows.iter().map(|((place, held, change), value)| {
            let (key, start) = self.key_and_start(place);
            let (key, parts, headers) = (PyBytes::new(py, key), parts(py, held)?, headers(py, change)?);
            let (place, value) = (PyBytes::new(py, place), PyBytes::new(py, value));
            let row = (
                key,
                start,
                parts,
                place,
                value,
                held.timestamp_ms,
                change.number,
                headers,
            );
            row.into_pyobject(py)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?).map(Some)
    }

    /// Forgets a group, that somebody else changes.
    fn forget(&self, place: &[u8]) {
        self.lock().forget(place);
    }
}

impl AggregateTable {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic of another thread leaves nothing half done that could be believed: the task fails with it.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table itself, for a run; it is given back with `put_back`.
    pub fn lend(&self) -> Table {
        std::mem::take(&mut *self.lock())
    }

    pub fn put_back(&self, table: Table) {
        *self.lock() = table;
    }

    /// What the store has of a group. An error is left to the functions, which get the same one.
    pub fn load(&self, key: &[u8], start: i64) -> Usual<Option<Held>> {
        Python::attach(|py| {
            let found = self.load.call1(py, (PyBytes::new(py, key), start));
            held(found.map_err(|_| Unusual)?.bind(py))
        })
    }

    fn told<'py>(&self, py: Python<'py>, (place, held, change): &Changed) -> PyResult<Bound<'py, PyTuple>> {
        let (key, start) = self.key_and_start(place);
        let update = (change.number, change.offset, change.moment_ms, headers(py, change)?);
        (
            PyBytes::new(py, key),
            start,
            parts(py, held)?,
            held.timestamp_ms,
            update,
        )
            .into_pyobject(py)
    }

    fn key_and_start<'p>(&self, place: &'p [u8]) -> (&'p [u8], i64) {
        match place.len().checked_sub(START_BYTES) {
            Some(at) if self.windowed => {
                let (key, start) = place.split_at(at);
                let start = start.iter().fold(0_i64, |start, byte| start << 8 | i64::from(*byte));
                (key, start)
            }
            _ => (place, 0),
        }
    }
}

#[pyclass(module = "moldau._core", frozen)]
pub struct LookupTable {
    lookup: Mutex<Lookup>,
    load: Py<PyAny>,
}

#[pymethods]
impl LookupTable {
    #[new]
    fn new(load: Py<PyAny>, rows_max: usize) -> LookupTable {
        LookupTable {
            lookup: Mutex::new(Lookup::new(rows_max)),
            load,
        }
    }

    fn __len__(&self) -> usize {
        self.lock().len()
    }

    /// How many rows are kept from now on.
    fn limit(&self, rows_max: usize) {
        self.lock().rows_max = rows_max;
    }

    /// How many records were dropped since the last time, for what is null.
    fn take_dropped(&self) -> u64 {
        std::mem::take(&mut self.lock().null)
    }

    /// Forgets rows, that somebody else changes.
    fn forget(&self, keys: Vec<Option<Bound<'_, PyBytes>>>) {
        let mut lookup = self.lock();
        for key in keys.iter().flatten() {
            lookup.forget(key.as_bytes());
        }
    }
}

impl LookupTable {
    fn lock(&self) -> MutexGuard<'_, Lookup> {
        // As of an `AggregateTable`.
        self.lookup.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The table itself, for a run; it is given back with `put_back`.
    pub fn lend(&self) -> Lookup {
        std::mem::take(&mut *self.lock())
    }

    pub fn put_back(&self, lookup: Lookup) {
        *self.lock() = lookup;
    }

    /// What the store has of a key. An error is left to the functions, which get the same one.
    pub fn load(&self, key: Option<&[u8]>) -> Usual<Option<Parts>> {
        Python::attach(|py| {
            let key = key.map(|key| PyBytes::new(py, key));
            let found = self.load.call1(py, (key,)).map_err(|_| Unusual)?;
            let found: Option<Vec<Bound<'_, PyAny>>> = found.bind(py).extract().map_err(|_| Unusual)?;
            Ok(found.map(|parts| parts.iter().map(|part| part_of_row(part).ok()).collect::<Arc<[_]>>()))
        })
    }
}

/// A part of a row: beside what groups hold it may be true or false, and so computed with.
fn part_of_row(object: &Bound<'_, PyAny>) -> Usual<Value<'static>> {
    if object.is_exact_instance_of::<PyBool>() {
        return object.extract().map(Value::Bool).map_err(|_| Unusual);
    }
    value(object)
}

fn parts<'py>(py: Python<'py>, held: &Held) -> PyResult<Bound<'py, PyTuple>> {
    let values = held.values.iter().map(|value| object(py, value));
    PyTuple::new(py, values.collect::<PyResult<Vec<_>>>()?)
}

fn headers<'py>(py: Python<'py>, change: &Change) -> PyResult<Bound<'py, PyTuple>> {
    let headers = change.headers.iter().map(|(name, value)| {
        let value = value.as_ref().map(|value| PyBytes::new(py, value));
        (String::from_utf8_lossy(name), value)
    });
    PyTuple::new(py, headers.collect::<Vec<_>>())
}

fn object<'py>(py: Python<'py>, value: &Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Int(number) => number.into_pyobject(py)?.into_any(),
        Value::Float(number) => number.into_pyobject(py)?.into_any(),
        Value::Text(text) => text.into_pyobject(py)?.into_any(),
        Value::Bool(_) | Value::Null | Value::Nested(_) => py.None().into_bound(py),
    })
}

/// What Python tells of a group, `(values, timestamp)` or None.
fn held(found: &Bound<'_, PyAny>) -> Usual<Option<Held>> {
    if found.is_none() {
        return Ok(None);
    }
    let (values, timestamp_ms): (Vec<Bound<'_, PyAny>>, i64) = found.extract().map_err(|_| Unusual)?;
    let values = values.iter().map(value).collect::<Usual<_>>()?;
    Ok(Some(Held { values, timestamp_ms }))
}

fn value(object: &Bound<'_, PyAny>) -> Usual<Value<'static>> {
    if object.is_none() {
        Ok(Value::Null)
    } else if object.is_exact_instance_of::<PyInt>() {
        object.extract().map(Value::Int).map_err(|_| Unusual)
    } else if object.is_exact_instance_of::<PyFloat>() {
        let number: f64 = object.extract().map_err(|_| Unusual)?;
        if number.is_finite() {
            Ok(Value::Float(number))
        } else {
            Err(Unusual)
        }
    } else if object.is_exact_instance_of::<PyString>() {
        let text: String = object.extract().map_err(|_| Unusual)?;
        Ok(Value::Text(text.into()))
    } else {
        // `True` and `False` too, which are kept as they are and no numbers when they come back.
        Err(Unusual)
    }
}
