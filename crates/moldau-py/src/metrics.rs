//! What is asked of a scrape: families as `moldau.observe` declares them.

use moldau_server::{Family, Measure};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// `MetricFamily`: measure, name, kind, help.
pub type PythonFamily = (String, String, String, String);

/// Families, each by the name of what it measures.
pub fn families(given: Vec<PythonFamily>) -> PyResult<Vec<Family>> {
    given
        .into_iter()
        .map(|(measure, name, kind, help)| {
            let measure = Measure::named(&measure)
                .ok_or_else(|| PyValueError::new_err(format!("nothing is measured as {measure:?}")))?;
            Ok(Family {
                measure,
                name,
                kind,
                help,
            })
        })
        .collect()
}
