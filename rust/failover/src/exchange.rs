//! What crosses the border between the pool and the machine: inputs, outputs, and the names used in them.

use std::net::SocketAddr;

use mediaha_ng::{Reply, Request};

use crate::command::Command;
use crate::event::Event;

/// A server in inputs and outputs. [`Pool::servers`](crate::Pool::servers) says which name and address it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u16);

/// One request in flight. It is written into the `ng` cookie, so that the reply finds its way back; a
/// retransmission carries the same one, so that the server answers it from its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cookie(pub u64);

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "lives for one call of handle")]
pub enum Input {
    /// Session control wants something.
    Command(Command),
    /// A server answered.
    Reply {
        /// Who.
        server: ServerId,
        /// Which request.
        cookie: Cookie,
        /// What.
        reply: Reply,
    },
    /// The sockets of a server's probe are there, and are reached at these addresses.
    ProbeOpened {
        /// Which server.
        server: ServerId,
        /// The two parties.
        ours: [SocketAddr; 2],
    },
    /// A packet that was sent through a server has come back.
    Probed {
        /// Which server.
        server: ServerId,
        /// Which packet.
        number: u64,
    },
    /// The network says that nobody listens at a server's address (ICMP port or host unreachable).
    Unreachable {
        /// Which server.
        server: ServerId,
    },
    /// Time has passed. Wanted at [`Pool::wake_at`](crate::Pool::wake_at); at other times it does no harm.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "taken out of the queue and used at once")]
pub enum Output {
    /// Send this request to this server, with this cookie.
    Send {
        /// To whom.
        server: ServerId,
        /// Under which cookie.
        cookie: Cookie,
        /// What.
        request: Request,
    },
    /// Bind two sockets for a server's probe, where it can reach them; say so with [`Input::ProbeOpened`].
    OpenProbe {
        /// Which server.
        server: ServerId,
    },
    /// Send a packet with this number from one of these sockets, and say with [`Input::Probed`] when it comes to the other one.
    Probe {
        /// Which server's.
        server: ServerId,
        /// Which packet.
        number: u64,
        /// From which of the two sockets.
        side: usize,
        /// Where to.
        to: SocketAddr,
    },
    /// Tell session control.
    Event(Event),
}
