//! `mediaha._core.Headers`.

use mediaha_sip::{self as sip, Field};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::types::{PyList, PyString, PyTuple};

use super::string;

/// An ordered list of header fields that never changes.
#[pyclass(frozen, eq, module = "mediaha._core")]
#[derive(PartialEq)]
pub(crate) struct Headers(pub(crate) sip::Headers);

#[pymethods]
impl Headers {
    #[new]
    #[pyo3(signature = (pairs=None))]
    fn new(pairs: Option<&Bound<'_, PyAny>>) -> PyResult<Self> {
        Ok(Self(fields(pairs)?.into_iter().collect()))
    }

    fn get<'py>(&self, py: Python<'py>, name: &str) -> Option<Bound<'py, PyString>> {
        self.0.first(name).map(|value| string(py, value))
    }

    fn all<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.0.all(name).map(|value| string(py, value)).collect::<Vec<_>>())
    }

    #[pyo3(signature = (*names))]
    fn pairs<'py>(&self, py: Python<'py>, names: &Bound<'py, PyTuple>) -> PyResult<Bound<'py, PyList>> {
        list(py, self.0.named(&names.extract::<Vec<PyBackedStr>>()?))
    }

    fn with_first(&self, name: &str, value: &str) -> Self {
        Self(self.0.with_first(Field::new(name, value)))
    }

    fn with_added(&self, pairs: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(self.0.with_added(fields(Some(pairs))?)))
    }

    fn with_first_value(&self, name: &str, value: &str) -> Self {
        Self(self.0.with_first_value(name, value))
    }

    fn with_replaced(&self, name: &str, value: &str) -> Self {
        Self(self.0.with_replaced(&Field::new(name, value)))
    }

    #[pyo3(signature = (*names))]
    fn without(&self, names: &Bound<'_, PyTuple>) -> PyResult<Self> {
        Ok(Self(self.0.without(&names.extract::<Vec<PyBackedStr>>()?)))
    }

    fn __contains__(&self, name: &str) -> bool {
        self.0.first(name).is_some()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Ok(list(py, self.0.fields())?.try_iter()?.into_any())
    }

    fn __len__(&self) -> usize {
        self.0.fields().len()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        Ok(format!("Headers({})", list(py, self.0.fields())?.repr()?))
    }
}

/// Fields of ours, from an iterable of pairs.
pub(super) fn fields(pairs: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Field>> {
    let Some(pairs) = pairs else { return Ok(Vec::new()) };
    let field = |pair: PyResult<Bound<'_, PyAny>>| {
        let (name, value): (PyBackedStr, PyBackedStr) = pair?.extract()?;
        Ok(Field::new(&name, &value))
    };
    pairs.try_iter()?.map(field).collect()
}

fn list<'py, 'a>(py: Python<'py>, fields: impl IntoIterator<Item = &'a Field>) -> PyResult<Bound<'py, PyList>> {
    let pairs: PyResult<Vec<Bound<'py, PyTuple>>> = fields
        .into_iter()
        .map(|field| PyTuple::new(py, [string(py, field.name()), string(py, field.value())]))
        .collect();
    PyList::new(py, pairs?)
}
