//! `mediaha._core.Pool`.

use mediaha_failover::{Command, Config, Token};
use mediaha_net::pool::{PoolConfig, PoolRuntime, Submit};
use pyo3::prelude::*;
use std::os::fd::{AsRawFd, RawFd};

use crate::arguments::{address_family, servers as server_specs};
use crate::errors::Raised;
use crate::events::{ServerView, to_python};

/// Room for a move of every call of a large server; more is kept by the thread.
const EVENTS_MAX: usize = 8192;
/// An SDP must fit into one datagram together with what the protocol puts around it.
const SDP_BYTES_MAX: usize = 60_000;

/// A thread that watches media servers, places calls on them in listed order, and moves calls when one dies.
#[pyclass(frozen, module = "mediaha._core")]
pub(crate) struct Pool {
    runtime: PoolRuntime,
}

#[pymethods]
impl Pool {
    #[new]
    #[pyo3(signature = (*, servers, heartbeat_ms=50, silence_ms_max=150, hold_down_ms=2000, probe_ms=0, in_flight_max=64,
                        commands_max=16384, seed=None))]
    #[allow(clippy::too_many_arguments)] // They are named in Python.
    fn new(
        py: Python<'_>,
        servers: Vec<(String, String)>,
        heartbeat_ms: u32,
        silence_ms_max: u32,
        hold_down_ms: u32,
        probe_ms: u32,
        in_flight_max: usize,
        commands_max: usize,
        seed: Option<u64>,
    ) -> PyResult<Self> {
        if heartbeat_ms == 0 || silence_ms_max <= heartbeat_ms {
            let text = "heartbeat_ms is at least 1, and silence_ms_max is longer than a heartbeat";
            return Err(Raised::BadArgument.with(py, text));
        }
        let config = PoolConfig {
            decisions: Config {
                probe_ms: probe_ms.into(),
                ..decisions(heartbeat_ms, silence_ms_max, hold_down_ms, in_flight_max)
            },
            servers: server_specs(py, servers)?,
            commands_max,
            events_max: EVENTS_MAX,
            seed,
        };
        let runtime = PoolRuntime::start(config)
            .map_err(|error| Raised::Start.with(py, format!("the failover pool cannot start: {error}")))?;
        Ok(Self { runtime })
    }

    fn fileno(&self) -> RawFd {
        self.runtime.as_raw_fd()
    }

    fn events(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        self.runtime.events().into_iter().map(|event| to_python(py, event)).collect()
    }

    #[pyo3(signature = (token, call_id, from_tag, to_tag, sdp, servers, family=None))]
    #[allow(clippy::too_many_arguments)] // They are the command's.
    fn offer(
        &self,
        py: Python<'_>,
        token: u64,
        call_id: String,
        from_tag: String,
        to_tag: Option<String>,
        sdp: &[u8],
        servers: Vec<String>,
        family: Option<&str>,
    ) -> PyResult<()> {
        let family = address_family(py, family)?;
        let (token, sdp) = (Token(token), checked(py, sdp)?);
        let (call_id, from_tag, to_tag) = (call_id.into(), from_tag.into(), to_tag.map(Into::into));
        self.submit(py, Command::Offer { token, call_id, from_tag, to_tag, sdp, family, servers })
    }

    #[pyo3(signature = (token, call_id, from_tag, to_tag, sdp, family=None))]
    #[allow(clippy::too_many_arguments)] // They are the command's.
    fn answer(
        &self,
        py: Python<'_>,
        token: u64,
        call_id: String,
        from_tag: String,
        to_tag: String,
        sdp: &[u8],
        family: Option<&str>,
    ) -> PyResult<()> {
        let family = address_family(py, family)?;
        let (token, sdp) = (Token(token), checked(py, sdp)?);
        let (call_id, from_tag, to_tag) = (call_id.into(), from_tag.into(), to_tag.into());
        self.submit(py, Command::Answer { token, call_id, from_tag, to_tag, sdp, family })
    }

    fn delete(&self, py: Python<'_>, token: u64, call_id: String) -> PyResult<()> {
        let command = Command::Delete { token: Token(token), call_id: call_id.into() };
        self.runtime.submit_at_leisure(command).map_err(|refusal| refused(py, refusal))
    }

    #[pyo3(signature = (token, call_id, from_tag, to_tag, from_sdp, to_sdp, servers, current, to_family=None))]
    #[allow(clippy::too_many_arguments)] // They are the command's.
    fn adopt(
        &self,
        py: Python<'_>,
        token: u64,
        call_id: String,
        from_tag: String,
        to_tag: Option<String>,
        from_sdp: &[u8],
        to_sdp: Option<&[u8]>,
        servers: Vec<String>,
        current: Option<String>,
        to_family: Option<&str>,
    ) -> PyResult<()> {
        let command = Command::Adopt {
            token: Token(token),
            call_id: call_id.into(),
            from_tag: from_tag.into(),
            to_tag: to_tag.map(Into::into),
            from_sdp: checked(py, from_sdp)?,
            to_sdp: to_sdp.map(|sdp| checked(py, sdp)).transpose()?,
            to_family: address_family(py, to_family)?,
            servers,
            current,
        };
        self.submit(py, command)
    }

    fn configure(&self, py: Python<'_>, servers: Vec<(String, String)>) -> PyResult<()> {
        let specs = server_specs(py, servers)?;
        self.submit(py, Command::Servers(specs))
    }

    fn drain(&self, py: Python<'_>, server: String, draining: bool) -> PyResult<()> {
        self.submit(py, Command::Drain { server, draining })
    }

    fn died(&self, py: Python<'_>, server: String, why: String) -> PyResult<()> {
        self.submit(py, Command::Died { server, why })
    }

    fn succeeding(&self, py: Python<'_>, server: String, why: String, within_s: f64) -> PyResult<()> {
        let within = crate::arguments::span(py, "within_s", within_s)?.as_millis();
        let command = Command::Succeeding { server, why, within_ms: u64::try_from(within).unwrap_or(u64::MAX) };
        self.submit(py, command)
    }

    fn servers(&self) -> Vec<ServerView> {
        self.runtime.servers().into_iter().filter(|view| view.listed).map(Into::into).collect()
    }

    #[getter]
    fn requests_dropped(&self) -> u64 {
        self.runtime.requests_dropped()
    }

    #[getter]
    fn replies_illegible(&self) -> u64 {
        self.runtime.replies_illegible()
    }

    fn close(&self, py: Python<'_>) {
        py.detach(|| self.runtime.close());
    }
}

impl Pool {
    fn submit(&self, py: Python<'_>, command: Command) -> PyResult<()> {
        self.runtime.submit(command).map_err(|refusal| refused(py, refusal))
    }
}

fn refused(py: Python<'_>, refusal: Submit) -> PyErr {
    let raised = match refusal {
        Submit::Full(_) => Raised::QueueFull,
        Submit::Closed(_) => Raised::Closed,
    };
    raised.with(py, refusal.to_string())
}

fn checked(py: Python<'_>, sdp: &[u8]) -> PyResult<Vec<u8>> {
    if sdp.len() > SDP_BYTES_MAX {
        let text = format!("an SDP of {} bytes; the ng protocol carries {SDP_BYTES_MAX}", sdp.len());
        return Err(Raised::BadArgument.with(py, text));
    }
    Ok(sdp.to_vec())
}

/// The pool's timings, those that are not given in their usual proportion to those that are.
fn decisions(heartbeat_ms: u32, silence_ms_max: u32, hold_down_ms: u32, in_flight_max: usize) -> Config {
    let usual = Config::default();
    let (heartbeat_ms, silence_ms_max) = (u64::from(heartbeat_ms), u64::from(silence_ms_max));
    Config {
        heartbeat_ms,
        heartbeat_suspect_ms: (heartbeat_ms * 2 / 5).max(1),
        // Two heartbeats missed, and in any case before the silence is taken for death.
        suspect_ms: (heartbeat_ms * 2 + 10).min(u64::midpoint(heartbeat_ms, silence_ms_max)),
        silence_ms_max,
        silence_late_ms_max: usual.silence_late_ms_max.max(silence_ms_max),
        silence_all_ms_max: usual.silence_all_ms_max.max(silence_ms_max),
        hold_down_ms: u64::from(hold_down_ms),
        moves_in_flight_max: in_flight_max.max(1),
        ..usual
    }
}
