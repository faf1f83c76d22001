//! `mediaha._core.Load`.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mediaha_load::setups::{self, PreparedCall};
use mediaha_load::{self as load, EndpointId, LoadConfig, LoadError};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use crate::arguments::{address as socket_address, millis, moment, seconds, span};
use crate::errors::Raised;

/// What one endpoint of a Load, or all together, has heard. Counts are of packets.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Arrivals {
    sent: u64,
    received: u64,
    lost: u64,
    reordered: u64,
    duplicated: u64,
    misdirected: u64,
    corrupt: u64,
    refused: u64,
    latency_ms_p50: Option<f64>,
    latency_ms_p99: Option<f64>,
    latency_ms_max: Option<f64>,
    gap_ms_max: f64,
    gap_began: Option<f64>,
}

/// A time in which an endpoint that was being sent to heard nothing right.
#[pyclass(frozen, get_all, module = "mediaha._core")]
pub(crate) struct Gap {
    endpoint: u32,
    began: f64,
    ended: Option<f64>,
}

/// Threads that send RTP from many sockets, a packet each `ptime_ms`, and check every packet they hear.
#[pyclass(frozen, module = "mediaha._core")]
pub(crate) struct Load {
    running: Mutex<Option<Arc<load::Load>>>,
}

#[pymethods]
impl Load {
    #[new]
    #[pyo3(signature = (*, threads=1, ptime_ms=20, gap_ms_min=50, timeline_s=300.0))]
    fn new(py: Python<'_>, threads: usize, ptime_ms: u32, gap_ms_min: u32, timeline_s: f64) -> PyResult<Self> {
        if !(1..=1000).contains(&ptime_ms) || !(1..=64).contains(&threads) {
            return Err(Raised::BadArgument.with(py, "ptime_ms is 1 to 1000, threads are 1 to 64"));
        }
        let config = LoadConfig {
            threads,
            packet_time: Duration::from_millis(ptime_ms.into()),
            gap_min: Duration::from_millis(gap_ms_min.into()),
            timeline: span(py, "timeline_s", timeline_s)?.min(Duration::from_secs(24 * 3600)),
        };
        let running = load::Load::start(&config)
            .map_err(|error| Raised::Start.with(py, format!("the load generator cannot start: {error}")))?;
        Ok(Self { running: Mutex::new(Some(Arc::new(running))) })
    }

    #[pyo3(signature = (address="127.0.0.1"))]
    fn open(&self, py: Python<'_>, address: &str) -> PyResult<(u32, String)> {
        let host: IpAddr = address
            .parse()
            .map_err(|_| Raised::BadArgument.with(py, format!("{address:?} is not an IP address of this host")))?;
        let (endpoint, local) = self.with(py, |load| load.open(host))?;
        Ok((endpoint.0, local.to_string()))
    }

    fn pair(&self, py: Python<'_>, a: u32, b: u32) -> PyResult<()> {
        self.with(py, |load| load.pair(EndpointId(a), EndpointId(b)))
    }

    fn aim(&self, py: Python<'_>, endpoint: u32, remote: &str) -> PyResult<()> {
        let remote = socket_address(py, remote)?;
        self.with(py, |load| load.aim(EndpointId(endpoint), remote))
    }

    fn start(&self, py: Python<'_>, endpoint: u32) -> PyResult<()> {
        self.with(py, |load| load.begin(EndpointId(endpoint)))
    }

    fn stop(&self, py: Python<'_>, endpoint: u32) -> PyResult<()> {
        self.with(py, |load| load.stop(EndpointId(endpoint)))
    }

    fn shut(&self, py: Python<'_>, endpoint: u32) -> PyResult<()> {
        self.with(py, |load| load.shut(EndpointId(endpoint)))
    }

    #[pyo3(signature = (endpoint=None))]
    fn arrivals(&self, py: Python<'_>, endpoint: Option<u32>) -> PyResult<Arrivals> {
        let arrivals = self.with(py, |load| match endpoint {
            Some(endpoint) => load.arrivals(EndpointId(endpoint)),
            None => Ok(load.totals()),
        })?;
        Ok(arrivals.into())
    }

    #[pyo3(signature = (*, longer_than_ms=0.0, after=0.0))]
    fn gaps(&self, py: Python<'_>, longer_than_ms: f64, after: f64) -> PyResult<Vec<Gap>> {
        let longer_than = span(py, "longer_than_ms", longer_than_ms / 1e3)?;
        let gaps = self.with(py, |load| Ok(load.gaps(longer_than, moment(after))))?;
        let gap = |(endpoint, gap): (EndpointId, load::Gap)| Gap {
            endpoint: endpoint.0,
            began: seconds(gap.began),
            ended: gap.ended.map(seconds),
        };
        Ok(gaps.into_iter().map(gap).collect())
    }

    #[pyo3(signature = (last_s=None))]
    fn timeline(&self, py: Python<'_>, last_s: Option<f64>) -> PyResult<(f64, f64, Vec<u64>)> {
        let last = last_s.map(|last_s| span(py, "last_s", last_s)).transpose()?;
        let heard = self.with(py, |load| Ok(load.heard(last)))?;
        Ok((seconds(heard.began), heard.bucket.as_secs_f64(), heard.packets))
    }

    #[getter]
    fn lateness_ms_max(&self, py: Python<'_>) -> PyResult<f64> {
        self.with(py, |load| Ok(millis(load.lateness())))
    }

    fn close(&self, py: Python<'_>) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The last one who holds it joins the threads.
        py.detach(|| drop(running));
    }
}

impl Load {
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        ask: impl FnOnce(&load::Load) -> Result<T, LoadError> + Send,
    ) -> PyResult<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let running = running.ok_or_else(|| Raised::Closed.with(py, "the load generator is closed"))?;
        py.detach(|| ask(&running)).map_err(|error| match error {
            LoadError::NoEndpoint(_) => Raised::BadArgument.with(py, error.to_string()),
            LoadError::Socket(_) => Raised::Start.with(py, error.to_string()),
        })
    }
}

/// Sets up calls at a media server from prepared datagrams; gives how long all took and how long each offer, in seconds.
#[pyfunction]
pub(crate) fn set_up_calls(
    py: Python<'_>,
    server: &str,
    calls: Vec<(Vec<u8>, Vec<u8>)>,
    in_flight: usize,
) -> PyResult<(f64, Vec<f64>)> {
    let server = socket_address(py, server)?;
    let calls: Vec<_> = calls.into_iter().map(|(offer, answer)| PreparedCall { offer, answer }).collect();
    let done = py.detach(|| setups::set_up(server, &calls, in_flight));
    let done = done.map_err(|error| PyOSError::new_err(error.to_string()))?;
    Ok((done.lasted.as_secs_f64(), done.offers.iter().map(Duration::as_secs_f64).collect()))
}

/// Has a media server take over calls by prepared `adopt` requests; gives how long it took, in seconds.
#[pyfunction]
#[allow(clippy::needless_pass_by_value)] // Made of a list of Python's.
pub(crate) fn adopt_calls(
    py: Python<'_>,
    server: &str,
    requests: Vec<Vec<u8>>,
    in_flight: usize,
) -> PyResult<f64> {
    let server = socket_address(py, server)?;
    let lasted = py.detach(|| setups::adopt(server, &requests, in_flight));
    lasted.map(|lasted| lasted.as_secs_f64()).map_err(|error| PyOSError::new_err(error.to_string()))
}

impl From<load::Arrivals> for Arrivals {
    fn from(arrivals: load::Arrivals) -> Self {
        Self {
            sent: arrivals.sent,
            received: arrivals.counts.received,
            lost: arrivals.counts.lost,
            reordered: arrivals.counts.reordered,
            duplicated: arrivals.counts.duplicated,
            misdirected: arrivals.counts.misdirected,
            corrupt: arrivals.counts.corrupt,
            refused: arrivals.refused,
            latency_ms_p50: arrivals.latency.quantile(500).map(millis),
            latency_ms_p99: arrivals.latency.quantile(990).map(millis),
            latency_ms_max: arrivals.latency.longest().map(millis),
            gap_ms_max: arrivals.longest_gap.map_or(0.0, |(_, length)| millis(length)),
            gap_began: arrivals.longest_gap.map(|(began, _)| seconds(began)),
        }
    }
}
