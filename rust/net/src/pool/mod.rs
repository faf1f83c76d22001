//! The failover pool as a thread: what [`mediaha_failover::Pool`] decides is done here.
//!
//! ```text
//!  commands ─▶ bounded queue + bell ─▶ ┌────────────┐ ─▶ one connected socket a server ─▶ ng
//!                                      │   Rounds   │ ◀─ replies, "port unreachable"
//!  events  ◀─ bounded queue + bell  ◀─ └────────────┘ ◀─ CLOCK_MONOTONIC
//! ```
//!
//! The thread never waits for the one who reads events: what finds no room in the queue waits in the
//! [`Spill`](spill::Spill), where a call has at most its newest notice.
mod cookie;
mod probes;
mod rounds;
mod runtime;
mod spill;
mod wires;

pub use runtime::{PoolClosed, PoolConfig, PoolQueueFull, PoolRuntime, Submit};
