//! The packets' way: one UDP socket a port, worker threads that wait with epoll, no lock and no allocation per packet.
//!
//! [`SocketsDatapath`] is control's end. It binds ports itself, since control must answer with them at once, and hands the
//! sockets to a worker with the stream that uses them. All packets of a stream pass through one worker, one after
//! another, so that they are never reordered; [`mediaha_media::Stream`] decides what becomes of each.
//!
//! ```text
//!  control ── Install, Remove ──▶ [mailbox: bounded queue + bell] ──▶ worker ── reads, asks the Stream, sends
//!     ▲                                                                 │
//!     └───────── StreamCounters, Tally: atomics, read without asking ───┘
//! ```
//!
//! The socket that a party's RTP arrives at is connected to that party once the stream believes no other source: the kernel
//! then remembers the route, which saves a tenth of the time per packet. A second socket on the same port, with a queue of a
//! few packets, meets everybody else, so that strangers are still judged and counted. When the learning window opens again, the
//! first socket is disconnected and the second one closed.

mod datapath;
mod doorstep;
mod flow;
mod mailbox;
mod pace;
mod pair;
mod ports;
mod table;
mod tally;
mod watch;
mod worker;

pub use datapath::{RelayConfig, SocketsDatapath};
pub use tally::TallySnapshot;
