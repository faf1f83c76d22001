//! What outlives a media-server process: its calls, what its streams have learnt, and its sockets.
//!
//! ```text
//!   media-server process                                        supervising process
//!   ┌───────────────────────────────────────────┐   line    ┌───────────────────────────────┐
//!   │ control ── Estate ── Table ──┐            │ (seqpacket│ Keeper: a thread that holds   │
//!   │               └── Courier ───┼────────────┼─ socket) ─▶ a copy of every descriptor    │
//!   │ workers ── StreamCounters ──┐│            │           └───────────────┬───────────────┘
//!   └─────────────────────────────┼┼────────────┘                           │ at its death: to a spare
//!                           lives ▼▼ table                                  ▼
//!                          [ memory without a name ]◀────────────── the next process
//! ```
//!
//! The control thread writes a call down when an offer, an answer or a deletion has changed it ([`table`]); workers publish what
//! they learn and count where they count it anyway ([`lives`]). Sockets are copied to the [`Keeper`] as they are opened, so that
//! packets wait in them while nobody reads. The next process reads the table, refuses it as a whole if anything in it is
//! damaged, and forwards on under the same instance id, so that clients see the same server.
//!
//! # For a further datapath
//! Take a [`Share`] where the others do. Give the descriptors that must not be closed to its `courier` under a [`Key`] of their
//! own (for maps and programs that are pinned nothing needs to be kept), take yours out of `inherited` at an adoption, in
//! `Datapath::reopen` open the ports again that the calls name, and let go of what is left afterwards. Counters and latches come
//! back with the stream's name from `lives`; a datapath that counts elsewhere, as programs in the kernel do, adds its sums to
//! them when it takes a stream back from there. Everything control must know of a call is in the table already.

mod courier;
mod holding;
mod keeper;
mod line;
mod lives;
mod message;
mod table;

pub(crate) use courier::Courier;
pub(crate) use holding::{Claim, Estate, Heard, Legacy, Share};
pub use keeper::{Keeper, LineId, News};
pub use line::Line;
pub(crate) use lives::Lives;
pub(crate) use message::Key;
