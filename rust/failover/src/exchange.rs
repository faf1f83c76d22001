//! What crosses the border between the pool and the machine: inputs, outputs, and the names used in them.

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
    /// Tell session control.
    Event(Event),
}
