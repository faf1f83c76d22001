//! The control thread: `ng` datagrams in, replies out, timers in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Controller, ControllerConfig, Expired, ExpiryReason};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::config::{MediaServerConfig, StartError};
use super::orders::{Order, Orders};
use super::statistics::{self, About};
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::relay::{Relay, RelayConfig, RelayError};
use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{Epoll, Events, Trigger, monotonic, raise_open_files, random_bytes, realtime, seed};

/// Bytes of receive queue for requests: some hundreds of offers, which a failover may send at once.
const RECEIVE_BUFFER: usize = 1 << 20;
const DATAGRAM_MAX: usize = 65_536;
/// How many requests are answered before timers and orders are looked at again.
const REQUESTS_MAX: usize = 64;
/// How often the workers' load is measured.
const SAMPLE_EVERY: Duration = Duration::from_millis(500);
/// Descriptors that are not ports: sockets, bells, files of the process around it.
const DESCRIPTORS_BESIDE_PORTS: u64 = 64;
/// A call of one stream takes four ports, and two of them a second socket each once it has been heard for a while.
const DESCRIPTORS_PER_CALL: u64 = 6;

const NG: u64 = 0;
const ORDERS: u64 = 1;
const FAILURE: u64 = 2;

/// What the control thread owns.
pub(crate) struct Control {
    about: About,
    epoll: Epoll,
    socket: UdpSocket,
    listen_ng: SocketAddr,
    controller: Controller,
    datapath: Relay,
    orders: Arc<Orders>,
    records: Records,
    failure: Failure,
    buffer: Box<[u8]>,
    sample_at: Time,
}

impl Control {
    /// Binds the control port and starts the workers.
    pub(crate) fn start(
        config: &MediaServerConfig,
        orders: Arc<Orders>,
        records: Records,
        failure: Failure,
    ) -> Result<Self, StartError> {
        let options = Options { receive_buffer: Some(RECEIVE_BUFFER), ..Options::default() };
        let unbound = |error| StartError::Control { listen_ng: config.listen_ng, error };
        let socket = UdpSocket::bind(config.listen_ng, &options).map_err(unbound)?;
        let listen_ng = socket.local_address().map_err(unbound)?;
        for interface in &config.interfaces {
            UdpSocket::bind(SocketAddr::new(interface.local, 0), &Options::default())
                .map_err(|error| StartError::Interface { interface: interface.clone(), error })?;
        }
        let epoll = watch(&socket, &orders, &failure).map_err(StartError::Resources)?;
        let (datapath, datapath_reason) = start_relay(config, &records, &failure)?;
        let about = About { name: config.name.clone(), datapath: datapath.name(), datapath_reason };
        let controller = Controller::new(controller_config(config, &about).map_err(StartError::Resources)?);
        let facts = facts(config, listen_ng, &about);
        records.push(Record::now(Level::Info, "media_server_started", facts));
        let buffer = vec![0; DATAGRAM_MAX].into_boxed_slice();
        let sample_at = monotonic() + SAMPLE_EVERY;
        Ok(Self {
            about,
            epoll,
            socket,
            listen_ng,
            controller,
            datapath,
            orders,
            records,
            failure,
            buffer,
            sample_at,
        })
    }

    pub(crate) fn listen_ng(&self) -> SocketAddr {
        self.listen_ng
    }

    /// Works until it is told to stop, or something fails for good.
    ///
    /// # Panics
    /// If the kernel refuses to wait.
    pub(crate) fn run(mut self) {
        let mut events = Events::new(4);
        while !self.orders.is_stopping() && self.failure.why().is_none() {
            let now = monotonic();
            let wake_at = self.controller.wake_at().map_or(self.sample_at, |at| at.min(self.sample_at));
            self.epoll.wait(&mut events, Some(wake_at.since(now))).expect("epoll waits");
            if events.iter().any(|ready| ready.token == ORDERS) {
                self.obey();
            }
            if events.iter().any(|ready| ready.token == NG) {
                self.answer();
            }
            self.tick();
        }
        self.orders.close();
    }

    fn answer(&mut self) {
        for _ in 0..REQUESTS_MAX {
            let Ok((length, source)) = self.socket.receive_from(&mut self.buffer) else { return };
            let request = &self.buffer[..length.min(DATAGRAM_MAX)];
            let reply = self.controller.handle(request, source, &mut self.datapath, monotonic());
            // A reply that the kernel does not take is lost like one on the way: the client asks again, with the same cookie.
            if let Some(Err(error)) = reply.map(|reply| self.socket.send_to(&reply, source)) {
                let facts = json!({ "client": source.to_string(), "error": error.to_string() });
                self.records.push(Record::now(Level::Debug, "reply_not_sent", facts));
            }
        }
    }

    fn tick(&mut self) {
        let now = monotonic();
        if now >= self.sample_at {
            self.datapath.sample(now);
            self.sample_at = now + SAMPLE_EVERY;
        }
        if self.controller.wake_at().is_some_and(|at| now >= at) {
            for expired in self.controller.tick(&mut self.datapath, now) {
                self.records.push(expiry(&expired));
            }
        }
    }

    fn obey(&mut self) {
        self.orders.bell.drain();
        self.controller.drain(self.orders.is_draining());
        while let Some(order) = self.orders.take() {
            match order {
                Order::Statistics(reply) => {
                    let counted = self.controller.statistics(&self.datapath);
                    let tallies = self.datapath.tallies();
                    let json = statistics::to_json(&self.about, &counted, &tallies, self.records.dropped());
                    // Whoever asked may have gone.
                    let _ = reply.try_send(json.to_string());
                }
            }
        }
    }
}

/// Whoever waits for an answer must not wait for a thread that has ended, whichever way.
impl Drop for Control {
    fn drop(&mut self) {
        self.orders.close();
    }
}

fn watch(socket: &UdpSocket, orders: &Orders, failure: &Failure) -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    epoll.add(socket, NG, Trigger::Level)?;
    epoll.add(&orders.bell, ORDERS, Trigger::Level)?;
    epoll.add(failure.bell(), FAILURE, Trigger::Level)?;
    Ok(epoll)
}

fn start_relay(
    config: &MediaServerConfig,
    records: &Records,
    failure: &Failure,
) -> Result<(Relay, String), StartError> {
    let relay = relay_config(config).map_err(StartError::Resources)?;
    let started = Relay::start(config.datapath, &relay, records, failure).map_err(|error| match error {
        RelayError::Unsteerable(error) => StartError::Datapath(error),
        RelayError::Resources(error) => StartError::Resources(error),
    })?;
    if let (Relay::Sockets(_), _) = &started {
        look_at_limits(config, records).map_err(StartError::Resources)?;
    }
    Ok(started)
}

fn relay_config(config: &MediaServerConfig) -> io::Result<RelayConfig> {
    Ok(RelayConfig {
        addresses: config.interfaces.iter().map(|interface| interface.local).collect(),
        ports: config.ports.clone(),
        workers: config.workers,
        coalesce: config.coalesce,
        seed: seed()?,
    })
}

fn controller_config(config: &MediaServerConfig, about: &About) -> io::Result<ControllerConfig> {
    let instance = random_bytes::<8>()?.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    let usual = ControllerConfig::new(config.interfaces.clone(), instance);
    Ok(ControllerConfig {
        sessions_max: config.sessions_max,
        silence_timeout: config.silence_timeout,
        held_timeout: config.held_timeout,
        orphan_timeout: config.orphan_timeout,
        datapath: about.datapath.to_owned(),
        datapath_reason: about.datapath_reason.clone(),
        unix_at_zero: realtime().saturating_sub(monotonic().since(Time::ZERO)),
        ..usual
    })
}

/// Calls take descriptors. Takes as many as the system allows, and says so when that is not enough.
fn look_at_limits(config: &MediaServerConfig, records: &Records) -> io::Result<()> {
    let ports = config.ports.clone().count() as u64 * config.interfaces.len() as u64;
    let calls = (ports / 4).min(config.sessions_max as u64);
    let wanted = calls * DESCRIPTORS_PER_CALL + DESCRIPTORS_BESIDE_PORTS;
    let limit = raise_open_files(wanted)?.soft;
    if limit < wanted {
        let facts = json!({
            "open_files": limit,
            "wanted": wanted,
            "calls_possible": limit.saturating_sub(DESCRIPTORS_BESIDE_PORTS) / DESCRIPTORS_PER_CALL,
            "hint": "every call takes six file descriptors: raise the hard limit (ulimit -Hn, LimitNOFILE=)",
        });
        records.push(Record::now(Level::Warning, "open_files_limit_low", facts));
    }
    Ok(())
}

fn facts(config: &MediaServerConfig, listen_ng: SocketAddr, about: &About) -> serde_json::Value {
    json!({
        "name": about.name,
        "listen_ng": listen_ng.to_string(),
        "interfaces": config.interfaces.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "ports": format!("{}-{}", config.ports.start(), config.ports.end()),
        "workers": config.workers.max(1),
        "sessions_max": config.sessions_max,
        "datapath": about.datapath,
        "datapath_reason": about.datapath_reason,
    })
}

fn expiry(expired: &Expired) -> Record {
    let reason = match expired.reason {
        ExpiryReason::Silent => "silent",
        ExpiryReason::Held => "held",
        ExpiryReason::Orphan => "orphan",
        ExpiryReason::Deleted => "deleted",
    };
    let level = if expired.reason == ExpiryReason::Deleted { Level::Debug } else { Level::Info };
    let facts = json!({ "call_id": String::from_utf8_lossy(&expired.call_id), "reason": reason });
    Record::now(level, "call_expired", facts)
}
