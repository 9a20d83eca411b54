//! `RecordAccumulator` and `ProducerBatch`: what a producer was given, in the batches that it sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use moldau_columns::accumulator::{Accumulator, Limits, NewRecord, Pending, TooLarge, each};
use moldau_log::CompressionSetting;
use moldau_log::batch::RecordHeader;
use parking_lot::Mutex;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::pybacked::{PyBackedBytes, PyBackedStr};
use pyo3::types::{PyBytes, PyList};

use crate::columns::ColumnRun;

type Headers = Vec<(PyBackedStr, Option<PyBackedBytes>)>;

/// What became of a record, as `append` tells it.
const TAKEN: i32 = 0;
const TAKEN_WITH_NEWS: i32 = 1;
const TOO_LARGE: i32 = 2;
const NO_ROOM: i32 = 3;

#[pyclass(module = "moldau._core", frozen)]
pub struct RecordAccumulator {
    inner: Mutex<Accumulator>,
    bytes: Arc<AtomicUsize>,
    room_bytes: usize,
}

#[pymethods]
impl RecordAccumulator {
    #[new]
    #[pyo3(signature = (batch_bytes, batch_records, record_bytes, room_bytes, *, transactional = false))]
    fn new(
        batch_bytes: usize,
        batch_records: usize,
        record_bytes: usize,
        room_bytes: usize,
        transactional: bool,
    ) -> RecordAccumulator {
        let accumulator = Accumulator::new(Limits {
            batch_bytes,
            record_bytes,
            batch_records,
            transactional,
        });
        RecordAccumulator {
            bytes: accumulator.bytes(),
            inner: Mutex::new(accumulator),
            room_bytes,
        }
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    #[getter]
    fn has_room(&self) -> bool {
        self.size_bytes() < self.room_bytes
    }

    fn add_topic(&self) -> usize {
        self.inner.lock().add_topic()
    }

    fn set_partitions(&self, topic: usize, count: usize) -> PyResult<()> {
        let mut inner = self.inner.lock();
        check_topic(&inner, topic)?;
        inner.set_partitions(topic, count);
        Ok(())
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one call per record: they are passed as they are"
    )]
    fn append(
        &self,
        topic: usize,
        partition: i32,
        key: Option<PyBackedBytes>,
        value: Option<PyBackedBytes>,
        timestamp_ms: i64,
        headers: Option<Headers>,
        now: f64,
    ) -> PyResult<i32> {
        let mut inner = self.inner.lock();
        let partition = checked(&inner, topic, partition)?;
        if !self.has_room() {
            return Ok(NO_ROOM);
        }
        let headers = headers.unwrap_or_default();
        let headers: Vec<RecordHeader<'_>> = headers
            .iter()
            .map(|(key, value)| RecordHeader {
                key: key.as_bytes(),
                value: value.as_deref(),
            })
            .collect();
        let record = NewRecord {
            key: key.as_deref(),
            value: value.as_deref(),
            timestamp_ms,
            headers: &headers,
        };
        Ok(match inner.append(topic, partition, &record, now) {
            Err(TooLarge) => TOO_LARGE,
            Ok(()) if inner.has_news() => TAKEN_WITH_NEWS,
            Ok(()) => TAKEN,
        })
    }

    /// All records of an output; the places of those that are too large.
    fn append_run(
        &self,
        py: Python<'_>,
        topic: usize,
        run: &ColumnRun,
        output: usize,
        now: f64,
    ) -> PyResult<Vec<usize>> {
        let output = run.output(output)?;
        py.detach(|| {
            let mut inner = self.inner.lock();
            checked(&inner, topic, -1)?;
            let mut refused = Vec::new();
            let mut headers = Vec::new();
            for (place, record) in output.records.iter().enumerate() {
                let row = &run.block.rows()[record.row];
                headers.clear();
                headers.extend(run.block.headers(row).map(|(key, value)| RecordHeader { key, value }));
                let record = NewRecord {
                    key: output.key(record),
                    value: output.value(record),
                    // As the time of a record written one by one: 0 would be taken for no time at all.
                    timestamp_ms: if record.timestamp_ms == 0 {
                        1
                    } else {
                        record.timestamp_ms
                    },
                    headers: &headers,
                };
                if inner.append(topic, None, &record, now).is_err() {
                    refused.push(place);
                }
            }
            Ok(refused)
        })
    }

    fn take_news(&self) -> Vec<(usize, usize)> {
        self.inner.lock().take_news()
    }

    fn first(&self, topic: usize, partition: usize) -> Option<(f64, bool)> {
        self.inner.lock().first(topic, partition)
    }

    fn take(&self, topic: usize, partition: usize) -> Option<ProducerBatch> {
        let pending = self.inner.lock().take(topic, partition)?;
        Some(ProducerBatch { pending })
    }
}

fn check_topic(inner: &Accumulator, topic: usize) -> PyResult<()> {
    if topic < inner.topics() {
        return Ok(());
    }
    Err(PyIndexError::new_err(format!("there is no topic {topic}")))
}

fn checked(inner: &Accumulator, topic: usize, partition: i32) -> PyResult<Option<usize>> {
    check_topic(inner, topic)?;
    let count = inner.partitions(topic);
    if count == 0 {
        return Err(PyValueError::new_err("the topic has no partitions"));
    }
    match usize::try_from(partition) {
        Err(_) => Ok(None),
        Ok(partition) if partition < count => Ok(Some(partition)),
        Ok(partition) => Err(PyIndexError::new_err(format!(
            "there is no partition {partition}, there are {count}"
        ))),
    }
}

#[pyclass(module = "moldau._core", frozen)]
pub struct ProducerBatch {
    pending: Pending,
}

#[pymethods]
impl ProducerBatch {
    fn __len__(&self) -> usize {
        self.pending.records()
    }

    #[getter]
    fn since(&self) -> f64 {
        self.pending.since
    }

    #[getter]
    fn size_bytes(&self) -> usize {
        self.pending.size_bytes()
    }

    fn encode<'py>(
        &self,
        py: Python<'py>,
        compression: &str,
        level: Option<i32>,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let setting = match compression {
            "none" => CompressionSetting::Uncompressed,
            "gzip" => CompressionSetting::Gzip {
                level: level.unwrap_or(-1),
            },
            "snappy" => CompressionSetting::Snappy,
            "lz4" => CompressionSetting::Lz4 { level: 9 },
            "zstd" => CompressionSetting::Zstd {
                level: level.unwrap_or(3),
            },
            _ => {
                return Err(PyValueError::new_err(format!(
                    "there is no compression {compression:?}"
                )));
            }
        };
        let batch = py.detach(|| self.pending.encode(setting, producer_id, producer_epoch, base_sequence));
        Ok(PyBytes::new(py, &batch))
    }

    /// Each as timestamp, key, value, headers.
    fn records<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let mut outcome = Ok(());
        each(&self.pending.plain(), |_, record| {
            let headers: Vec<_> = record
                .headers
                .iter()
                .map(|header| {
                    let value = header.value.map(|value| PyBytes::new(py, value));
                    (String::from_utf8_lossy(header.key), value)
                })
                .collect();
            let key = record.key.map(|key| PyBytes::new(py, key));
            let value = record.value.map(|value| PyBytes::new(py, value));
            if outcome.is_ok() {
                outcome = list.append((record.timestamp_ms, key, value, headers));
            }
        });
        outcome.map(|()| list)
    }

    fn release(&self) {
        self.pending.release();
    }

    fn halves(&self) -> PyResult<(ProducerBatch, ProducerBatch)> {
        if self.pending.records() < 2 {
            return Err(PyValueError::new_err("a batch of one record has no halves"));
        }
        let (first, second) = self.pending.halves();
        Ok((ProducerBatch { pending: first }, ProducerBatch { pending: second }))
    }
}
