//! The pool's events and views as Python values.

use mediaha_failover::{self as failover, Event};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::arguments::{millis, seconds};

/// One request to one media server, as part of a story.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Attempt {
    server: String,
    request: &'static str,
    asked_at: f64,
    answered_at: Option<f64>,
    outcome: String,
}

/// A media server took the offer or answer that was sent under `token`.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Anchored {
    token: u64,
    call_id: String,
    server: String,
    sdp: Py<PyBytes>,
    story: Py<PyList>,
}

/// The request under `token` has failed for good.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Refused {
    token: u64,
    call_id: String,
    fault: &'static str,
    reason: String,
    story: Py<PyList>,
}

/// The call is forgotten; its server has been told, or will be when it is back.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Deleted {
    token: u64,
    call_id: String,
}

/// The server of a call died and `server` has taken the call; both parties must be told.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Moved {
    call_id: String,
    from_server: String,
    server: String,
    sdp_for_caller: Option<Py<PyBytes>>,
    sdp_for_callee: Option<Py<PyBytes>>,
    story: Py<PyList>,
}

/// The server of a call died and no other of its list is alive; a Moved follows when one is.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Stranded {
    call_id: String,
    server: String,
    why: String,
}

/// What a media server is good for has changed.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct ServerState {
    server: String,
    state: &'static str,
    why: String,
    since: f64,
}

/// A media server as the pool saw it when its thread last came round.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct ServerView {
    name: String,
    address: String,
    state: &'static str,
    why: String,
    since: f64,
    calls: usize,
    rtt_ms: Option<f64>,
    forwards: Option<bool>,
}

/// The event as the Python value that stands for it.
#[allow(clippy::similar_names)] // Caller and callee are the field's words.
pub(crate) fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    match event {
        Event::Anchored { token, call_id, server, sdp, story } => {
            let (token, call_id, sdp) = (token.0, text(&call_id), bytes(py, &sdp));
            Ok(Py::new(py, Anchored { token, call_id, server, sdp, story: stories(py, story)? })?.into_any())
        }
        Event::Refused { token, call_id, fault, reason, story } => {
            let (token, call_id, fault) = (token.0, text(&call_id), fault.as_str());
            Ok(Py::new(py, Refused { token, call_id, fault, reason, story: stories(py, story)? })?.into_any())
        }
        Event::Deleted { token, call_id } => {
            Ok(Py::new(py, Deleted { token: token.0, call_id: text(&call_id) })?.into_any())
        }
        Event::Moved { call_id, from_server, server, sdp_for_caller, sdp_for_callee, story } => {
            let sdp_for_caller = sdp_for_caller.map(|sdp| bytes(py, &sdp));
            let sdp_for_callee = sdp_for_callee.map(|sdp| bytes(py, &sdp));
            let (call_id, story) = (text(&call_id), stories(py, story)?);
            Ok(Py::new(py, Moved { call_id, from_server, server, sdp_for_caller, sdp_for_callee, story })?
                .into_any())
        }
        Event::Stranded { call_id, server, why } => {
            Ok(Py::new(py, Stranded { call_id: text(&call_id), server, why })?.into_any())
        }
        Event::ServerState { server, state, why, since } => {
            Ok(Py::new(py, ServerState { server, state: state.as_str(), why, since: seconds(since) })?.into_any())
        }
    }
}

impl From<failover::ServerView> for ServerView {
    fn from(view: failover::ServerView) -> Self {
        Self {
            name: view.name,
            address: view.address.to_string(),
            state: view.state.as_str(),
            why: view.why,
            since: seconds(view.since),
            calls: view.calls,
            rtt_ms: view.rtt.map(millis),
            forwards: view.forwards,
        }
    }
}

fn stories(py: Python<'_>, story: Vec<failover::Attempt>) -> PyResult<Py<PyList>> {
    let attempts = story.into_iter().map(|attempt| {
        let outcome = attempt.outcome.as_str().to_owned();
        Py::new(
            py,
            Attempt {
                server: attempt.server,
                request: attempt.asked.as_str(),
                asked_at: seconds(attempt.asked_at),
                answered_at: attempt.answered_at.map(seconds),
                outcome,
            },
        )
    });
    Ok(PyList::new(py, attempts.collect::<PyResult<Vec<_>>>()?)?.unbind())
}

fn bytes(py: Python<'_>, bytes: &[u8]) -> Py<PyBytes> {
    PyBytes::new(py, bytes).unbind()
}

/// Ids came from Python as text, so nothing is lost here.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
