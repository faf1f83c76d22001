//! The packets' way: worker threads that receive, ask, and send. No lock and no allocation per packet.
//!
//! Control's end is a [`mediaha_media::Datapath`]. All packets of a stream pass through one worker, one after another, so that
//! they are never reordered; [`mediaha_media::Stream`] decides what becomes of each.
//!
//! ```text
//!  control ── Install, Remove ──▶ [mailbox: bounded queue + bell] ──▶ worker ── reads, asks the Stream, sends
//!     ▲                                                                 │
//!     └───────── StreamCounters, Tally: atomics, read without asking ───┘
//! ```

mod assembly;
mod choice;
mod config;
mod crew;
mod ephemeral;
mod headroom;
mod kernel;
mod local;
mod mailbox;
mod pace;
mod port_book;
mod ports;
mod slab;
mod sockets;
mod stamps;
mod steered;
mod tally;

pub(crate) use choice::take_over;
pub use choice::{DatapathChoice, RelayError, UnknownDatapath, start};
pub use config::RelayConfig;
pub use kernel::{KernelDatapath, NoLanes};
pub use local::{LocalDatapath, Relay, Workers};
pub use sockets::SocketsDatapath;
pub use steered::{SteeredDatapath, Unsteerable};
pub use tally::TallySnapshot;
