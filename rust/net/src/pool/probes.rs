//! Two sockets for each media server that is probed: small RTP packets leave one of them and are expected at the other.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use mediaha_failover::ServerId;

use crate::sys::udp::{Options, UdpSocket};
use crate::sys::{Epoll, Trigger};

/// Probes' places in epoll begin here; those of control sockets are smaller.
pub(super) const FIRST_TOKEN: u64 = 1 << 16;
/// No more than a few packets are ever on their way.
const RECEIVE_BUFFER: usize = 16 * 1024;
/// As many are read at once; what is more comes from strangers.
const READ_MAX: usize = 16;
/// RTP version 2, payload type 0 (RFC 3550 section 5.1, RFC 3551 section 6), and what makes a packet ours.
const HEADER: usize = 12;
const PACKET: usize = HEADER + 8 + 2 + 8;

/// The sockets.
pub(super) struct Probes {
    /// Nobody who has not seen a packet can make one.
    secret: u64,
    by_server: HashMap<ServerId, [UdpSocket; 2]>,
}

impl Probes {
    pub(super) fn new(secret: u64) -> Self {
        Self { secret, by_server: HashMap::new() }
    }

    /// Binds the sockets of a server, or takes those that it has; gives where they are.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn open(&mut self, server: ServerId, from: IpAddr, epoll: &Epoll) -> io::Result<[SocketAddr; 2]> {
        let options = Options { receive_buffer: Some(RECEIVE_BUFFER), ..Options::default() };
        let bind = || UdpSocket::bind(SocketAddr::new(from, 0), &options);
        let sockets = [bind()?, bind()?];
        let ours = [sockets[0].local_address()?, sockets[1].local_address()?];
        for (side, socket) in (0..).zip(&sockets) {
            epoll.add(socket, FIRST_TOKEN + u64::from(server.0) * 2 + side, Trigger::Level)?;
        }
        self.by_server.insert(server, sockets);
        Ok(ours)
    }

    /// Keeps those of these servers only.
    pub(super) fn retain(&mut self, mut is_there: impl FnMut(ServerId) -> bool) {
        self.by_server.retain(|&server, _| is_there(server));
    }

    /// Sends a packet. One that the kernel does not take will be missed, as is right.
    pub(super) fn send(&self, server: ServerId, number: u64, side: usize, to: SocketAddr) {
        if let Some(sockets) = self.by_server.get(&server) {
            let _ = sockets[side & 1].send_to(&self.packet(server, number, side), to);
        }
    }

    /// The numbers of the packets that have come to the socket of this token, and whose they are.
    pub(super) fn hear(&self, token: u64) -> Vec<(ServerId, u64)> {
        let place = token - FIRST_TOKEN;
        let Ok(server) = u16::try_from(place / 2).map(ServerId) else { return Vec::new() };
        let side = usize::from(place % 2 == 1);
        let Some(sockets) = self.by_server.get(&server) else { return Vec::new() };
        let mut heard = Vec::new();
        let mut buffer = [0; PACKET + 1];
        for _ in 0..READ_MAX {
            let Ok(length) = sockets[side].receive(&mut buffer) else { break };
            let number = buffer.get(PACKET - 8..PACKET).and_then(|bytes| bytes.try_into().ok());
            let number = u64::from_be_bytes(number.unwrap_or_default());
            // It must have left the other socket.
            if length == PACKET && buffer[..PACKET] == self.packet(server, number, 1 - side) {
                heard.push((server, number));
            }
        }
        heard
    }

    fn packet(&self, server: ServerId, number: u64, side: usize) -> [u8; PACKET] {
        let mut packet = [0; PACKET];
        let mut rest = packet.as_mut_slice();
        let mut write = |bytes: &[u8]| {
            let (head, tail) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            head.copy_from_slice(bytes);
            rest = tail;
        };
        #[allow(clippy::cast_possible_truncation)] // Sequence number and timestamp go round.
        let (sequence, timestamp) = ((number / 2) as u16, (number as u32).wrapping_mul(800));
        write(&[0x80, 0]);
        write(&sequence.to_be_bytes());
        write(&timestamp.to_be_bytes());
        #[allow(clippy::cast_possible_truncation)] // Half of the secret is enough of a name.
        write(&(self.secret as u32 ^ u32::from(side == 1)).to_be_bytes());
        write(&self.secret.to_be_bytes());
        write(&server.0.to_be_bytes());
        write(&number.to_be_bytes());
        packet
    }
}
