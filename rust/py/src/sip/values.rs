//! Header field values and URIs, as Python reads them.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use mediaha_sip::{self as sip, Text};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyString, PyTuple, PyType};

use super::{malformed, string};

/// The sequence number and the method of a request.
#[pyclass(frozen, eq, str = "{0}", module = "mediaha._core")]
#[derive(PartialEq)]
pub(crate) struct CSeq(pub(crate) sip::CSeq);

#[pymethods]
impl CSeq {
    #[getter]
    fn number(&self) -> u32 {
        self.0.number
    }

    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.method)
    }

    fn __repr__(&self) -> String {
        format!("CSeq({})", self.0)
    }
}

/// The topmost Via.
#[pyclass(frozen, eq, module = "mediaha._core")]
#[derive(PartialEq)]
pub(crate) struct Via(pub(crate) sip::Via);

#[pymethods]
impl Via {
    #[getter]
    fn text<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.text)
    }

    #[getter]
    fn transport<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.transport)
    }

    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.host)
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.0.port
    }

    #[getter]
    fn branch<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.0.branch.as_ref().map(|branch| string(py, branch))
    }

    #[getter]
    fn received<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.0.received.as_ref().map(|host| string(py, host))
    }

    #[getter]
    fn rport(&self) -> Option<u16> {
        self.0.rport
    }

    #[getter]
    fn sent_by(&self) -> String {
        self.0.sent_by()
    }

    #[getter]
    fn unique(&self) -> bool {
        self.0.unique()
    }

    fn received_from<'py>(&self, py: Python<'py>, host: &str, port: u16) -> Bound<'py, PyString> {
        match self.0.received_from(host, port) {
            Some(text) => PyString::new(py, &text),
            None => string(py, &self.0.text),
        }
    }

    fn __repr__(&self) -> String {
        format!("Via({:?})", self.0.text)
    }
}

/// A From, To, Contact, Route or similar value.
#[pyclass(frozen, eq, module = "mediaha._core")]
#[derive(PartialEq)]
pub(crate) struct NameAddr(pub(crate) sip::NameAddr);

#[pymethods]
impl NameAddr {
    #[new]
    fn new(display: &str, uri: &str, parameters: &str, tag: Option<&str>) -> Self {
        Self(sip::NameAddr {
            display: Text::from(display),
            uri: Text::from(uri),
            parameters: Text::from(parameters),
            tag: tag.map(Text::from),
        })
    }

    #[getter]
    fn display<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.display)
    }

    #[getter]
    fn uri<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.uri)
    }

    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.parameters)
    }

    #[getter]
    fn tag<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.0.tag.as_ref().map(|tag| string(py, tag))
    }

    fn parsed_uri(&self, py: Python<'_>) -> PyResult<Uri> {
        sip::uri_untrusted(&self.0.uri).map(Uri).map_err(|why| malformed(py, why))
    }

    fn parameter(&self, py: Python<'_>, name: &str) -> PyResult<Option<&str>> {
        self.0.parameter(name).map_err(|why| malformed(py, why))
    }

    fn address(&self) -> String {
        self.0.address()
    }

    fn __repr__(&self) -> String {
        format!("NameAddr({}{})", self.0.address(), &*self.0.parameters)
    }
}

/// One URI.
#[pyclass(frozen, eq, str = "{0}", module = "mediaha._core")]
#[derive(PartialEq)]
pub(crate) struct Uri(pub(crate) sip::Uri);

#[pymethods]
impl Uri {
    #[new]
    #[pyo3(signature = (scheme, user, host, port=None, parameters=None, headers=""))]
    fn new(
        scheme: &str,
        user: Option<&str>,
        host: &str,
        port: Option<u16>,
        parameters: Option<Vec<(String, Option<String>)>>,
        headers: &str,
    ) -> Self {
        Self(sip::Uri {
            scheme: Text::from(scheme),
            user: user.map(Text::from),
            host: Text::from(host),
            port,
            parameters: parameters
                .into_iter()
                .flatten()
                .map(|(name, value)| (name.into(), value.map(Text::from)))
                .collect(),
            headers: Text::from(headers),
        })
    }

    #[getter]
    fn scheme<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.scheme)
    }

    #[getter]
    fn user<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyString>> {
        self.0.user.as_ref().map(|user| string(py, user))
    }

    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.host)
    }

    #[getter]
    fn port(&self) -> Option<u16> {
        self.0.port
    }

    #[getter]
    fn parameters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let pairs: Vec<(&str, Option<&str>)> =
            self.0.parameters.iter().map(|(name, value)| (&**name, value.as_deref())).collect();
        PyTuple::new(py, pairs)
    }

    #[getter]
    fn headers<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        string(py, &self.0.headers)
    }

    fn parameter(&self, name: &str) -> Option<&str> {
        self.0.parameter(name)
    }

    fn username(&self) -> String {
        self.0.username()
    }

    fn address<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        static ADDRESS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
        let address = ADDRESS.import(py, "mediaha.model.address", "Address")?;
        address.call1((string(py, &self.0.host), self.0.usual_port()))
    }

    fn transport(&self) -> Option<String> {
        self.0.transport()
    }

    fn bare(&self) -> Self {
        Self(self.0.bare())
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.to_string().hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self) -> String {
        format!("Uri({})", self.0)
    }
}
