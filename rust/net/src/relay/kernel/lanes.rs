//! All lanes of a server, in memory that it shares with the program.
//!
//! ```text
//!   header: the lease, the routers that packets go to, and the rates of payload types that need no listing
//!   for each address: a lane for each port of the range
//! ```
//!
//! A worker writes the lanes of its own streams, and control those of ports that have no stream. Control may also recall any.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{Mutex, PoisonError};

use mediaha_media::{Cause, Clocks, Run, SideCounters};
use mediaha_time::{Duration, Time};

use super::lane::{self, Gate, State, WORDS, Way, at};
use crate::sys::Shared;
use crate::sys::bpf::SharedMap;

/// How long the kernel goes on when the process does not say that it lives.
pub(super) const LEASE: Duration = Duration::from_secs(60);

pub(super) const HEADER_BYTES: usize = 1024;
/// Until when the program forwards, on the monotonic clock; in nanoseconds.
pub(super) const LEASE_AT: i16 = 0;
/// Here would be router number 0, and the others follow. A number stays its router's as long as the memory is there.
pub(super) const ROUTERS_AT: i16 = 0;
pub(super) const ROUTER_BYTES_LOG2: i32 = 4;
const ROUTERS_MAX: u16 = 31;
/// 32 bits for each payload type.
pub(super) const RATES_AT: i16 = 512;

/// The lanes of all ports.
#[derive(Debug)]
pub(in crate::relay) struct Lanes {
    addresses: Vec<IpAddr>,
    ports: RangeInclusive<u16>,
    memory: Shared<AtomicU64>,
    /// Changes with the routes of this host.
    routes: AtomicU64,
    /// Held by who adds a router.
    adding: Mutex<()>,
}

/// What the kernel has counted at one port.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Account {
    pub(super) figures: SideCounters,
    pub(super) run: Option<Run>,
}

impl Lanes {
    /// How many bytes the lanes of these ports take.
    pub(super) fn bytes(addresses: &[IpAddr], ports: &RangeInclusive<u16>) -> u32 {
        u32::try_from(HEADER_BYTES + addresses.len() * ports.len() * lane::BYTES).unwrap_or(u32::MAX)
    }

    /// The lanes in `map`, as they were left.
    ///
    /// # Errors
    /// No address space is left.
    pub(super) fn of(map: &SharedMap, addresses: &[IpAddr], ports: &RangeInclusive<u16>) -> io::Result<Self> {
        let memory = map.memory()?;
        let (routes, adding) = (AtomicU64::new(0), Mutex::new(()));
        let lanes = Self { addresses: addresses.to_vec(), ports: ports.clone(), memory, routes, adding };
        let rate = |payload_type| Clocks::default().hertz(payload_type).to_ne_bytes();
        let first = RATES_AT.unsigned_abs() as usize / 8;
        for (word, payload_type) in lanes.memory.as_slice()[first..first + 64].iter().zip((0..).step_by(2)) {
            let [a, b] = [rate(payload_type), rate(payload_type + 1)];
            word.store(u64::from_ne_bytes([a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]]), Relaxed);
        }
        Ok(lanes)
    }

    /// Lets the program forward for so long from now on, if nothing is heard of us.
    pub(super) fn renew(&self, now: Time) {
        self.memory.as_slice()[LEASE_AT as usize / 8].store((now + LEASE).as_nanos(), Release);
    }

    /// Ends all forwarding at once.
    pub(super) fn end(&self) {
        self.memory.as_slice()[LEASE_AT as usize / 8].store(0, Release);
    }

    /// A number that changes with the routes.
    pub(super) fn routes(&self) -> u64 {
        self.routes.load(Acquire)
    }

    /// The number of a router. `None` when there were too many: what goes to further ones is for the worker.
    pub(super) fn router(&self, address: IpAddr) -> Option<u16> {
        let wanted = lane::octets(address);
        let (wanted, _) = wanted.as_chunks::<8>();
        // Of one who panicked in here nothing more is left than a router that nobody's packets go to.
        let _adding = self.adding.lock().unwrap_or_else(PoisonError::into_inner);
        (1..=ROUTERS_MAX).find(|&number| {
            let first = (ROUTERS_AT.unsigned_abs() + (number << ROUTER_BYTES_LOG2)) / 8;
            let place = &self.memory.as_slice()[usize::from(first)..][..2];
            if place.iter().all(|word| word.load(Relaxed) == 0) {
                place
                    .iter()
                    .zip(wanted)
                    .for_each(|(word, octets)| word.store(u64::from_ne_bytes(*octets), Relaxed));
            }
            place.iter().zip(wanted).all(|(word, octets)| word.load(Relaxed).to_ne_bytes() == *octets)
        })
    }

    /// Recalls all lanes: where packets go must be found out anew.
    pub(super) fn reroute(&self) {
        self.routes.fetch_add(1, AcqRel);
        for number in 0..self.addresses.len() * self.ports.len() {
            let lane = self.lane(number);
            let before = lane.gate();
            if before.state() == State::Open {
                // Whoever else changes it at this moment does not open it.
                let _ = lane.0[0].compare_exchange(before.0, before.next(State::Recalled).0, AcqRel, Relaxed);
            }
        }
    }

    /// The lane of a port of ours.
    pub(super) fn at(&self, port: SocketAddr) -> Option<Lane<'_>> {
        let address = self.addresses.iter().position(|&address| address == port.ip())?;
        let place = usize::from(port.port().checked_sub(*self.ports.start())?);
        (place < self.ports.len()).then(|| self.lane(address * self.ports.len() + place))
    }

    /// Whether the kernel forwards what comes to this port.
    pub(super) fn is_open(&self, port: SocketAddr) -> bool {
        self.at(port).is_some_and(|lane| lane.gate().state() == State::Open)
    }

    /// The ports whose lanes the kernel forwards on.
    pub(super) fn open(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let ports = self.addresses.iter().flat_map(|&address| self.ports.clone().map(move |port| (address, port)));
        let open = |number: usize| self.lane(number).gate().state() == State::Open;
        ports.enumerate().filter(move |&(number, _)| open(number)).map(|(_, port)| port.into())
    }

    fn lane(&self, number: usize) -> Lane<'_> {
        Lane(&self.memory.as_slice()[HEADER_BYTES / 8 + number * WORDS..][..WORDS])
    }
}

/// One port's lane.
#[derive(Clone, Copy)]
pub(super) struct Lane<'a>(&'a [AtomicU64]);

impl Lane<'_> {
    pub(super) fn gate(self) -> Gate {
        Gate(self.0[0].load(Acquire))
    }

    /// Writes the way of the packets that come here. They rise as before, until [`Self::open`].
    pub(super) fn arm(self, way: Way, clocks: &Clocks) {
        let before = self.gate();
        self.write(at::SOURCE, &way.to_bytes(clocks));
        self.set(before.next(State::Armed));
    }

    /// Has the kernel forward from here on, if the last packet that rose began with `tag`; goes on with the account `run`.
    pub(super) fn open(self, tag: u32, run: Option<Run>) -> bool {
        let generation = self.gate().generation();
        let armed = Gate::new(generation, State::Armed, tag);
        if self.gate() != armed {
            return false;
        }
        self.write(at::SSRC, &lane::run_to_bytes(run));
        let open = Gate::new(generation, State::Open, 0);
        self.0[0].compare_exchange(armed.0, open.0, AcqRel, Relaxed).is_ok()
    }

    /// Whether it is this way that packets are shown.
    pub(super) fn leads(self, way: Way, clocks: &Clocks) -> bool {
        let wanted = way.to_bytes(clocks);
        self.read()[at::SOURCE.unsigned_abs().into()..][..wanted.len()] == wanted
    }

    /// Has packets rise from here on.
    pub(super) fn idle(self) {
        let before = self.gate();
        if before.state() != State::Idle {
            self.set(before.next(State::Idle));
        }
    }

    /// Whether these are the party's packets as far as the lane knows.
    pub(super) fn source_is(self, source: SocketAddr) -> bool {
        lane::source(&self.read(), source.is_ipv4()) == source
    }

    /// What was counted here so far.
    pub(super) fn account(self) -> Account {
        let lane = self.read();
        let run = lane::run_of(&lane);
        let at = |at| lane::double(&lane, at);
        let mut figures = SideCounters {
            packets: at(at::PACKETS),
            bytes: at(at::OCTETS),
            rtcp_packets: at(at::RTCP_PACKETS),
            rtcp_bytes: at(at::RTCP_OCTETS),
            lost: at(at::EXPECTED).saturating_sub(at(at::RECEIVED)),
            jitter_ns: run.map_or(0, |run| run.jitter_16 >> 4),
            ssrc: run.map(|run| run.ssrc),
            ssrc_changes: at(at::SSRC_CHANGES),
            last_seen: Some(at(at::LAST_SEEN)).filter(|&at| at > 0).map(Time::from_nanos),
            ..SideCounters::default()
        };
        figures.add_dropped(Cause::Stranger, at(at::STRANGERS));
        Account { figures, run }
    }

    /// Makes the lane as good as new. Nobody may have armed it.
    pub(super) fn clear(self) {
        self.idle();
        self.0[1..].iter().for_each(|word| word.store(0, Relaxed));
    }

    fn set(self, gate: Gate) {
        self.0[0].store(gate.0, Release);
    }

    fn write(self, at: i16, bytes: &[u8]) {
        let (doubles, _) = bytes.as_chunks::<8>();
        for (word, bytes) in self.0[at.unsigned_abs() as usize / 8..].iter().zip(doubles) {
            word.store(u64::from_ne_bytes(*bytes), Relaxed);
        }
    }

    fn read(self) -> [u8; lane::BYTES] {
        let mut bytes = [0; lane::BYTES];
        for (bytes, word) in bytes.as_chunks_mut::<8>().0.iter_mut().zip(self.0) {
            *bytes = word.load(Relaxed).to_ne_bytes();
        }
        bytes
    }
}
