//! What arguments mean, and the units that cross the border.

use std::net::SocketAddr;
use std::time::Duration;

use mediaha_failover::{AddressFamily, ServerSpec};
use mediaha_time::Time;
use pyo3::prelude::*;

use crate::errors::Raised;

/// `127.0.0.1:5060` or `[::1]:5060`.
pub(crate) fn address(py: Python<'_>, text: &str) -> PyResult<SocketAddr> {
    text.parse().map_err(|_| {
        let text = format!("{text:?} is not an IP address and a port, like 127.0.0.1:5060 or [::1]:5060");
        Raised::BadArgument.with(py, text)
    })
}

/// `IP4` or `IP6`, as SDP writes them.
pub(crate) fn address_family(py: Python<'_>, text: Option<&str>) -> PyResult<Option<AddressFamily>> {
    let Some(text) = text else { return Ok(None) };
    let known = AddressFamily::from_text(text.as_bytes());
    known.map(Some).ok_or_else(|| Raised::BadArgument.with(py, format!("{text:?} is neither IP4 nor IP6")))
}

/// Pairs of a name and an address; each name once.
pub(crate) fn servers(py: Python<'_>, pairs: Vec<(String, String)>) -> PyResult<Vec<ServerSpec>> {
    let mut specs: Vec<ServerSpec> = Vec::with_capacity(pairs.len());
    for (name, text) in pairs {
        if specs.iter().any(|spec| spec.name == name) {
            return Err(Raised::BadArgument.with(py, format!("two media servers are called {name:?}")));
        }
        specs.push(ServerSpec { address: address(py, &text)?, name });
    }
    Ok(specs)
}

/// A span that Python gives in seconds.
pub(crate) fn span(py: Python<'_>, name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        Raised::BadArgument.with(py, format!("{name} is {seconds}; it is a span of time, in seconds"))
    })
}

/// A moment that Python gives in seconds of its monotonic clock; before its origin is its origin.
pub(crate) fn moment(seconds: f64) -> Time {
    Time::ZERO + Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX)
}

/// A moment as Python reads it.
pub(crate) fn seconds(time: Time) -> f64 {
    Duration::from_nanos(time.as_nanos()).as_secs_f64()
}

/// A span as Python reads it where milliseconds are asked for.
pub(crate) fn millis(span: Duration) -> f64 {
    span.as_secs_f64() * 1e3
}
