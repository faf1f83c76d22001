//! What is counted over all calls.

use super::admission::NoRoom;
use super::trends::Trends;
use crate::counters::{Cause, SideCounters};
use crate::datapath::Load;

/// What a controller has done since it started, and is doing now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Calls at the moment.
    pub sessions: u64,
    /// Calls since the start.
    pub sessions_total: u64,
    /// Streams at the moment.
    pub streams: u64,
    /// Offers that were answered with SDP.
    pub offers: u64,
    /// Answers that were answered with SDP.
    pub answers: u64,
    /// Deletes of something that was known.
    pub deletes: u64,
    /// Requests that were answered with an error, all reasons together.
    pub refused: u64,
    /// Of those, new calls for which there was no room, indexed as [`Refused::ALL`].
    pub refused_calls: [u64; Refused::ALL.len()],
    /// Requests answered once more because their cookie was known.
    pub duplicates: u64,
    /// Datagrams that were no ng request.
    pub unreadable: u64,
    /// Calls ended by the clock.
    pub expired: u64,
    /// RTP, RTCP and DTLS packets forwarded, ended calls included.
    pub packets: u64,
    /// Bytes of those.
    pub bytes: u64,
    /// RTP packets that never arrived.
    pub lost: u64,
    /// Packets dropped, indexed as [`crate::Cause::ALL`].
    pub dropped: [u64; Cause::ALL.len()],
    /// How the sums have grown lately.
    pub trends: Trends,
    /// New calls are refused because that was asked for.
    pub draining: bool,
    /// Why a new call would be refused now; `None` if it would not.
    pub no_room: Option<NoRoom>,
    /// What the datapath says.
    pub load: Load,
}

/// What there was too little of for a new call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There were too many calls, or the server was draining.
    Sessions,
    /// The workers were too busy.
    Load,
    /// No ports were free.
    Ports,
}

impl Refused {
    /// All of them, in the order in which arrays are indexed.
    pub const ALL: [Self; 3] = [Self::Sessions, Self::Load, Self::Ports];

    /// The word for it in statistics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Load => "load",
            Self::Ports => "ports",
        }
    }
}

/// What streams have carried, both directions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) rtcp_packets: u64,
    pub(super) rtcp_bytes: u64,
    pub(super) dtls_packets: u64,
    pub(super) dtls_bytes: u64,
    pub(super) lost: u64,
    pub(super) dropped: [u64; Cause::ALL.len()],
}

impl Statistics {
    /// The same with what was carried filled in.
    pub(super) fn carrying(self, traffic: &Traffic) -> Self {
        Self {
            packets: traffic.packets + traffic.rtcp_packets + traffic.dtls_packets,
            bytes: traffic.bytes + traffic.rtcp_bytes + traffic.dtls_bytes,
            lost: traffic.lost,
            dropped: traffic.dropped,
            ..self
        }
    }
}

impl Traffic {
    /// Adds what one stream has carried.
    pub(super) fn add(&mut self, sides: &[SideCounters; 2]) {
        for side in sides {
            self.packets += side.packets;
            self.bytes += side.bytes;
            self.rtcp_packets += side.rtcp_packets;
            self.rtcp_bytes += side.rtcp_bytes;
            self.dtls_packets += side.dtls_packets;
            self.dtls_bytes += side.dtls_bytes;
            self.lost += side.lost;
            for (sum, dropped) in self.dropped.iter_mut().zip(side.dropped) {
                *sum += dropped;
            }
        }
    }
}
