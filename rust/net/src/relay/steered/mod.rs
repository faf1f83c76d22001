//! One socket for all ports of a worker: a small program in the kernel gives it every datagram for a port that is open.
//!
//! ```text
//!  a datagram for an open port ──▶ [switch: sk_lookup program] ──▶ inlet ──▶ worker ──▶ outlet: raw socket ──▶ the other party
//!                                     ▲ table of ports                        ▲ Install, Remove
//!                                     └────────────── control ────────────────┘
//! ```
//!
//! A call costs entries in tables, no file descriptors. Packets are received in batches with the address that they were sent to,
//! and leave in batches with headers that are written in front of them where they lie, since they need another source port
//! each time. Opening a port is a store into memory that the program reads.
//!
//! Once a party is certain, the program refuses all others at its port and counts them: a flood does not reach the queue that all
//! calls of a worker share.
//!
//! A steered port looks free to the kernel. A second program is asked at every `bind(2)` on this host, and refuses the ports that
//! are open as if they were bound; and those that are closed, once they were found free, so that none need be bound to find
//! that out again.
//!
//! It takes `CAP_BPF`, `CAP_NET_ADMIN` and `CAP_NET_RAW`, and Linux 5.9. Nothing is pinned: the programs are gone with the last process
//! that has their descriptors, however it ends. The keeper of the estate may be one ([`crate::estate`]).

mod datapath;
mod early;
mod guard;
mod header;
mod inlets;
mod lookup;
mod outlet;
mod overflow;
mod rehearsal;
mod strangers;
mod switch;
mod table;
mod unsteerable;
mod worker;

pub use datapath::SteeredDatapath;
pub use unsteerable::Unsteerable;
