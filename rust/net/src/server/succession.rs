//! How a media server begins: with nothing, or where a former life of it stopped.

use std::net::SocketAddr;

use mediaha_media::{Controller, ControllerConfig, Ours, Unadoptable};
use mediaha_time::Time;
use serde_json::json;

use super::config::{MediaServerConfig, StartError};
use super::counter::Counter;
use super::statistics::About;
use crate::estate::{Claim, Estate, Legacy, Line, Share};
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::relay::{self, Relay, RelayConfig, RelayError};
use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{monotonic, raise_open_files, random_bytes, realtime, seed, thread_worked};

/// Descriptors that are not ports: sockets, bells, files of the process around it.
const DESCRIPTORS_BESIDE_PORTS: u64 = 64;
/// A call of one stream takes four ports, and two of them a second socket each once it has been heard for a while.
const DESCRIPTORS_PER_CALL: u64 = 6;
/// Streams that have just ended rest before their place in an estate is another one's.
const STREAMS_AT_REST: usize = 4096;

/// The parts of a media server that is about to work.
pub(super) struct Beginning {
    pub(super) counter: Counter,
    pub(super) about: About,
    pub(super) datapath: Relay,
    pub(super) controller: Controller,
    pub(super) estate: Option<Estate>,
}

/// Whether anything of a former life can be gone on with, and what comes of it.
struct Beginner<'a> {
    config: &'a MediaServerConfig,
    /// Where requests are taken, once that is known.
    listen_ng: SocketAddr,
    records: &'a Records,
    failure: &'a Failure,
}

/// Binds the control port and starts the workers. With a line to a keeper, what this server leaves is kept there, and what a
/// former life has left is taken over, or refused as a whole.
pub(super) fn begin(
    config: &MediaServerConfig,
    line: Option<Line>,
    records: &Records,
    failure: &Failure,
) -> Result<Beginning, StartError> {
    let mut beginner = Beginner { config, listen_ng: config.listen_ng, records, failure };
    let mut claim = match line {
        Some(line) => {
            // Before they come: those that there is no room for are lost.
            raise_open_files(beginner.descriptors()).map_err(StartError::Resources)?;
            Some(Claim::on(line, &beginner.configuration()).map_err(StartError::Resources)?)
        }
        None => None,
    };
    let counter = beginner.control(claim.as_mut())?;
    beginner.listen_ng = counter.address().unwrap_or(config.listen_ng);
    for interface in &config.interfaces {
        UdpSocket::bind(SocketAddr::new(interface.local, 0), &Options::default())
            .map_err(|error| StartError::Interface { interface: interface.clone(), error })?;
    }
    let refused = match claim.as_mut().and_then(|claim| beginner.succeed(claim)) {
        Some(Ok((about, datapath, controller, estate))) => {
            return Ok(Beginning { counter, about, datapath, controller, estate: Some(estate) });
        }
        Some(Err(why)) => Some(why),
        None => None,
    };
    if let Some(why) = refused {
        records.push(Record::now(Level::Error, "estate_refused", json!({ "why": why })));
    }
    beginner.anew(counter, claim)
}

impl Beginner<'_> {
    fn control(&self, claim: Option<&mut Claim>) -> Result<Counter, StartError> {
        let listen_ng = self.config.listen_ng;
        let fits = |socket: &UdpSocket| {
            let bound = socket.local_address();
            bound.is_ok_and(|it| it.ip() == listen_ng.ip() && [0, it.port()].contains(&listen_ng.port()))
        };
        if let Some(socket) = claim.and_then(Claim::control).filter(fits) {
            return Ok(Counter::at(socket));
        }
        Counter::open(listen_ng).map_err(|error| StartError::Control { listen_ng, error })
    }

    /// `None` if nothing was left.
    fn succeed(&self, claim: &mut Claim) -> Option<Result<(About, Relay, Controller, Estate), String>> {
        let (began, worked, steered) = (monotonic(), thread_worked(), claim.steered());
        let adopted = match claim.open()? {
            Ok((estate, legacy, share)) => self.adopt(steered, &legacy, share).map(|parts| (parts, estate)),
            Err(why) => Err(why),
        };
        Some(adopted.map(|((about, datapath, controller), estate)| {
            let took_ms = monotonic().since(began).as_secs_f64() * 1e3;
            let cpu_ms = thread_worked().saturating_sub(worked).as_secs_f64() * 1e3;
            let [took_ms, cpu_ms] = [took_ms, cpu_ms].map(|ms| (ms * 1e3).round() / 1e3);
            let facts = json!({ "sessions": controller.sessions(), "took_ms": took_ms, "cpu_ms": cpu_ms });
            self.records.push(Record::now(Level::Info, "estate_adopted", facts));
            (about, datapath, controller, estate)
        }))
    }

    fn adopt(&self, steered: bool, legacy: &Legacy, share: Share) -> Result<(About, Relay, Controller), String> {
        let relay = relay_config(self.config).map_err(|error| error.to_string())?;
        let choice = self.config.datapath;
        let taken = relay::take_over(choice, steered, &relay, share, self.records, self.failure);
        let mut datapath = taken.map_err(|error| error.to_string())?;
        let config = self.controller_config(&datapath, String::new(), legacy.instance.clone());
        datapath.workers_mut().gather();
        let adopted = Controller::adopt(config, &legacy.written, &mut *datapath, monotonic());
        let mut controller = adopted.map_err(|error: Unadoptable| error.to_string())?;
        datapath.workers_mut().ring();
        datapath.let_go_of_the_rest();
        controller.note_changes();
        Ok((self.about(&datapath, &controller), datapath, controller))
    }

    fn anew(&self, counter: Counter, claim: Option<Claim>) -> Result<Beginning, StartError> {
        let instance = instance().map_err(StartError::Resources)?;
        // Before the datapath, so that what was left is let go of first: its ports may be wanted.
        let begun = claim.map(|mut claim| {
            let begun = claim.begin(instance, self.config.sessions_max, self.streams_max());
            begun.inspect(|(estate, _)| {
                estate.keep_control(counter.socket());
                estate.flush();
            })
        });
        let begun = begun.transpose().map_err(StartError::Resources)?;
        let relay = relay_config(self.config).map_err(StartError::Resources)?;
        let started = relay::start(self.config.datapath, &relay, self.records, self.failure);
        let (mut datapath, reason) = started.map_err(|error| match error {
            RelayError::Unsteerable(error) => StartError::Datapath(error),
            RelayError::NoLanes(error) => StartError::NoLanes(error),
            RelayError::Resources(error) => StartError::Resources(error),
        })?;
        if datapath.takes_descriptors() {
            self.look_at_limits().map_err(StartError::Resources)?;
        }
        let mut controller = Controller::new(self.controller_config(&datapath, reason, instance.to_vec()));
        let about = self.about(&datapath, &controller);
        let estate = begun.map(|(mut estate, share)| {
            datapath.share(share);
            controller.note_changes();
            estate.write_ledger(&controller);
            estate
        });
        Ok(Beginning { counter, about, datapath, controller, estate })
    }

    fn about(&self, datapath: &Relay, controller: &Controller) -> About {
        let datapath_reason = controller.datapath_reason().to_owned();
        About { name: self.config.name.clone(), datapath: datapath.name(), datapath_reason }
    }

    fn controller_config(&self, datapath: &Relay, datapath_reason: String, instance: Vec<u8>) -> ControllerConfig {
        let config = self.config;
        ControllerConfig {
            sessions_max: config.sessions_max,
            silence_timeout: config.silence_timeout,
            held_timeout: config.held_timeout,
            orphan_timeout: config.orphan_timeout,
            busy_permille_max: config.busy_permille_max,
            ours: Ours::of(&config.interfaces, config.ports.clone()),
            control: Some(self.listen_ng),
            datapath: datapath.name().to_owned(),
            datapath_reason,
            unix_at_zero: realtime().saturating_sub(monotonic().since(Time::ZERO)),
            ..ControllerConfig::new(config.interfaces.clone(), instance)
        }
    }

    /// What must be the same for one process to go on with what another one has left.
    fn configuration(&self) -> String {
        let MediaServerConfig { name, interfaces, ports, workers, datapath, .. } = self.config;
        format!("{name} {interfaces:?} {ports:?} {workers} {datapath:?}")
    }

    fn ports(&self) -> usize {
        self.config.ports.clone().count() * self.config.interfaces.len()
    }

    fn streams_max(&self) -> usize {
        self.ports() / 4 + STREAMS_AT_REST
    }

    fn descriptors(&self) -> u64 {
        let calls = (self.ports() / 4).min(self.config.sessions_max);
        calls as u64 * DESCRIPTORS_PER_CALL + DESCRIPTORS_BESIDE_PORTS
    }

    /// Calls take descriptors. Takes as many as the system allows, and says so when that is not enough.
    fn look_at_limits(&self) -> std::io::Result<()> {
        let wanted = self.descriptors();
        let limit = raise_open_files(wanted)?.soft;
        if limit < wanted {
            let facts = json!({
                "open_files": limit,
                "wanted": wanted,
                "calls_possible": limit.saturating_sub(DESCRIPTORS_BESIDE_PORTS) / DESCRIPTORS_PER_CALL,
                "hint": "every call takes six file descriptors: raise the hard limit (ulimit -Hn, LimitNOFILE=)",
            });
            self.records.push(Record::now(Level::Warning, "open_files_limit_low", facts));
        }
        Ok(())
    }
}

fn relay_config(config: &MediaServerConfig) -> std::io::Result<RelayConfig> {
    Ok(RelayConfig {
        name: config.name.clone(),
        addresses: config.interfaces.iter().map(|interface| interface.local).collect(),
        ports: config.ports.clone(),
        workers: config.workers,
        coalesce: config.coalesce,
        dscp: config.dscp,
        seed: seed()?,
    })
}

/// Eight random bytes as letters.
fn instance() -> std::io::Result<[u8; 16]> {
    const LETTERS: &[u8; 16] = b"0123456789abcdef";
    let bytes = random_bytes::<8>()?;
    let mut instance = [0; 16];
    for (pair, byte) in instance.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = [LETTERS[usize::from(byte >> 4)], LETTERS[usize::from(byte & 15)]];
    }
    Ok(instance)
}
