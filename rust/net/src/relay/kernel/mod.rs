//! Flows that the kernel forwards by itself: a fast path in front of another datapath.
//!
//! ```text
//!  a packet comes in ──▶ [program at the interface] ── a lane is open for it ──▶ rewritten, and out again
//!                            │      ▲ lanes: memory that is shared
//!                            │ all that is not plain goes up
//!                            ▼      │
//!               sockets or steered ports: the worker asks the stream, sends, and shows the packet's like into a lane (usher)
//! ```
//!
//! Nothing above the seam changes: ports are opened, streams installed and judged by the datapath underneath. When a stream
//! believes one source only, and has sent a packet of it on, the way of that packet is written into the lane of the port. What is
//! counted in a lane is added to what the worker has counted, and the account of sequence numbers goes back and forth.
//!
//! Program and lanes are pinned: when the process dies, the kernel goes on until the lease is over that the process renews. The next
//! process of the same name, with the same addresses and ports, takes both over. It takes Linux 6.6, `CAP_BPF`, `CAP_NET_ADMIN`
//! and a file system of type `bpf`.
//!
//! From one address family to the other, to parties on this host that are not reached over loopback, to interfaces without
//! Ethernet, and in fragments, packets go by the worker.

mod course;
mod datapath;
mod lane;
mod lanes;
mod no_lanes;
mod pins;
mod program;
mod rehearsal;
mod usher;

pub use datapath::KernelDatapath;
pub use no_lanes::NoLanes;

pub(super) use datapath::FastPath;
pub(super) use lanes::Lanes;
pub(super) use pins::clear_the_way;
pub(super) use usher::{Risen, Ticket, Usher};
