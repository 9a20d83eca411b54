//! `moldau._core`: the only crate that knows PyO3. One file per exposed class.
//!
//! It translates and does not decide: Python values become the plain structs of `moldau-log` and `moldau-server`,
//! their errors become `CoreError` with Kafka's code. `python/moldau/_core.pyi` says what every method promises.

mod access;
mod accumulator;
mod avro;
mod change;
mod cleaner;
mod columns;
mod compression;
mod core;
mod error;
mod events;
mod expressions;
mod leases;
mod logging;
mod message;
mod metrics;
mod moment;
mod mover;
mod pattern;
mod producers;
mod records;
mod request;
mod settings;
mod shape;
mod stage;
mod statuses;
mod tables;

use pyo3::prelude::*;
use twox_hash::XxHash3_64;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("version", env!("CARGO_PKG_VERSION"))?;
    module.add("CoreError", error::exception_type(module.py())?)?;
    module.add("AvroError", avro::exception_type(module.py())?)?;
    module.add_class::<accumulator::ProducerBatch>()?;
    module.add_class::<accumulator::RecordAccumulator>()?;
    module.add_class::<avro::AvroDecoder>()?;
    module.add_class::<avro::AvroEncoder>()?;
    module.add_class::<tables::AggregateTable>()?;
    module.add_class::<tables::LookupTable>()?;
    module.add_class::<change::ChangeStream>()?;
    module.add_class::<change::ChangeTable>()?;
    module.add_class::<columns::ColumnProgram>()?;
    module.add_class::<columns::ColumnRun>()?;
    module.add_class::<columns::RecordBlock>()?;
    module.add_class::<core::Core>()?;
    module.add_class::<leases::Leases>()?;
    module.add_class::<message::MessageCodec>()?;
    module.add_class::<pattern::TopicPattern>()?;
    module.add_class::<request::Request>()?;
    module.add_function(wrap_pyfunction!(compression::decompress, module)?)?;
    module.add_function(wrap_pyfunction!(records::decode_batches, module)?)?;
    module.add_function(wrap_pyfunction!(records::encode_batch, module)?)?;
    module.add_function(wrap_pyfunction!(take_log_lines, module)?)?;
    module.add_function(wrap_pyfunction!(xxh3_64, module)?)?;
    Ok(())
}

#[pyfunction]
fn take_log_lines() -> Vec<logging::Line> {
    logging::take_lines()
}

/// The hash by which Kafka 4.3 notices that the topics of a group have changed.
#[pyfunction]
fn xxh3_64(data: &[u8]) -> i64 {
    XxHash3_64::oneshot(data).cast_signed()
}
