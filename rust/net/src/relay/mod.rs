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
//! then turns strangers away before they cost a wake-up (and before anything here could count them), and remembers the route,
//! which saves a tenth of the time per packet. What is already in the socket's queue at that moment is still judged by its
//! source. It is disconnected when the learning window opens again.

mod datapath;
mod flow;
mod mailbox;
mod pace;
mod pair;
mod ports;
mod table;
mod tally;
mod worker;

pub use datapath::{RelayConfig, SocketsDatapath};
pub use tally::TallySnapshot;
