//! The seam between control and whatever moves the packets.

use std::fmt;

use mediaha_time::Time;

use crate::counters::SideCounters;
use crate::interface::Interface;
use crate::plan::{PortPair, StreamId, StreamPlan};

/// What control asks of a datapath: sockets and worker threads in a real server, a table in a simulation. It must
/// not be assumed that a port is a socket.
pub trait Datapath {
    /// Reserves an even port and the odd one above it on `interface`.
    ///
    /// # Errors
    /// No such pair is free.
    fn open(&mut self, interface: &Interface) -> Result<PortPair, PortsExhausted>;

    /// Opens the pairs again that were open in a former life of this server, before any other is opened.
    ///
    /// # Errors
    /// One of them cannot be had; which of the others are open then is not said.
    fn reopen(&mut self, ports: &[PortPair]) -> Result<(), PortsExhausted>;

    /// Gives a pair back. Streams that used it have been removed before, or replaced by a plan without it.
    fn close(&mut self, ports: PortPair);

    /// Starts forwarding a stream, or changes how it is forwarded. Latches and counters survive a change; a side
    /// whose plan says `reopen` opens its learning window again.
    fn install(&mut self, stream: StreamId, plan: StreamPlan, now: Time);

    /// Stops forwarding a stream.
    fn remove(&mut self, stream: StreamId);

    /// What was received from both sides of a stream, without waiting for a worker. `None` for an unknown stream.
    fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]>;

    /// How much is in use.
    fn load(&self) -> Load;
}

/// No pair of ports is free on the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortsExhausted;

impl fmt::Display for PortsExhausted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("no pair of ports is free on the interface")
    }
}

impl std::error::Error for PortsExhausted {}

/// How much of a datapath is in use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Ports that are open.
    pub ports_open: u32,
    /// Ports that there are.
    pub ports_max: u32,
    /// How busy the busiest worker is, in thousandths; 0 when it is not measured.
    pub busy_permille: u32,
    /// How busy it is expected to be with all calls that there are now.
    pub expected_permille: u32,
    /// It has dropped packets lately because it could not read them fast enough.
    pub is_behind: bool,
    /// Packets that came to ports of no stream, since the process started.
    pub unclaimed: u64,
}

impl Load {
    /// How busy it is for who wants to place a new call: all of its time, if it has dropped packets lately.
    #[must_use]
    pub fn for_new_calls_permille(&self) -> u32 {
        if self.is_behind { 1_000 } else { self.expected_permille }
    }
}
