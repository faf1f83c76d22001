//! The control thread: `ng` datagrams in, replies out, timers in between.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use mediaha_media::{Controller, ControllerConfig, Expired, ExpiryReason};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::config::{MediaServerConfig, StartError};
use super::counter::{Counter, Unsent};
use super::orders::{Order, Orders};
use super::statistics::{self, About};
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::relay::{Relay, RelayConfig, RelayError};
use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{Epoll, Events, Trigger, monotonic, raise_open_files, random_bytes, realtime, seed};

/// For how long a worker that sleeps may not know of a change: it is woken once for all changes of this time. Packets that come
/// meanwhile wait in their sockets.
const RING_WITHIN: Duration = Duration::from_micros(500);
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
    counter: Counter,
    listen_ng: SocketAddr,
    controller: Controller,
    datapath: Relay,
    orders: Arc<Orders>,
    records: Records,
    failure: Failure,
    sample_at: Time,
    /// When workers must be woken for what they were told.
    ring_at: Option<Time>,
    /// There is something to be done when there is nothing else to do.
    chores: bool,
}

impl Control {
    /// Binds the control port and starts the workers.
    pub(crate) fn start(
        config: &MediaServerConfig,
        orders: Arc<Orders>,
        records: Records,
        failure: Failure,
    ) -> Result<Self, StartError> {
        let unbound = |error| StartError::Control { listen_ng: config.listen_ng, error };
        let counter = Counter::open(config.listen_ng).map_err(unbound)?;
        let listen_ng = counter.address().map_err(unbound)?;
        for interface in &config.interfaces {
            UdpSocket::bind(SocketAddr::new(interface.local, 0), &Options::default())
                .map_err(|error| StartError::Interface { interface: interface.clone(), error })?;
        }
        let epoll = watch(&counter, &orders, &failure).map_err(StartError::Resources)?;
        let (mut datapath, datapath_reason) = start_relay(config, &records, &failure)?;
        datapath.gather();
        let about = About { name: config.name.clone(), datapath: datapath.name(), datapath_reason };
        let controller = Controller::new(controller_config(config, &about).map_err(StartError::Resources)?);
        let facts = facts(config, listen_ng, &about);
        records.push(Record::now(Level::Info, "media_server_started", facts));
        let sample_at = monotonic() + SAMPLE_EVERY;
        Ok(Self {
            about,
            epoll,
            counter,
            listen_ng,
            controller,
            datapath,
            orders,
            records,
            failure,
            sample_at,
            ring_at: None,
            chores: true,
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
            let wake_at =
                [self.controller.wake_at(), self.ring_at].into_iter().flatten().fold(self.sample_at, Time::min);
            let patience = if self.chores { Duration::ZERO } else { wake_at.since(now) };
            self.epoll.wait(&mut events, Some(patience)).expect("epoll waits");
            if events.is_empty() && self.chores {
                self.chores = self.datapath.look_ahead();
            }
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
        let Self { controller, datapath, .. } = self;
        let unsent =
            self.counter.serve(|request, client| controller.handle(request, client, datapath, monotonic()));
        for Unsent { client, error } in unsent {
            let facts = json!({ "client": client.to_string(), "error": error.to_string() });
            self.records.push(Record::now(Level::Debug, "reply_not_sent", facts));
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
        self.ring(now);
    }

    fn ring(&mut self, now: Time) {
        if !self.datapath.is_unrung() {
            self.ring_at = None;
        } else if *self.ring_at.get_or_insert(now + RING_WITHIN) <= now {
            self.datapath.ring();
            self.ring_at = None;
        }
    }

    fn obey(&mut self) {
        self.orders.bell.drain();
        self.controller.drain(self.orders.is_draining());
        self.datapath.keep_ports(!self.orders.is_draining());
        self.chores = true;
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

fn watch(counter: &Counter, orders: &Orders, failure: &Failure) -> io::Result<Epoll> {
    let epoll = Epoll::new()?;
    epoll.add(counter, NG, Trigger::Level)?;
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
        dscp: config.dscp,
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
        busy_permille_max: config.busy_permille_max,
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
