//! `mediaha._core.MediaServer` and what it has to say.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, Mutex, PoisonError};

use mediaha_media::Interface;
use mediaha_net::{DatapathChoice, MediaServerConfig, Records};
use pyo3::prelude::*;

use crate::arguments::{address, seconds, span};
use crate::errors::Raised;
use crate::keeper::Line;

/// One line for the log, written by a Rust thread.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Record {
    at: f64,
    level: &'static str,
    event: &'static str,
    fields: String,
}

/// A media server: an ng control port and relay threads that carry RTP. It works until `close()`.
#[pyclass(frozen, module = "mediaha._core")]
pub(crate) struct MediaServer {
    running: Mutex<Option<Arc<mediaha_net::MediaServer>>>,
    listen_ng: SocketAddr,
    /// The last records can be read after the end.
    records: Records,
}

#[pymethods]
impl MediaServer {
    #[new]
    #[pyo3(signature = (*, listen_ng, interfaces, ports, name="media", workers=1, sessions_max=20000,
                        silence_timeout_s=60.0, held_timeout_s=3600.0, orphan_timeout_s=180.0, coalesce_ms=0.5,
                        busy_percent_max=90, dscp=46, datapath="auto", line=None))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // They are named, and converted, in Python.
    fn new(
        py: Python<'_>,
        listen_ng: &str,
        interfaces: Vec<String>,
        ports: (u16, u16),
        name: &str,
        workers: usize,
        sessions_max: usize,
        silence_timeout_s: f64,
        held_timeout_s: f64,
        orphan_timeout_s: f64,
        coalesce_ms: f64,
        busy_percent_max: u32,
        dscp: u8,
        datapath: &str,
        line: Option<&Line>,
    ) -> PyResult<Self> {
        let interfaces = interfaces.iter().map(|text| interface(py, text)).collect::<PyResult<_>>()?;
        if dscp > 63 {
            return Err(Raised::BadArgument.with(py, format!("dscp is 0 to 63, not {dscp}")));
        }
        let config = MediaServerConfig {
            name: name.to_owned(),
            workers,
            sessions_max,
            silence_timeout: span(py, "silence_timeout_s", silence_timeout_s)?,
            held_timeout: span(py, "held_timeout_s", held_timeout_s)?,
            orphan_timeout: span(py, "orphan_timeout_s", orphan_timeout_s)?,
            coalesce: span(py, "coalesce_ms", coalesce_ms / 1e3)?,
            busy_permille_max: busy_percent_max.saturating_mul(10),
            dscp,
            datapath: choice(py, datapath)?,
            ..MediaServerConfig::new(address(py, listen_ng)?, interfaces, ports.0..=ports.1)
        };
        let line = line.map(|line| line.take(py)).transpose()?;
        let server = py
            .detach(|| mediaha_net::MediaServer::start_on(config, line))
            .map_err(|error| Raised::Start.with(py, error.to_string()))?;
        let (listen_ng, records) = (server.listen_ng(), server.records().clone());
        Ok(Self { running: Mutex::new(Some(Arc::new(server))), listen_ng, records })
    }

    #[getter]
    fn listen_ng(&self) -> String {
        self.listen_ng.to_string()
    }

    fn fileno(&self) -> RawFd {
        self.records.as_raw_fd()
    }

    fn records(&self) -> Vec<Record> {
        self.records.take().into_iter().map(Into::into).collect()
    }

    #[getter]
    fn records_dropped(&self) -> u64 {
        self.records.dropped()
    }

    #[getter]
    fn failure(&self) -> Option<String> {
        self.running().and_then(|server| server.failure().map(str::to_owned))
    }

    #[getter]
    fn handed_over(&self) -> bool {
        self.running().is_some_and(|server| server.is_handed_over())
    }

    #[pyo3(signature = (draining=true))]
    fn drain(&self, py: Python<'_>, draining: bool) -> PyResult<()> {
        self.running().ok_or_else(|| closed(py))?.drain(draining);
        Ok(())
    }

    fn statistics(&self, py: Python<'_>) -> PyResult<String> {
        let server = self.running().ok_or_else(|| closed(py))?;
        py.detach(|| server.statistics_json()).map_err(|_| closed(py))
    }

    fn close(&self, py: Python<'_>) {
        let server = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last one who holds it joins the threads.
        py.detach(|| drop(server));
    }
}

impl MediaServer {
    fn running(&self) -> Option<Arc<mediaha_net::MediaServer>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl From<mediaha_net::Record> for Record {
    fn from(record: mediaha_net::Record) -> Self {
        Self {
            at: seconds(record.at),
            level: record.level.name(),
            event: record.event,
            fields: record.fields_json(),
        }
    }
}

#[pyfunction]
pub(crate) fn share_heap() {
    mediaha_net::sys::share_heap();
}

fn interface(py: Python<'_>, text: &str) -> PyResult<Interface> {
    text.parse().map_err(|error: mediaha_media::InterfaceError| Raised::BadArgument.with(py, error.to_string()))
}

fn choice(py: Python<'_>, text: &str) -> PyResult<DatapathChoice> {
    text.parse().map_err(|error: mediaha_net::UnknownDatapath| Raised::BadArgument.with(py, error.to_string()))
}

fn closed(py: Python<'_>) -> PyErr {
    Raised::Closed.with(py, "the media server has stopped")
}
