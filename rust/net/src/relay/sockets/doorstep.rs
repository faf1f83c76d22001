//! The socket at which strangers are met while the RTP socket beside it hears one party only.

use std::io;

use crate::sys::udp::{Options, UdpSocket};

/// Bytes of receive queue to ask for: some ten packets of G.711. Whoever sends more than is read meanwhile is counted, not heard.
const RECEIVE_BUFFER: usize = 4 * 1024;
/// More than the queue can hold of the shortest datagrams.
pub(super) const WAITING_MAX: usize = 64;

/// An unconnected socket on the port of a connected one.
#[derive(Debug)]
pub(super) struct Doorstep {
    pub(super) socket: UdpSocket,
    drops: u32,
}

impl Doorstep {
    /// Meets from now on whoever the connected socket `inside` does not take.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub(super) fn beside(inside: &UdpSocket) -> io::Result<Self> {
        let options = Options { receive_buffer: Some(RECEIVE_BUFFER), last_stamp: true, ..Options::default() };
        Ok(Self { socket: inside.beside(&options)?, drops: 0 })
    }

    /// How many the kernel has turned away here, because too many were waiting, since this was last asked.
    pub(super) fn turned_away(&mut self) -> u32 {
        // A kernel that cannot tell drops them all the same.
        let Ok(drops) = self.socket.drops() else { return 0 };
        drops.wrapping_sub(std::mem::replace(&mut self.drops, drops))
    }
}
