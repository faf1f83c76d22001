//! What is counted over all calls.

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
    /// Of those, new calls refused because there were too many, or because of draining.
    pub refused_sessions: u64,
    /// Of those, new calls refused because the workers were too busy.
    pub refused_load: u64,
    /// Of those, refused because no ports were free.
    pub refused_ports: u64,
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
    /// New calls are refused.
    pub draining: bool,
    /// What the datapath says.
    pub load: Load,
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
