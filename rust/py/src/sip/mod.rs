//! `mediaha._core`'s face of the crate for SIP messages. Its objects never change, and hold no reference that could
//! become part of a cycle, so Python's garbage collector does not look at them.

mod headers;
mod messages;
mod values;

use mediaha_sip::{self as sip, Text};
use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::errors::Raised;

pub(crate) use headers::Headers;
pub(crate) use messages::{Message, Request, Response, read_message};
pub(crate) use values::{CSeq, NameAddr, Uri, Via};

/// What is wrong with text from the network, as an exception.
fn malformed(py: Python<'_>, sip::Malformed(why): sip::Malformed) -> PyErr {
    Raised::Malformed.with(py, why)
}

fn string<'py>(py: Python<'py>, text: &Text) -> Bound<'py, PyString> {
    PyString::new(py, text)
}

/// Whether the text is a `token` of the grammar.
#[pyfunction]
pub(crate) fn is_token(text: &str) -> bool {
    sip::is_token(text)
}

/// The reason phrase of a status code.
#[pyfunction]
pub(crate) fn reason_of(status: u16) -> &'static str {
    sip::reason_of(status)
}

/// The topmost Via of a field.
#[pyfunction]
pub(crate) fn via_untrusted(py: Python<'_>, value: &str) -> PyResult<Via> {
    sip::via_untrusted(&Text::from(value)).map(Via).map_err(|why| malformed(py, why))
}

/// One name-addr or addr-spec.
#[pyfunction]
pub(crate) fn name_addr_untrusted(py: Python<'_>, value: &str) -> PyResult<NameAddr> {
    sip::name_addr_untrusted(&Text::from(value)).map(NameAddr).map_err(|why| malformed(py, why))
}

/// A `CSeq` value.
#[pyfunction]
pub(crate) fn cseq_untrusted(py: Python<'_>, value: &str) -> PyResult<CSeq> {
    sip::cseq_untrusted(&Text::from(value)).map(CSeq).map_err(|why| malformed(py, why))
}

/// An addr-spec.
#[pyfunction]
pub(crate) fn uri_untrusted(py: Python<'_>, text: &str) -> PyResult<Uri> {
    sip::uri_untrusted(&Text::from(text)).map(Uri).map_err(|why| malformed(py, why))
}

/// Whether two URIs name the same resource.
#[pyfunction]
pub(crate) fn equivalent(one: &Bound<'_, Uri>, other: &Bound<'_, Uri>) -> bool {
    sip::equivalent(&one.get().0, &other.get().0)
}

/// The members of a comma-separated list.
#[pyfunction]
pub(crate) fn split_commas<'a>(py: Python<'_>, value: &'a str) -> PyResult<Vec<&'a str>> {
    sip::split_commas(value).map_err(|why| malformed(py, why))
}
