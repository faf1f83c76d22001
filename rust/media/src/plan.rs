//! What control tells the datapath about one stream: its local ports, and where each party said it listens.

use std::net::SocketAddr;

use crate::blocks::{Blocks, Events};
use crate::clocks::Clocks;
use crate::content::Content;

/// The two local ports of one side of a stream. Both have the same address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortPair {
    /// Where the party sends its RTP (even port).
    pub rtp: SocketAddr,
    /// Where the party sends its RTCP (the port above), unless it multiplexes (RFC 5761).
    pub rtcp: SocketAddr,
}

/// Names one stream (one `m=` line of one dialogue) for the life of a controller. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// One of the two parties of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The party that made the first offer (its tag was the `from-tag`).
    A,
    /// The other party.
    B,
}

impl Side {
    /// Both, in the order in which arrays are indexed.
    pub const BOTH: [Self; 2] = [Self::A, Self::B];

    /// The party this one talks to.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// Its place in a `[_; 2]`.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }
}

/// Which of a side's two local ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// The even port: RTP, and RTCP as well when the party multiplexes.
    Rtp,
    /// The odd port.
    Rtcp,
}

impl Component {
    /// Both, in the order in which arrays are indexed.
    pub const BOTH: [Self; 2] = [Self::Rtp, Self::Rtcp];

    /// Its place in a `[_; 2]`.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Rtp => 0,
            Self::Rtcp => 1,
        }
    }
}

/// One party's half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidePlan {
    /// Where this party's packets arrive, and from where packets are sent to it.
    pub local: PortPair,
    /// Where its SDP says that it wants RTP. `None` before it has said anything, and for an address that no
    /// packet can be sent to.
    pub remote: Option<SocketAddr>,
    /// Where it wants RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// RTP and RTCP share the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// Only the signalled address is believed, whatever is heard.
    pub strict_source: bool,
    /// What of this party's packets is withheld from the other one.
    pub blocks: Blocks,
    /// An offer or answer has just been seen: the learning window opens (again).
    pub reopen: bool,
}

impl SidePlan {
    /// The local address of one component.
    #[must_use]
    pub const fn local(&self, component: Component) -> SocketAddr {
        match component {
            Component::Rtp => self.local.rtp,
            Component::Rtcp => self.local.rtcp,
        }
    }

    /// The signalled address of one component.
    #[must_use]
    pub const fn remote(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.remote,
            Component::Rtcp => self.remote_rtcp,
        }
    }
}

/// Both halves of a stream, indexed by [`Side::index`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamPlan {
    /// A's half, then B's.
    pub sides: [SidePlan; 2],
    /// How fast the timestamps of each payload type run; only the jitter figure depends on it.
    pub clocks: Clocks,
    /// Which payload types are telephone events.
    pub events: Events,
    /// Packets that are meant for another call may arrive at its ports at first, those of a former life's calls.
    pub wary: bool,
    /// What the packets are.
    pub content: Content,
}

impl StreamPlan {
    /// One party's half.
    #[must_use]
    pub const fn side(&self, side: Side) -> &SidePlan {
        &self.sides[side.index()]
    }

    /// Our four ports: A's for RTP and RTCP, then B's.
    #[must_use]
    pub const fn ports(&self) -> [SocketAddr; 4] {
        let [a, b] = &self.sides;
        [a.local.rtp, a.local.rtcp, b.local.rtp, b.local.rtcp]
    }
}
