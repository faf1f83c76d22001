//! What is counted of a stream: written by the one worker that owns it, read by control at any time.
//!
//! The numbers live in a few words of memory, in which the worker also publishes what it has learnt ([`crate::Latch`]). The
//! memory may outlive the process: a stream that is made upon words that were written before goes on from there. Zeroes are a
//! stream that has heard nobody yet.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mediaha_time::Time;

use crate::demux::Kind;
use crate::latch::{LATCH_WORDS, Latch};
use crate::plan::{Component, Side};
use crate::sequence::Sequence;

/// Why a packet was not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Nothing that this stream carries, by its header.
    Malformed,
    /// It came from an address that this side is not believed to send from.
    Stranger,
    /// The other party has not said yet where it listens.
    Unaddressed,
    /// A connectivity check (RFC 8445): the relay takes no part in ICE.
    Stun,
    /// Too many packets before it were waiting to be read.
    Overflow,
    /// A client has asked that it be withheld.
    Blocked,
    /// The kernel did not take it: there is no way to where the other party is said to listen, or a queue was full.
    Unsent,
    /// It has come again and again: it goes round through somebody else's relay.
    Repeated,
}

impl Cause {
    /// All of them, in the order in which arrays are indexed.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::Stranger,
        Self::Unaddressed,
        Self::Stun,
        Self::Overflow,
        Self::Blocked,
        Self::Unsent,
        Self::Repeated,
    ];

    /// The word for it in statistics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stranger => "stranger",
            Self::Unaddressed => "unaddressed",
            Self::Stun => "stun",
            Self::Overflow => "overflow",
            Self::Blocked => "blocked",
            Self::Unsent => "unsent",
            Self::Repeated => "repeated",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Malformed => 0,
            Self::Stranger => 1,
            Self::Unaddressed => 2,
            Self::Stun => 3,
            Self::Overflow => 4,
            Self::Blocked => 5,
            Self::Unsent => 6,
            Self::Repeated => 7,
        }
    }
}

/// What was received from one side of a stream, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SideCounters {
    /// RTP packets forwarded.
    pub packets: u64,
    /// Bytes of those, RTP header included.
    pub bytes: u64,
    /// RTCP packets forwarded.
    pub rtcp_packets: u64,
    /// Bytes of those.
    pub rtcp_bytes: u64,
    /// DTLS packets forwarded, and those of ZRTP.
    pub dtls_packets: u64,
    /// Bytes of those.
    pub dtls_bytes: u64,
    /// RTP packets that never arrived (RFC 3550 A.3), summed over SSRC changes.
    pub lost: u64,
    /// Interarrival jitter (RFC 3550 A.8) in nanoseconds.
    pub jitter_ns: u64,
    /// The SSRC of the last RTP packet; `None` before the first.
    pub ssrc: Option<u32>,
    /// How often the SSRC changed.
    pub ssrc_changes: u64,
    /// When the last packet arrived that was believed to come from this party; `None` before the first.
    pub last_seen: Option<Time>,
    /// Where packets to this party go, indexed by [`Component::index`]; `None` while it is not known.
    pub targets: [Option<SocketAddr>; 2],
    /// Packets dropped, indexed as [`Cause::ALL`]; see [`SideCounters::dropped`].
    pub dropped: [u64; Cause::ALL.len()],
}

impl SideCounters {
    /// Packets dropped because of `cause`.
    #[must_use]
    pub const fn dropped(&self, cause: Cause) -> u64 {
        self.dropped[cause.index()]
    }

    /// All packets that an end was made of, one way or the other.
    #[must_use]
    pub fn accounted(&self) -> u64 {
        self.packets + self.rtcp_packets + self.dtls_packets + self.dropped.iter().sum::<u64>()
    }

    /// Counts packets that were dropped because of `cause`.
    pub const fn add_dropped(&mut self, cause: Cause, packets: u64) {
        self.dropped[cause.index()] += packets;
    }

    /// Adds what somebody else has counted of the same party. Of what is no count, that of whoever heard it last stands.
    pub fn join(&mut self, other: &Self) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.rtcp_packets += other.rtcp_packets;
        self.rtcp_bytes += other.rtcp_bytes;
        self.dtls_packets += other.dtls_packets;
        self.dtls_bytes += other.dtls_bytes;
        self.lost += other.lost;
        self.ssrc_changes += other.ssrc_changes;
        for (count, more) in self.dropped.iter_mut().zip(other.dropped) {
            *count += more;
        }
        if other.ssrc.is_some() && (self.ssrc.is_none() || other.last_seen > self.last_seen) {
            self.ssrc = other.ssrc;
            self.jitter_ns = other.jitter_ns;
        }
        self.last_seen = self.last_seen.max(other.last_seen);
    }
}

/// How many words of memory a stream takes.
pub const STREAM_WORDS: usize = 2 * SIDE_WORDS + 4 * LATCH_WORDS;

/// One side's part: each number, and room for further causes.
const SIDE_WORDS: usize = DROPPED + 12;

/// Where in a side's part which number is. `SSRC`, `LAST_SEEN` and `HIGHEST` hold the value plus one, so that zero can mean
/// "none yet".
const PACKETS: usize = 0;
const BYTES: usize = 1;
const RTCP_PACKETS: usize = 2;
const RTCP_BYTES: usize = 3;
const DTLS_PACKETS: usize = 4;
const DTLS_BYTES: usize = 5;
const LOST: usize = 6;
const JITTER_NS: usize = 7;
const SSRC: usize = 8;
const SSRC_CHANGES: usize = 9;
const LAST_SEEN: usize = 10;
const HIGHEST: usize = 11;
const DROPPED: usize = 12;

const _: () = assert!(DROPPED + Cause::ALL.len() <= SIDE_WORDS, "a cause has no word");

/// The counters of a stream's two sides, shared between the worker that writes and control that reads. Each
/// number is right by itself; two numbers read together may be one packet apart. A clone is the same counters.
#[derive(Clone, Debug)]
pub struct StreamCounters(Memory);

#[derive(Clone, Debug)]
enum Memory {
    Own(Arc<[AtomicU64; STREAM_WORDS]>),
    Lent(&'static [AtomicU64; STREAM_WORDS]),
}

impl Default for StreamCounters {
    fn default() -> Self {
        Self(Memory::Own(Arc::new([const { AtomicU64::new(0) }; STREAM_WORDS])))
    }
}

impl StreamCounters {
    /// Counters in memory that outlives the stream. Nobody else writes there.
    #[must_use]
    pub fn in_memory(words: &'static [AtomicU64; STREAM_WORDS]) -> Self {
        Self(Memory::Lent(words))
    }

    /// What was received from both sides so far.
    #[must_use]
    pub fn snapshot(&self) -> [SideCounters; 2] {
        Side::BOTH.map(|side| {
            let targets = Component::BOTH.map(|component| Latch::published_target(self.latch(side, component)));
            SideCounters { targets, ..self.side(side).snapshot() }
        })
    }

    #[inline]
    pub(crate) fn side(&self, side: Side) -> Shared<'_> {
        Shared(&self.words()[side.index() * SIDE_WORDS..][..SIDE_WORDS])
    }

    /// Where what is known of a party's latch is published.
    pub(crate) fn latch(&self, side: Side, component: Component) -> &[AtomicU64] {
        let number = side.index() * 2 + component.index();
        &self.words()[2 * SIDE_WORDS + number * LATCH_WORDS..][..LATCH_WORDS]
    }

    #[inline]
    fn words(&self) -> &[AtomicU64; STREAM_WORDS] {
        match &self.0 {
            Memory::Own(words) => words,
            Memory::Lent(words) => words,
        }
    }
}

/// One side's part of the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shared<'a>(&'a [AtomicU64]);

impl Shared<'_> {
    pub(crate) fn heard(&self, at: Time) {
        self.0[LAST_SEEN].store(at.as_nanos().saturating_add(1), Relaxed);
    }

    pub(crate) fn rtp(&self, bytes: usize) {
        self.add(PACKETS, 1);
        self.add(BYTES, bytes as u64);
    }

    pub(crate) fn rtcp(&self, bytes: usize) {
        self.add(RTCP_PACKETS, 1);
        self.add(RTCP_BYTES, bytes as u64);
    }

    pub(crate) fn dtls(&self, bytes: usize) {
        self.add(DTLS_PACKETS, 1);
        self.add(DTLS_BYTES, bytes as u64);
    }

    /// A packet was counted by one of these three, and is not sent after all.
    pub(crate) fn unsent(&self, kind: &Kind, bytes: usize) {
        let [packets, octets] = match kind {
            Kind::Rtp(_) | Kind::Datagram => [PACKETS, BYTES],
            Kind::Rtcp => [RTCP_PACKETS, RTCP_BYTES],
            Kind::Handshake => [DTLS_PACKETS, DTLS_BYTES],
        };
        self.add(packets, 1_u64.wrapping_neg());
        self.add(octets, (bytes as u64).wrapping_neg());
        self.drop(Cause::Unsent, 1);
    }

    pub(crate) fn sequence(&self, sequence: &Sequence) {
        let plus_one = |value: Option<u64>| value.map_or(0, |value| value + 1);
        self.0[SSRC].store(plus_one(sequence.ssrc().map(u64::from)), Relaxed);
        self.0[SSRC_CHANGES].store(sequence.ssrc_changes(), Relaxed);
        self.0[LOST].store(sequence.lost(), Relaxed);
        self.0[JITTER_NS].store(sequence.jitter_ns(), Relaxed);
        self.0[HIGHEST].store(plus_one(sequence.highest().map(u64::from)), Relaxed);
    }

    /// The account as it was published last; that of a party never heard in fresh memory.
    pub(crate) fn resumed_sequence(&self) -> Sequence {
        let counted = self.snapshot();
        let highest = self.read(HIGHEST).checked_sub(1).and_then(|highest| u16::try_from(highest).ok());
        let Some((ssrc, highest)) = counted.ssrc.zip(highest) else { return Sequence::default() };
        Sequence::resumed(ssrc, highest, counted.lost, counted.ssrc_changes, counted.jitter_ns)
    }

    pub(crate) fn drop(&self, cause: Cause, packets: u64) {
        self.add(DROPPED + cause.index(), packets);
    }

    pub(crate) fn snapshot(&self) -> SideCounters {
        SideCounters {
            packets: self.read(PACKETS),
            bytes: self.read(BYTES),
            rtcp_packets: self.read(RTCP_PACKETS),
            rtcp_bytes: self.read(RTCP_BYTES),
            dtls_packets: self.read(DTLS_PACKETS),
            dtls_bytes: self.read(DTLS_BYTES),
            lost: self.read(LOST),
            jitter_ns: self.read(JITTER_NS),
            ssrc: self.read(SSRC).checked_sub(1).and_then(|ssrc| u32::try_from(ssrc).ok()),
            ssrc_changes: self.read(SSRC_CHANGES),
            targets: [None; 2],
            last_seen: self.read(LAST_SEEN).checked_sub(1).map(Time::from_nanos),
            dropped: Cause::ALL.map(|cause| self.read(DROPPED + cause.index())),
        }
    }

    fn read(&self, number: usize) -> u64 {
        self.0[number].load(Relaxed)
    }

    /// One worker writes, so that a load and a store are enough: a locked instruction per packet would buy nothing.
    fn add(&self, number: usize, amount: u64) {
        self.0[number].store(self.0[number].load(Relaxed).wrapping_add(amount), Relaxed);
    }
}
