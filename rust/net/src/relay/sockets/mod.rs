//! One UDP socket a port: needs no privilege, and works wherever Linux does.
//!
//! Control binds ports itself, since it must answer with them at once, and hands the sockets to a worker with the stream
//! that uses them. The socket that a party's RTP arrives at is connected to that party once the stream believes no other
//! source: the kernel then remembers the route, which saves a tenth of the time per packet. A second socket on the same port,
//! with a queue of a few packets, meets everybody else, so that strangers are still judged and counted. When the learning window
//! opens again, the first socket is disconnected and the second one closed.

mod datapath;
mod desk;
mod doorstep;
mod flow;
mod pair;
mod punctual;
mod table;
mod watch;
mod worker;

pub use datapath::SocketsDatapath;
pub(super) use pair::{SocketPair, pair_at};
