//! Control's end of the relay.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mediaha_media::{
    Datapath, Interface, Load, PortPair, PortsExhausted, SideCounters, StreamCounters, StreamId, StreamPlan,
};
use mediaha_time::{Duration, Time};
use serde_json::json;

use super::mailbox::{Command, Install, Mailbox};
use super::pair::SocketPair;
use super::ports::Ports;
use super::tally::{Tally, TallySnapshot};
use super::worker::Worker;
use crate::failure::Failure;
use crate::record::{Level, Record, Records};
use crate::sys::monotonic;

/// How often it is said that ports or descriptors have run out.
const COMPLAIN_EVERY: Duration = Duration::from_secs(10);

/// How many calls of [`SocketsDatapath::sample`] a worker may sleep through, though it is woken at each.
const MISSED_MAX: u32 = 4;
/// How long closing waits for a worker to end. One that is stuck is left behind: it must not keep the others from ending.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a relay is made of.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// The local addresses that ports are bound on.
    pub addresses: Vec<IpAddr>,
    /// The ports that may be used on each of them.
    pub ports: RangeInclusive<u16>,
    /// How many worker threads.
    pub workers: usize,
    /// How long packets may be gathered when they are many; zero for never.
    pub coalesce: Duration,
    /// Shuffles the order in which ports are used.
    pub seed: u64,
}

/// Forwards with one UDP socket a port.
#[derive(Debug)]
pub struct SocketsDatapath {
    ports: HashMap<IpAddr, Ports>,
    /// By RTP address; as bounded as the ports.
    pairs: HashMap<SocketAddr, Arc<SocketPair>>,
    /// Bounded by the pairs: control installs a stream only with ports it has opened.
    streams: HashMap<StreamId, Placed>,
    crew: Vec<Employed>,
    records: Records,
    failure: Failure,
    sampled: Time,
    busy_permille: u32,
    silent_until: Time,
}

#[derive(Debug)]
struct Placed {
    worker: usize,
    counters: Arc<StreamCounters>,
}

/// A worker as control sees it.
#[derive(Debug)]
struct Employed {
    mailbox: Arc<Mailbox>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
    streams: usize,
    before: TallySnapshot,
    /// How many samples in a row have found that it did not wake up.
    missed: u32,
}

impl SocketsDatapath {
    /// Starts the worker threads. What goes wrong with them later is told to `failure`.
    ///
    /// # Errors
    /// No thread or file descriptor is left.
    pub fn start(config: &RelayConfig, records: Records, failure: Failure) -> io::Result<Self> {
        let seeds = (config.seed..).zip(&config.addresses);
        let ports = seeds.map(|(seed, &address)| (address, Ports::new(&config.ports, seed))).collect();
        let crew = (0..config.workers.max(1)).map(|number| employ(number, config, &records, &failure));
        Ok(Self {
            ports,
            pairs: HashMap::new(),
            streams: HashMap::new(),
            crew: crew.collect::<io::Result<_>>()?,
            records,
            failure,
            sampled: monotonic(),
            busy_permille: 0,
            silent_until: Time::ZERO,
        })
    }

    /// What each worker has counted.
    #[must_use]
    pub fn tallies(&self) -> Vec<TallySnapshot> {
        self.crew.iter().map(|employed| employed.tally.snapshot()).collect()
    }

    /// Measures how busy the workers were since the last call, which [`Datapath::load`] tells until the next one, and sees
    /// whether they work at all. To be called every half a second or so.
    pub fn sample(&mut self, now: Time) {
        let elapsed = now.since(self.sampled).as_nanos().max(1);
        self.sampled = now;
        self.busy_permille = 0;
        for (number, employed) in self.crew.iter_mut().enumerate() {
            let spent = employed.look_after();
            let permille = u32::try_from(spent.as_nanos() * 1000 / elapsed).unwrap_or(1000).min(1000);
            self.busy_permille = self.busy_permille.max(permille);
            // Counted in looks, not in time: when the whole process was stopped for a while, the worker is not to blame.
            if employed.missed > MISSED_MAX {
                self.failure.report(format!("relay worker {number} does not wake up"));
            }
        }
    }

    /// Tells a worker, or ends the server if it does not listen.
    fn tell(&self, worker: usize, command: Command) {
        if self.crew[worker].mailbox.post(command).is_err() {
            self.failure.report(format!("relay worker {worker} takes no commands"));
        }
    }

    /// Says at most once in a while why no ports could be opened.
    fn complain(&mut self, event: &'static str, facts: serde_json::Value, now: Time) {
        if now >= self.silent_until {
            self.silent_until = now + COMPLAIN_EVERY;
            self.records.push(Record::now(Level::Warning, event, facts));
        }
    }
}

impl Employed {
    /// Wakes the worker, and sees whether it woke up since this was done last; returns for how long it was busy since.
    fn look_after(&mut self) -> Duration {
        let tally = self.tally.snapshot();
        let before = std::mem::replace(&mut self.before, tally);
        self.missed = if tally.wakeups == before.wakeups { self.missed + 1 } else { 0 };
        self.mailbox.bell.ring();
        tally.busy.saturating_sub(before.busy)
    }
}

impl Datapath for SocketsDatapath {
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted> {
        let now = monotonic();
        loop {
            let Some(ports) = self.ports.get_mut(&interface.local) else { return Err(PortsExhausted) };
            let Some(rtp) = ports.take(now) else {
                self.complain("ports_exhausted", json!({ "interface": interface.to_string() }), now);
                return Err(PortsExhausted);
            };
            let error = match SocketPair::bind(interface.local, rtp) {
                Ok(pair) => {
                    let opened = pair.ports();
                    self.pairs.insert(opened.rtp, Arc::new(pair));
                    return Ok(opened);
                }
                Err(error) => error,
            };
            if error.kind() == io::ErrorKind::AddrInUse || error.kind() == io::ErrorKind::PermissionDenied {
                ports.held_elsewhere(rtp, now);
                continue;
            }
            // No descriptors, no memory, or the address is gone: the next port would fare no better.
            ports.give_back(rtp, now);
            let open_ports = self.pairs.len() * 2;
            let facts = json!({ "interface": interface.to_string(), "port": rtp, "error": error.to_string(),
                "open_ports": open_ports, "hint": "every port takes a file descriptor: see ulimit -n, LimitNOFILE=" });
            self.complain("port_not_bound", facts, now);
            return Err(PortsExhausted);
        }
    }

    fn close(&mut self, ports: PortPair) {
        // The worker may hold the sockets a moment longer, until it has carried out what it was told before.
        if self.pairs.remove(&ports.rtp).is_some()
            && let Some(free) = self.ports.get_mut(&ports.rtp.ip())
        {
            free.give_back(ports.rtp.port(), monotonic());
        }
    }

    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time) {
        let [a, b] = plan.sides.map(|side| self.pairs.get(&side.local.rtp).cloned());
        let (Some(a), Some(b)) = (a, b) else {
            debug_assert!(false, "a stream is installed on ports that are not open");
            return;
        };
        let placed = self.streams.entry(stream).or_insert_with(|| {
            let least = (0..self.crew.len()).min_by_key(|&worker| self.crew[worker].streams).unwrap_or(0);
            self.crew[least].streams += 1;
            Placed { worker: least, counters: Arc::default() }
        });
        let (worker, counters) = (placed.worker, Arc::clone(&placed.counters));
        self.tell(worker, Command::Install(Box::new(Install { stream, plan, pairs: [a, b], counters, now })));
    }

    fn remove(&mut self, stream: StreamId) {
        if let Some(placed) = self.streams.remove(&stream) {
            self.crew[placed.worker].streams -= 1;
            self.tell(placed.worker, Command::Remove(stream));
        }
    }

    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        self.streams.get(&stream).map(|placed| placed.counters.snapshot())
    }

    fn load(&self) -> Load {
        let pairs: usize = self.ports.values().map(Ports::pairs).sum();
        Load {
            ports_open: u32::try_from(self.pairs.len() * 2).unwrap_or(u32::MAX),
            ports_max: u32::try_from(pairs * 2).unwrap_or(u32::MAX),
            busy_permille: self.busy_permille,
        }
    }
}

/// Stops the workers and waits for them.
impl Drop for SocketsDatapath {
    fn drop(&mut self) {
        self.crew.iter().for_each(|employed| employed.mailbox.stop());
        let give_up_at = monotonic() + FAREWELL;
        for thread in self.crew.iter_mut().filter_map(|employed| employed.thread.take()) {
            while !thread.is_finished() && monotonic() < give_up_at {
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                // A panic of the worker has been reported by the worker's thread itself.
                let _ = thread.join();
            }
        }
    }
}

fn employ(number: usize, config: &RelayConfig, records: &Records, failure: &Failure) -> io::Result<Employed> {
    let mailbox = Arc::new(Mailbox::new()?);
    let tally = Arc::new(Tally::default());
    let worker = Worker::new(Arc::clone(&mailbox), Arc::clone(&tally), records.clone(), config.coalesce)?;
    let failure = failure.clone();
    let thread = thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
        if panic::catch_unwind(AssertUnwindSafe(|| worker.run())).is_err() {
            failure.report(format!("relay worker {number} panicked"));
        }
    })?;
    Ok(Employed { mailbox, tally, thread: Some(thread), streams: 0, before: TallySnapshot::default(), missed: 0 })
}
