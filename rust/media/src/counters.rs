//! What is counted of a stream: written by the one worker that owns it, read by control at any time.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mediaha_time::Time;

use crate::plan::Side;
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
}

impl Cause {
    /// All of them, in the order in which arrays are indexed.
    pub const ALL: [Self; 4] = [Self::Malformed, Self::Stranger, Self::Unaddressed, Self::Stun];

    /// The word for it in statistics and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stranger => "stranger",
            Self::Unaddressed => "unaddressed",
            Self::Stun => "stun",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Malformed => 0,
            Self::Stranger => 1,
            Self::Unaddressed => 2,
            Self::Stun => 3,
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
    /// DTLS packets forwarded.
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
    /// When the last packet was believed to come from this party; `None` before the first.
    pub last_seen: Option<Time>,
    /// Packets dropped, indexed as [`Cause::ALL`]; see [`SideCounters::dropped`].
    pub dropped: [u64; Cause::ALL.len()],
}

impl SideCounters {
    /// Packets dropped because of `cause`.
    #[must_use]
    pub const fn dropped(&self, cause: Cause) -> u64 {
        self.dropped[cause.index()]
    }
}

/// The counters of a stream's two sides, shared between the worker that writes and control that reads. Each
/// number is right by itself; two numbers read together may be one packet apart.
#[derive(Debug, Default)]
pub struct StreamCounters {
    sides: [Shared; 2],
}

impl StreamCounters {
    /// What was received from both sides so far.
    #[must_use]
    pub fn snapshot(&self) -> [SideCounters; 2] {
        [self.sides[0].snapshot(), self.sides[1].snapshot()]
    }

    pub(crate) fn side(&self, side: Side) -> &Shared {
        &self.sides[side.index()]
    }
}

/// `ssrc` and `last_seen` hold the value plus one, so that zero can mean "none yet".
#[derive(Debug, Default)]
pub(crate) struct Shared {
    packets: AtomicU64,
    bytes: AtomicU64,
    rtcp_packets: AtomicU64,
    rtcp_bytes: AtomicU64,
    dtls_packets: AtomicU64,
    dtls_bytes: AtomicU64,
    lost: AtomicU64,
    jitter_ns: AtomicU64,
    ssrc: AtomicU64,
    ssrc_changes: AtomicU64,
    last_seen: AtomicU64,
    dropped: [AtomicU64; Cause::ALL.len()],
}

impl Shared {
    pub(crate) fn heard(&self, now: Time) {
        self.last_seen.store(now.as_nanos().saturating_add(1), Relaxed);
    }

    pub(crate) fn rtp(&self, bytes: usize) {
        add(&self.packets, 1);
        add(&self.bytes, bytes as u64);
    }

    pub(crate) fn rtcp(&self, bytes: usize) {
        add(&self.rtcp_packets, 1);
        add(&self.rtcp_bytes, bytes as u64);
    }

    pub(crate) fn dtls(&self, bytes: usize) {
        add(&self.dtls_packets, 1);
        add(&self.dtls_bytes, bytes as u64);
    }

    pub(crate) fn sequence(&self, sequence: &Sequence) {
        self.ssrc.store(sequence.ssrc().map_or(0, |ssrc| u64::from(ssrc) + 1), Relaxed);
        self.ssrc_changes.store(sequence.ssrc_changes(), Relaxed);
        self.lost.store(sequence.lost(), Relaxed);
        self.jitter_ns.store(sequence.jitter_ns(), Relaxed);
    }

    pub(crate) fn drop(&self, cause: Cause, packets: u64) {
        add(&self.dropped[cause.index()], packets);
    }

    fn snapshot(&self) -> SideCounters {
        SideCounters {
            packets: self.packets.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            rtcp_packets: self.rtcp_packets.load(Relaxed),
            rtcp_bytes: self.rtcp_bytes.load(Relaxed),
            dtls_packets: self.dtls_packets.load(Relaxed),
            dtls_bytes: self.dtls_bytes.load(Relaxed),
            lost: self.lost.load(Relaxed),
            jitter_ns: self.jitter_ns.load(Relaxed),
            ssrc: self.ssrc.load(Relaxed).checked_sub(1).and_then(|ssrc| u32::try_from(ssrc).ok()),
            ssrc_changes: self.ssrc_changes.load(Relaxed),
            last_seen: self.last_seen.load(Relaxed).checked_sub(1).map(Time::from_nanos),
            dropped: Cause::ALL.map(|cause| self.dropped[cause.index()].load(Relaxed)),
        }
    }
}

/// One worker writes, so that a load and a store are enough: a locked instruction per packet would buy nothing.
fn add(counter: &AtomicU64, amount: u64) {
    counter.store(counter.load(Relaxed).wrapping_add(amount), Relaxed);
}
