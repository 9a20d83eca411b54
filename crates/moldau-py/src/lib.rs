//! `moldau._core`: the only crate that knows PyO3. One file per exposed class.
//!
//! It translates and does not decide: Python values become the plain structs of `moldau-log` and `moldau-server`,
//! their errors become `CoreError` with Kafka's code. `python/moldau/_core.pyi` says what every method promises.

mod core;
mod error;
mod events;
mod logging;
mod metrics;
mod records;
mod request;
mod settings;

use pyo3::prelude::*;

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("version", env!("CARGO_PKG_VERSION"))?;
    module.add("CoreError", error::exception_type(module.py())?)?;
    module.add_class::<core::Core>()?;
    module.add_class::<request::Request>()?;
    module.add_function(wrap_pyfunction!(take_log_lines, module)?)?;
    Ok(())
}

#[pyfunction]
fn take_log_lines() -> Vec<logging::Line> {
    logging::take_lines()
}
