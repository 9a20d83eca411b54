//! Decimals: the digits as a big-endian two's-complement number, the point where the schema puts it. Never rounded.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyInt, PyType};

static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
static EXACT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();

pub fn class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    DECIMAL.import(py, "decimal", "Decimal")
}

/// A context in which nothing is rounded.
fn exact(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    let context = EXACT.get_or_try_init(py, || {
        let module = py.import("decimal")?;
        let settings = PyDict::new(py);
        settings.set_item("prec", module.getattr("MAX_PREC")?)?;
        settings.set_item("Emax", module.getattr("MAX_EMAX")?)?;
        settings.set_item("Emin", module.getattr("MIN_EMIN")?)?;
        PyResult::Ok(module.getattr("Context")?.call((), Some(&settings))?.unbind())
    })?;
    Ok(context.bind(py))
}

pub fn from_bytes<'py>(py: Python<'py>, content: &[u8], scale: u32) -> PyResult<Bound<'py, PyAny>> {
    let number = if content.len() <= 16 {
        let negative = content.first().is_some_and(|first| first & 0x80 != 0);
        let mut filled = [if negative { 0xff } else { 0 }; 16];
        filled[16 - content.len()..].copy_from_slice(content);
        i128::from_be_bytes(filled).into_pyobject(py)?.into_any()
    } else {
        let signed = PyDict::new(py);
        signed.set_item("signed", true)?;
        py.get_type::<PyInt>()
            .call_method("from_bytes", (PyBytes::new(py, content), "big"), Some(&signed))?
    };
    let number = class(py)?.call1((number,))?;
    if scale == 0 {
        return Ok(number);
    }
    number.call_method1(intern!(py, "scaleb"), (-i64::from(scale), exact(py)?))
}

/// The bytes of a decimal, or why it has none; `size` is that of a fixed.
pub fn to_bytes(value: &Bound<'_, PyAny>, precision: u32, scale: u32, size: Option<usize>) -> PyResult<Vec<u8>> {
    let py = value.py();
    let wrong = |what: String| Err(PyValueError::new_err(what));
    if !value.call_method0(intern!(py, "is_finite"))?.extract::<bool>()? {
        return wrong(format!("{value} is no number"));
    }
    let (_, digits, exponent) = value
        .call_method0(intern!(py, "as_tuple"))?
        .extract::<(u8, Bound<'_, PyAny>, i64)>()?;
    if exponent < -i64::from(scale) {
        return wrong(format!("{value} has more than {scale} digits behind the point"));
    }
    let zero = !value.is_truthy()?;
    if !zero && digits.len()? as i64 + exponent + i64::from(scale) > i64::from(precision) {
        return wrong(format!("{value} has more than {precision} digits"));
    }
    if zero {
        return Ok(vec![0; size.unwrap_or(1)]);
    }
    let number = value.call_method1(intern!(py, "scaleb"), (scale, exact(py)?))?;
    let number = py.get_type::<PyInt>().call1((number,))?;
    // As fastavro does: a byte more than needed where only the sign would fill it.
    let needed = (number.call_method0(intern!(py, "bit_length"))?.extract::<usize>()? + 8) / 8;
    let length = size.unwrap_or(needed);
    let signed = PyDict::new(py);
    signed.set_item("signed", true)?;
    match number.call_method("to_bytes", (length, "big"), Some(&signed)) {
        Ok(content) => content.extract(),
        Err(_) => wrong(format!("{value} does not fit into {length} bytes")),
    }
}
