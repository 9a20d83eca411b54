//! Dates and times: Python's `datetime` from numbers and back.
//!
//! Asking a datetime for its year, month and so on by attribute, or calling its class, costs more than reading the
//! rest of a small record. CPython has a C interface for it, which the stable ABI leaves out: a capsule with
//! constructors, and objects that keep their fields as plain bytes. Neither has changed since 3.7. It is used up to the
//! newest Python that was looked at, and only after a probe has given what the ordinary way gives; otherwise everything
//! goes the ordinary way.

use std::ffi::c_int;

use pyo3::exceptions::PyOverflowError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

const DAY_MICROS: i64 = 86_400_000_000;
const NEWEST_KNOWN: (u8, u8) = (3, 14);
/// Days from 0001-01-01 to 1970-01-01, and to the day after 9999-12-31.
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

type FromDate = unsafe extern "C" fn(c_int, c_int, c_int, *mut ffi::PyTypeObject) -> *mut ffi::PyObject;
type FromDateAndTime = unsafe extern "C" fn(
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    c_int,
    *mut ffi::PyObject,
    *mut ffi::PyTypeObject,
) -> *mut ffi::PyObject;

/// The beginning of `PyDateTime_CAPI`; only ever grown at its end.
#[repr(C)]
struct Capsule {
    date: *mut ffi::PyTypeObject,
    datetime: *mut ffi::PyTypeObject,
    time: *mut ffi::PyTypeObject,
    timedelta: *mut ffi::PyTypeObject,
    tzinfo: *mut ffi::PyTypeObject,
    utc: *mut ffi::PyObject,
    from_date: FromDate,
    from_date_and_time: FromDateAndTime,
}

/// `PyDateTime_DateTime`; without a time zone an object ends before the last field.
#[repr(C)]
struct Laid {
    head: ffi::PyObject,
    hash: isize,
    has_tzinfo: u8,
    year: [u8; 2],
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    micros: [u8; 3],
    fold: u8,
    tzinfo: *mut ffi::PyObject,
}

struct Known {
    datetime: Py<PyType>,
    date: Py<PyType>,
    time: Py<PyType>,
    utc: Py<PyAny>,
    capsule: Option<&'static Capsule>,
}

// SAFETY: the capsule is constant data of the interpreter, and everything that reads it holds the GIL.
unsafe impl Send for Known {}
// SAFETY: as above.
unsafe impl Sync for Known {}

static KNOWN: PyOnceLock<Known> = PyOnceLock::new();
static UUID: PyOnceLock<Py<PyType>> = PyOnceLock::new();

pub fn uuid_class(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    UUID.import(py, "uuid", "UUID")
}

fn known(py: Python<'_>) -> PyResult<&Known> {
    KNOWN.get_or_try_init(py, || {
        let module = py.import("datetime")?;
        let class = |name: &str| PyResult::Ok(module.getattr(name)?.cast_into::<PyType>()?.unbind());
        let mut known = Known {
            datetime: class("datetime")?,
            date: class("date")?,
            time: class("time")?,
            utc: module.getattr("UTC")?.unbind(),
            capsule: None,
        };
        let version = py.version_info();
        if cfg!(target_pointer_width = "64") && (version.major, version.minor) <= NEWEST_KNOWN {
            known.capsule = probed(py, &known)?;
        }
        Ok(known)
    })
}

/// The C interface, if it gives for one moment what the class itself gives.
fn probed(py: Python<'_>, known: &Known) -> PyResult<Option<&'static Capsule>> {
    let class = known.datetime.bind(py);
    let size: usize = class.getattr("__basicsize__")?.extract()?;
    if size != size_of::<Laid>() {
        return Ok(None);
    }
    // SAFETY: a NUL-terminated name; the result lives as long as the module `datetime`, which we hold through its
    // classes, or is NULL with an exception set.
    let found = unsafe { ffi::PyCapsule_Import(c"datetime.datetime_CAPI".as_ptr(), 0) };
    if found.is_null() {
        PyErr::fetch(py);
        return Ok(None);
    }
    // SAFETY: for the versions of Python let through by the caller, this capsule holds this structure.
    let capsule = unsafe { &*found.cast::<Capsule>() };
    if capsule.datetime != class.as_type_ptr() || capsule.utc != known.utc.as_ptr() {
        return Ok(None);
    }
    let expected = class.call1((2031, 12, 30, 23, 58, 59, 123_456, known.utc.bind(py)))?;
    let fields = Fields {
        days: 22_643,
        micros: DAY_MICROS - 61_000_000 + 123_456,
    };
    let alike = fields.made(py, capsule, true)?.eq(&expected)? && laid_fields(&expected) == fields;
    Ok(alike.then_some(capsule))
}

/// A moment as the days since 1970 and the microseconds of the day.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Fields {
    days: i64,
    micros: i64,
}

impl Fields {
    fn made<'py>(self, py: Python<'py>, capsule: &Capsule, utc: bool) -> PyResult<Bound<'py, PyAny>> {
        let (year, month, day) = civil(self.days);
        let (hour, minute, second, micros) = clock(self.micros);
        // SAFETY: `None` and UTC live for ever, and the class is the capsule's own; the result is a new reference or
        // NULL with an exception set.
        unsafe {
            let zone = if utc { capsule.utc } else { ffi::Py_None() };
            let made =
                (capsule.from_date_and_time)(year, month, day, hour, minute, second, micros, zone, capsule.datetime);
            Bound::from_owned_ptr_or_err(py, made)
        }
    }
}

/// Of a date in the proleptic Gregorian calendar; the days are within a datetime's range.
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days.
fn civil(days: i64) -> (c_int, c_int, c_int) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year as c_int, month as c_int, day as c_int)
}

/// The way back: days_from_civil.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

fn clock(micros: i64) -> (c_int, c_int, c_int, c_int) {
    let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
    (
        (seconds / 3600) as c_int,
        (seconds / 60 % 60) as c_int,
        (seconds % 60) as c_int,
        micros as c_int,
    )
}

fn in_range(days: i64, value: impl std::fmt::Display, what: &str) -> PyResult<()> {
    if (FIRST_DAY..=LAST_DAY).contains(&days) {
        return Ok(());
    }
    Err(PyOverflowError::new_err(format!(
        "{value} is no {what} between the years 1 and 9999"
    )))
}

pub fn date(py: Python<'_>, days: i32) -> PyResult<Bound<'_, PyAny>> {
    in_range(i64::from(days), days, "date")?;
    let known = known(py)?;
    let (year, month, day) = civil(i64::from(days));
    match known.capsule {
        // SAFETY: the class is the capsule's own; a new reference or NULL with an exception set.
        Some(capsule) => unsafe {
            Bound::from_owned_ptr_or_err(py, (capsule.from_date)(year, month, day, capsule.date))
        },
        None => known.date.bind(py).call1((year, month, day)),
    }
}

pub fn time(py: Python<'_>, micros: i64) -> PyResult<Bound<'_, PyAny>> {
    if !(0..DAY_MICROS).contains(&micros) {
        return Err(PyOverflowError::new_err(format!(
            "{micros} microseconds are no time of day"
        )));
    }
    known(py)?.time.bind(py).call1(clock(micros))
}

/// `value` counts units of `unit_micros` since 1970, in UTC or nowhere in particular.
pub fn timestamp(py: Python<'_>, value: i64, unit_micros: i64, utc: bool) -> PyResult<Bound<'_, PyAny>> {
    let per_day = DAY_MICROS / unit_micros;
    let fields = Fields {
        days: value.div_euclid(per_day),
        micros: value.rem_euclid(per_day) * unit_micros,
    };
    in_range(fields.days, value, "timestamp")?;
    let known = known(py)?;
    if let Some(capsule) = known.capsule {
        return fields.made(py, capsule, utc);
    }
    let ((year, month, day), (hour, minute, second, micros)) = (civil(fields.days), clock(fields.micros));
    let zone = utc.then(|| known.utc.bind(py));
    known
        .datetime
        .bind(py)
        .call1((year, month, day, hour, minute, second, micros, zone))
}

/// The fields that a datetime shows, whatever its zone. Only for a datetime whose layout was probed.
fn laid_fields(value: &Bound<'_, PyAny>) -> Fields {
    // SAFETY: a datetime, laid out as the probe has found; the fields read here are in every one.
    let laid = unsafe { &*std::ptr::addr_of!(*value.as_ptr()).cast::<Laid>() };
    let number = |bytes: &[u8]| bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
    let seconds = i64::from(laid.hour) * 3600 + i64::from(laid.minute) * 60 + i64::from(laid.second);
    Fields {
        days: days_of(number(&laid.year), i64::from(laid.month), i64::from(laid.day)),
        micros: seconds * 1_000_000 + number(&laid.micros),
    }
}

fn shown_fields(value: &Bound<'_, PyAny>) -> PyResult<Fields> {
    let py = value.py();
    let part = |name: &Bound<'_, pyo3::types::PyString>| value.getattr(name)?.extract::<i64>();
    let (year, month, day) = (
        part(intern!(py, "year"))?,
        part(intern!(py, "month"))?,
        part(intern!(py, "day"))?,
    );
    Ok(Fields {
        days: days_of(year, month, day),
        micros: micros_of_day(value)?,
    })
}

fn micros_of_day(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    let py = value.py();
    let part = |name: &Bound<'_, pyo3::types::PyString>| value.getattr(name)?.extract::<i64>();
    let seconds = part(intern!(py, "hour"))? * 3600 + part(intern!(py, "minute"))? * 60 + part(intern!(py, "second"))?;
    Ok(seconds * 1_000_000 + part(intern!(py, "microsecond"))?)
}

/// Microseconds since 1970 of a datetime; None if `value` is none.
///
/// In UTC, as `timestamp-*` wants it, one without a zone is taken for local time; otherwise the zone is left out, as
/// `local-timestamp-*` wants it.
pub fn micros_since_1970(value: &Bound<'_, PyAny>, utc: bool) -> PyResult<Option<i64>> {
    let py = value.py();
    let known = known(py)?;
    let class = known.datetime.bind(py);
    // SAFETY: two types that live. Not `isinstance`: a proxy may claim to be a datetime and not be laid out as one.
    let real = unsafe { ffi::PyType_IsSubtype(value.get_type_ptr(), class.as_type_ptr()) } != 0;
    if !real && !value.is_instance(class)? {
        return Ok(None);
    }
    let capsule = known.capsule.filter(|_| real);
    let fields = match capsule {
        Some(_) => laid_fields(value),
        None => shown_fields(value)?,
    };
    let shown = fields.days * DAY_MICROS + fields.micros;
    if !utc {
        return Ok(Some(shown));
    }
    if let Some(capsule) = capsule {
        // SAFETY: as in `laid_fields`; the last field is read only where there is a zone.
        let laid = unsafe { &*std::ptr::addr_of!(*value.as_ptr()).cast::<Laid>() };
        if laid.has_tzinfo != 0 && laid.tzinfo == capsule.utc {
            return Ok(Some(shown));
        }
    }
    let offset = value.call_method0(intern!(py, "utcoffset"))?;
    if offset.is_none() {
        let aware = value.call_method1(intern!(py, "astimezone"), (known.utc.bind(py),))?;
        return micros_since_1970(&aware, true);
    }
    let part = |name: &str| offset.getattr(name)?.extract::<i64>();
    Ok(Some(
        shown - part("days")? * DAY_MICROS - part("seconds")? * 1_000_000 - part("microseconds")?,
    ))
}

/// Days since 1970 of a date, a datetime or a date in ISO's spelling; None if `value` is none of them.
pub fn days_since_1970(value: &Bound<'_, PyAny>) -> PyResult<Option<i32>> {
    let py = value.py();
    let class = known(py)?.date.bind(py);
    let ordinal = |date: &Bound<'_, PyAny>| date.call_method0(intern!(py, "toordinal"))?.extract::<i32>();
    if value.is_instance(class)? {
        return Ok(Some(ordinal(value)? - 719_163));
    }
    if value.is_instance_of::<pyo3::types::PyString>() {
        return Ok(Some(
            ordinal(&class.call_method1("fromisoformat", (value,))?)? - 719_163,
        ));
    }
    Ok(None)
}

/// Microseconds since midnight of a time; None if `value` is none.
pub fn micros_since_midnight(value: &Bound<'_, PyAny>) -> PyResult<Option<i64>> {
    let py = value.py();
    if value.is_instance(known(py)?.time.bind(py))? {
        return micros_of_day(value).map(Some);
    }
    Ok(None)
}
