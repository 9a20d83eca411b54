//! How instances of a class are made from the fields of a record: as fast as what the class is made of allows.
//!
//! A slot is filled through its descriptor, an attribute through `object`'s own setter (a frozen class refuses the
//! usual one), and a class that has more to say than its fields is called. Python decides which
//! (`moldau.client.serdes.shapes`).

use pyo3::exceptions::PyValueError;
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple, PyType};

/// A class, and where each field of the record goes.
pub struct ClassParts {
    class: Py<PyType>,
    places: Vec<Place>,
    post_init: bool,
    called: bool,
}

enum Place {
    /// A descriptor and its setter.
    Slot(Py<PyAny>, ffi::descrsetfunc),
    /// An attribute, or a keyword when the class is called.
    Name(Py<PyString>),
    /// The class has no use for the field.
    Nowhere,
}

/// An instance on the way, or the keywords of its class.
pub enum Making<'py> {
    Instance(Bound<'py, PyAny>),
    Keywords(Bound<'py, PyDict>),
}

impl ClassParts {
    /// From what Python says of a class: itself, how ("slots", "attributes" or "call"), the attribute of each field,
    /// and whether it has a `__post_init__`.
    pub fn new(said: &Bound<'_, PyAny>, fields: &[String]) -> PyResult<ClassParts> {
        let (class, how, names, post_init) = said.extract::<(Bound<'_, PyType>, String, Bound<'_, PyDict>, bool)>()?;
        let places = fields.iter().map(|field| match names.get_item(field)? {
            None => Ok(Place::Nowhere),
            Some(name) if how == "slots" => slot(&class, name.cast::<PyString>()?),
            Some(name) => Ok(Place::Name(name.cast_into::<PyString>()?.unbind())),
        });
        let places = places.collect::<PyResult<_>>()?;
        Ok(ClassParts {
            class: class.unbind(),
            places,
            post_init,
            called: how == "call",
        })
    }

    pub fn begin<'py>(&self, py: Python<'py>) -> PyResult<Making<'py>> {
        if self.called {
            return Ok(Making::Keywords(PyDict::new(py)));
        }
        let class = self.class.as_ptr().cast::<ffi::PyTypeObject>();
        // SAFETY: `class` is a type that we hold, made in Python (shapes.py lets no other through), whose instances
        // are therefore allocated by its own `tp_alloc`; the result is a new reference or NULL with an exception set.
        let made = unsafe {
            let made = ffi::PyType_GenericNew(class, std::ptr::null_mut(), std::ptr::null_mut());
            Bound::from_owned_ptr_or_err(py, made)
        };
        made.map(Making::Instance)
    }

    pub fn set(&self, making: &Making<'_>, slot: usize, value: &Bound<'_, PyAny>) -> PyResult<()> {
        match (making, &self.places[slot]) {
            (_, Place::Nowhere) => Ok(()),
            (Making::Keywords(keywords), Place::Name(name)) => keywords.set_item(name, value),
            (Making::Instance(instance), Place::Name(name)) => {
                // SAFETY: three objects that we hold.
                let status = unsafe { ffi::PyObject_GenericSetAttr(instance.as_ptr(), name.as_ptr(), value.as_ptr()) };
                checked(value.py(), status)
            }
            (Making::Instance(instance), Place::Slot(descriptor, set)) => {
                // SAFETY: `set` is the setter of the descriptor's type, and the three objects are held by us.
                let status = unsafe { set(descriptor.as_ptr(), instance.as_ptr(), value.as_ptr()) };
                checked(value.py(), status)
            }
            (Making::Keywords(_), Place::Slot(..)) => unreachable!("a class that is called has names"),
        }
    }

    pub fn finish<'py>(&self, py: Python<'py>, making: Making<'py>) -> PyResult<Bound<'py, PyAny>> {
        match making {
            Making::Keywords(keywords) => self.class.bind(py).call(PyTuple::empty(py), Some(&keywords)),
            Making::Instance(instance) => {
                if self.post_init {
                    instance.call_method0(intern!(py, "__post_init__"))?;
                }
                Ok(instance)
            }
        }
    }
}

fn checked(py: Python<'_>, status: i32) -> PyResult<()> {
    if status == 0 { Ok(()) } else { Err(PyErr::fetch(py)) }
}

fn slot(class: &Bound<'_, PyType>, name: &Bound<'_, PyString>) -> PyResult<Place> {
    let descriptor = class.getattr(name)?;
    let kind = descriptor.get_type();
    if !kind.name()?.to_str()?.eq("member_descriptor") {
        return Err(PyValueError::new_err(format!("{name} of {class} is no slot")));
    }
    // SAFETY: the type of a live object; the slot of this number is a setter, or NULL.
    let found = unsafe { ffi::PyType_GetSlot(kind.as_type_ptr(), ffi::Py_tp_descr_set) };
    if found.is_null() {
        return Err(PyValueError::new_err(format!("{name} of {class} cannot be set")));
    }
    // SAFETY: not NULL, and what CPython keeps under this number is a `descrsetfunc`.
    let set = unsafe { std::mem::transmute::<*mut std::ffi::c_void, ffi::descrsetfunc>(found) };
    Ok(Place::Slot(descriptor.unbind(), set))
}
