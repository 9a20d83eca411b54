//! Records in and out of internal partitions: what a machine wrote, and what it reads back at the next start.

use bytes::BytesMut;
use moldau_log::batch::{BatchBuilder, BatchError, BatchView, batches, set_base_offset};
use moldau_log::{LeaderEpoch, Offset, PartitionLog, ProducerEpoch, ProducerId};
use moldau_server::ErrorCode;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::Refusal;

/// Key and value of a record on its way in.
pub type KeyAndValue = (Option<Vec<u8>>, Option<Vec<u8>>);

/// A record as it goes to Python.
pub struct StoredRecord {
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub producer_id: i64,
    pub producer_epoch: i16,
    pub is_control: bool,
}

impl StoredRecord {
    /// As an instance of `class`, the named tuple of `core_types`.
    pub fn into_python<'py>(self, class: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let bytes = |data: Option<Vec<u8>>| data.map(|data| PyBytes::new(class.py(), &data));
        class.call1((
            self.offset,
            self.timestamp_ms,
            bytes(self.key),
            bytes(self.value),
            self.producer_id,
            self.producer_epoch,
            self.is_control,
        ))
    }
}

/// One uncompressed batch of `records`; with a producer id and epoch it is part of that producer's transaction.
pub fn build_batch(records: &[KeyAndValue], timestamp_ms: i64, producer: Option<(i64, i16)>) -> BytesMut {
    let mut builder = BatchBuilder::new();
    if let Some((id, epoch)) = producer {
        builder = builder
            .producer(ProducerId(id), ProducerEpoch(epoch), -1)
            .transactional();
    }
    for (key, value) in records {
        builder.append(timestamp_ms, key.as_deref(), value.as_deref(), &[]);
    }
    builder.finish()
}

/// A batch as it stands in a file of its own: a snapshot of the metadata.
#[pyfunction]
#[pyo3(signature = (records, base_offset, leader_epoch, timestamp_ms, *, control))]
pub fn encode_batch<'py>(
    py: Python<'py>,
    records: Vec<KeyAndValue>,
    base_offset: i64,
    leader_epoch: i32,
    timestamp_ms: i64,
    control: bool,
) -> Bound<'py, PyBytes> {
    let batch = py.detach(|| {
        let mut builder = BatchBuilder::new().leader_epoch(LeaderEpoch(leader_epoch));
        if control {
            builder = builder.control();
        }
        for (key, value) in &records {
            builder.append(timestamp_ms, key.as_deref(), value.as_deref(), &[]);
        }
        let mut batch = builder.finish();
        set_base_offset(&mut batch, Offset(base_offset));
        batch
    });
    PyBytes::new(py, &batch)
}

/// Every record of a file of batches; a file that is torn or damaged anywhere gives none.
#[pyfunction]
pub fn decode_batches<'py>(py: Python<'py>, content: &[u8]) -> PyResult<Vec<Bound<'py, PyAny>>> {
    let records = py.detach(|| {
        let mut found = Vec::new();
        for batch in batches(content) {
            let batch = batch?;
            if !batch.crc_matches() {
                return Err(BatchError::Corrupt("the checksum of a batch is wrong"));
            }
            take_records(&batch, &mut found, |_| true)?;
        }
        Ok(found)
    });
    let records = records.map_err(|error| PyValueError::new_err(error.to_string()))?;
    let class = py.import("moldau.server.core_types")?.getattr("StoredRecord")?;
    records.into_iter().map(|record| record.into_python(&class)).collect()
}

/// Add the records of `batch` to `found` whose offset is wanted.
fn take_records(
    batch: &BatchView<'_>,
    found: &mut Vec<StoredRecord>,
    is_wanted: impl Fn(Offset) -> bool,
) -> Result<(), BatchError> {
    for record in batch.decode()?.iter() {
        let record = record?;
        if !is_wanted(record.offset) {
            continue;
        }
        found.push(StoredRecord {
            offset: record.offset.0,
            timestamp_ms: record.timestamp_ms,
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            producer_id: batch.producer_id().0,
            producer_epoch: batch.producer_epoch().0,
            is_control: batch.is_control(),
        });
    }
    Ok(())
}

/// Records from `from` up to the high watermark, about `max_bytes` of them, those of control batches among them.
///
/// Empty only when there is nothing more: a stretch without records is read past, however long.
pub fn read_records(log: &PartitionLog, from: Offset, max_bytes: usize) -> Result<Vec<StoredRecord>, Refusal> {
    let upper_bound = log.high_watermark();
    let mut position = from;
    let mut found = Vec::new();
    while found.is_empty() && position < upper_bound {
        let slice = log.read(position, max_bytes, upper_bound, true)?;
        let bytes = slice.to_bytes()?;
        let start = position;
        for batch in batches(&bytes) {
            let batch = match batch {
                // The read ended inside a batch; the next one begins there.
                Err(BatchError::Truncated { .. }) if position > start => break,
                other => other.map_err(|error| corrupt(log, position, &error))?,
            };
            // A bit that flipped on the disk must not become a decision that nobody took.
            if !batch.crc_matches() {
                return Err(corrupt(log, position, &"the checksum of a batch is wrong"));
            }
            position = batch.last_offset().plus(1);
            take_records(&batch, &mut found, |offset| offset >= from && offset < upper_bound)
                .map_err(|error| corrupt(log, position, &error))?;
        }
        if position == start {
            return Err(corrupt(log, position, &"there is no batch before the high watermark"));
        }
    }
    Ok(found)
}

fn corrupt(log: &PartitionLog, near: Offset, error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(
        ErrorCode::CORRUPT_MESSAGE,
        format!("{} near offset {near}: {error}", log.topic_partition()),
    )
}
