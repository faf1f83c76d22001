//! One port's lane: what the program in the kernel knows of a flow, and what it counts of it, as bytes that both sides share.
//!
//! ```text
//!          a packet from the only source         the last packet that rose
//!          was sent on, whose way lasts          has been sent on, too
//!   Idle ──────────────────────────────▶ Armed ───────────────────────────▶ Open
//!    ▲                                                                       │ the plan, a route or the packets
//!    │ the worker takes the account over                                     ▼ change
//!    └─────────────────────────────────────────────────────────────────── Recalled
//! ```
//!
//! A lane is recalled by the worker or control, or by the program when a packet of the flow is not for it.
//!
//! Only in `Open` does the kernel forward. While a lane is armed, packets rise to the worker as ever, and the program notes in the
//! gate which was the last: the lane is opened only when the worker has sent that one, so that no packet overtakes another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mediaha_media::{Arrival, Clocks, Route, Run};
use mediaha_time::Time;

use super::course::Course;

/// How long a lane is; as words of 64 bits.
pub(super) const BYTES: usize = 256;
pub(super) const BYTES_LOG2: i32 = BYTES.ilog2().cast_signed();
pub(super) const WORDS: usize = BYTES / 8;

/// Where in a lane is what. Addresses and ports are in network byte order, all else is in the machine's.
pub(super) mod at {
    /// 64 bits: the state and its generation above, what the last packet that rose began with below.
    pub(in super::super) const GATE: i16 = 0;
    pub(in super::super) const SOURCE: i16 = 8;
    pub(in super::super) const FROM: i16 = 24;
    pub(in super::super) const TO: i16 = 40;
    /// Two ports are one word: those of the packet that is sent on.
    pub(in super::super) const SOURCE_PORT: i16 = 56;
    pub(in super::super) const PORTS: i16 = 58;
    pub(in super::super) const FLAGS: i16 = 62;
    /// The interface that the packets leave by; 0 for parties on this host.
    pub(in super::super) const INTERFACE: i16 = 64;
    /// Longer packets, headers included, rise.
    pub(in super::super) const LENGTH_MAX: i16 = 68;
    /// What the other addresses and ports make of a checksum.
    pub(in super::super) const SUM_ADDRESSES: i16 = 72;
    pub(in super::super) const SUM_PORTS: i16 = 76;
    /// How many payload types are listed with their rates.
    pub(in super::super) const NOTED: i16 = 80;
    pub(in super::super) const TYPES: i16 = 84;
    pub(in super::super) const RATES: i16 = 96;
    /// From here on the program writes.
    pub(in super::super) const PACKETS: i16 = 144;
    pub(in super::super) const OCTETS: i16 = 152;
    pub(in super::super) const RTCP_PACKETS: i16 = 160;
    pub(in super::super) const RTCP_OCTETS: i16 = 168;
    pub(in super::super) const STRANGERS: i16 = 176;
    pub(in super::super) const LAST_SEEN: i16 = 184;
    pub(in super::super) const EXPECTED: i16 = 192;
    pub(in super::super) const RECEIVED: i16 = 200;
    pub(in super::super) const SSRC_CHANGES: i16 = 208;
    /// The run that is under way, see [`mediaha_media::Run`].
    pub(in super::super) const SSRC: i16 = 216;
    pub(in super::super) const HIGHEST: i16 = 220;
    pub(in super::super) const RESTART: i16 = 222;
    pub(in super::super) const RUNNING: i16 = 224;
    pub(in super::super) const TIMESTAMP: i16 = 228;
    pub(in super::super) const HERTZ: i16 = 232;
    pub(in super::super) const ARRIVED: i16 = 240;
    pub(in super::super) const JITTER: i16 = 248;
}

/// The port is the odd one: RTCP comes to it.
pub(super) const RTCP: u16 = 1;
/// What looks like RTCP at the even port is RTCP.
pub(super) const MUX: u16 = 2;
/// And it goes the same way.
pub(super) const THROUGH: u16 = 4;
/// From this bit on: the number of the router that packets go to, among those that all lanes share.
pub(super) const ROUTER_BITS: i32 = 8;
/// There is none: the party is on the link.
pub(super) const ON_LINK: u16 = 0xff;

/// There is a run.
pub(super) const RUNS: u32 = 1;
/// There was a packet from nowhere.
pub(super) const STRAYED: u32 = 2;

/// The tag of a lane that the program has recalled.
const REFUSED: u64 = 1;
/// What makes of the gate of an open lane one that is recalled, as [`Gate::next`] does it, with that tag.
pub(super) const RECALL: u64 = 1 << 34 | 1 << 32 | REFUSED;

/// Who forwards what comes to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The worker.
    Idle,
    /// The worker, for a moment yet.
    Armed,
    /// The kernel.
    Open,
    /// The worker, who has yet to take over the account.
    Recalled,
}

/// State, generation and tag in one word, so that they change together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gate(pub(super) u64);

impl Gate {
    pub(super) fn new(generation: u32, state: State, tag: u32) -> Self {
        let state = match state {
            State::Idle => 0,
            State::Armed => 1,
            State::Open => 2,
            State::Recalled => 3,
        };
        Self(u64::from(generation & (u32::MAX >> 2)) << 34 | state << 32 | u64::from(tag))
    }

    pub(super) fn state(self) -> State {
        match self.0 >> 32 & 3 {
            0 => State::Idle,
            1 => State::Armed,
            2 => State::Open,
            _ => State::Recalled,
        }
    }

    pub(super) fn generation(self) -> u32 {
        u32::try_from(self.0 >> 34).unwrap_or(0)
    }

    /// Whether it was the program that recalled it.
    pub(super) fn is_refused(self) -> bool {
        self.state() == State::Recalled && self.0 & u64::from(u32::MAX) == REFUSED
    }

    /// Changed to `state`; whoever read the fields meanwhile sees that it must not trust them.
    pub(super) fn next(self, state: State) -> Self {
        Self::new(self.generation().wrapping_add(1), state, 0)
    }
}

/// What is told to the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// The port that it is for.
    pub(super) local: SocketAddr,
    pub(super) route: Route,
    pub(super) course: Course,
    pub(super) flags: u16,
}

impl Way {
    /// The bytes of a lane from [`at::SOURCE`] up to [`at::PACKETS`].
    pub(super) fn to_bytes(self, clocks: &Clocks) -> [u8; 136] {
        let mut lane = [0; at::PACKETS as usize];
        let Self { local, route: Route { source, from, to }, course, flags } = self;
        let (interface, length_max) = match course {
            Course::Here => (0, u32::MAX),
            Course::Out { interface, length_max, .. } => (interface, length_max),
        };
        put(&mut lane, at::SOURCE, &octets(source.ip()));
        put(&mut lane, at::FROM, &octets(from.ip()));
        put(&mut lane, at::TO, &octets(to.ip()));
        put(&mut lane, at::SOURCE_PORT, &source.port().to_be_bytes());
        put(&mut lane, at::PORTS, &from.port().to_be_bytes());
        put(&mut lane, at::PORTS + 2, &to.port().to_be_bytes());
        put(&mut lane, at::FLAGS, &flags.to_ne_bytes());
        put(&mut lane, at::INTERFACE, &interface.to_ne_bytes());
        put(&mut lane, at::LENGTH_MAX, &length_max.to_ne_bytes());
        let old = [octets(source.ip()), octets(local.ip())].concat();
        let new = [octets(from.ip()), octets(to.ip())].concat();
        put(&mut lane, at::SUM_ADDRESSES, &difference(&old, &new).to_ne_bytes());
        let ports =
            |from: SocketAddr, to: SocketAddr| [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
        put(&mut lane, at::SUM_PORTS, &difference(&ports(source, local), &ports(from, to)).to_ne_bytes());
        let mut noted = 0_u32;
        for (payload_type, hertz) in clocks.noted() {
            put(&mut lane, at::TYPES + i16::try_from(noted).unwrap_or(0), &[payload_type]);
            put(&mut lane, at::RATES + 4 * i16::try_from(noted).unwrap_or(0), &hertz.to_ne_bytes());
            noted += 1;
        }
        put(&mut lane, at::NOTED, &noted.to_ne_bytes());
        let mut bytes = [0; 136];
        bytes.copy_from_slice(&lane[8..]);
        bytes
    }
}

/// The bytes of a lane from [`at::SSRC`] on, without those that are nobody's.
pub(super) fn run_to_bytes(run: Option<Run>) -> [u8; 40] {
    let mut lane = [0; BYTES];
    if let Some(run) = run {
        put(&mut lane, at::SSRC, &run.ssrc.to_ne_bytes());
        put(&mut lane, at::HIGHEST, &run.highest.to_ne_bytes());
        put(&mut lane, at::RESTART, &run.restart.unwrap_or(0).to_ne_bytes());
        put(&mut lane, at::RUNNING, &(RUNS | if run.restart.is_some() { STRAYED } else { 0 }).to_ne_bytes());
        put(&mut lane, at::TIMESTAMP, &run.last.timestamp.to_ne_bytes());
        put(&mut lane, at::HERTZ, &run.last.hertz.to_ne_bytes());
        put(&mut lane, at::ARRIVED, &run.last.at.as_nanos().to_ne_bytes());
        put(&mut lane, at::JITTER, &run.jitter_16.to_ne_bytes());
    }
    let mut bytes = [0; 40];
    bytes.copy_from_slice(&lane[at::SSRC as usize..]);
    bytes
}

/// The run in a whole lane.
pub(super) fn run_of(lane: &[u8; BYTES]) -> Option<Run> {
    let running = word(lane, at::RUNNING);
    (running & RUNS != 0).then(|| Run {
        ssrc: word(lane, at::SSRC),
        highest: half(lane, at::HIGHEST),
        restart: (running & STRAYED != 0).then(|| half(lane, at::RESTART)),
        last: Arrival {
            at: Time::from_nanos(double(lane, at::ARRIVED)),
            timestamp: word(lane, at::TIMESTAMP),
            hertz: word(lane, at::HERTZ),
        },
        jitter_16: double(lane, at::JITTER),
    })
}

/// Address and port that alone are believed, as far as a lane knows; by the family of the port's own address.
pub(super) fn source(lane: &[u8; BYTES], ipv4: bool) -> SocketAddr {
    let port = u16::from_be_bytes(part(lane, at::SOURCE_PORT));
    SocketAddr::new(address(part(lane, at::SOURCE), ipv4), port)
}

pub(super) fn double(lane: &[u8; BYTES], at: i16) -> u64 {
    u64::from_ne_bytes(part(lane, at))
}

fn word(lane: &[u8; BYTES], at: i16) -> u32 {
    u32::from_ne_bytes(part(lane, at))
}

fn half(lane: &[u8; BYTES], at: i16) -> u16 {
    u16::from_ne_bytes(part(lane, at))
}

fn part<const COUNT: usize>(lane: &[u8; BYTES], at: i16) -> [u8; COUNT] {
    let mut part = [0; COUNT];
    part.copy_from_slice(&lane[at.unsigned_abs().into()..][..COUNT]);
    part
}

fn put(lane: &mut [u8], at: i16, bytes: &[u8]) {
    lane[at.unsigned_abs().into()..][..bytes.len()].copy_from_slice(bytes);
}

fn address(octets: [u8; 16], ipv4: bool) -> IpAddr {
    let [a, b, c, d, ..] = octets;
    if ipv4 { Ipv4Addr::new(a, b, c, d).into() } else { Ipv6Addr::from(octets).into() }
}

/// An IPv4 address takes the first four.
pub(super) fn octets(address: IpAddr) -> [u8; 16] {
    let mut octets = [0; 16];
    match address {
        IpAddr::V4(address) => octets[..4].copy_from_slice(&address.octets()),
        IpAddr::V6(address) => octets = address.octets(),
    }
    octets
}

/// What must be added to the sum over `old` to make it that over `new` (RFC 1624 §3), in the machine's own order.
fn difference(old: &[u8], new: &[u8]) -> u32 {
    let words = |bytes: &[u8]| -> Vec<u32> {
        bytes.as_chunks::<4>().0.iter().map(|&word| u32::from_ne_bytes(word)).collect()
    };
    let sum: u64 = words(new).into_iter().chain(words(old).into_iter().map(|word| !word)).map(u64::from).sum();
    // At most sixteen words were added, so that folding twice is enough.
    let folded = (sum & 0xffff_ffff) + (sum >> 32);
    u32::try_from((folded & 0xffff_ffff) + (folded >> 32)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_that_the_program_recalls_is_told_from_one_that_we_recalled() {
        for generation in [0, 7, u32::MAX >> 2] {
            let open = Gate::new(generation, State::Open, 0);
            let ours = open.next(State::Recalled);
            let refused = Gate(open.0.wrapping_add(RECALL));
            assert_eq!((refused.state(), refused.generation()), (State::Recalled, ours.generation()));
            assert!(refused.is_refused() && !ours.is_refused() && !open.is_refused());
        }
    }
}
