//! The two sockets of one side of a stream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::thread;

use mediaha_media::{Component, PortPair};
use mediaha_time::Duration;

use crate::sys::udp::{Options, UdpSocket};

/// Bytes of receive queue to ask for. The kernel doubles it and charges some 770 bytes for a packet of G.711, 2300 for one of
/// video: room for 80 or 28. A flow that is further behind than that is better off without its oldest packets.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// How often, and after what time each, it is looked whether a datagram to ourselves has arrived.
const LOOKS_MAX: u32 = 20;
const LOOK_EVERY: Duration = Duration::from_micros(250);

/// A bound RTP socket and its RTCP socket, one port above.
#[derive(Debug)]
pub(in crate::relay) struct SocketPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    ports: PortPair,
}

impl SocketPair {
    /// Binds both ports, or neither.
    ///
    /// # Errors
    /// The kernel's, see [`UdpSocket::bind`].
    pub(in crate::relay) fn bind(address: IpAddr, rtp: u16) -> io::Result<Self> {
        let options = Options { receive_buffer: Some(RECEIVE_BUFFER), ..Options::default() };
        let ports = PortPair { rtp: SocketAddr::new(address, rtp), rtcp: SocketAddr::new(address, rtp | 1) };
        Ok(Self {
            rtp: UdpSocket::bind(ports.rtp, &options)?,
            rtcp: UdpSocket::bind(ports.rtcp, &options)?,
            ports,
        })
    }

    /// Where both are bound.
    pub(in crate::relay) fn ports(&self) -> PortPair {
        self.ports
    }

    /// Whether what is sent to the ports arrives at these sockets: another media server may steer them elsewhere, which binding
    /// them does not tell. To be asked before anybody else knows of the ports.
    pub(super) fn is_reached(&self) -> bool {
        [(&self.rtp, self.ports.rtp), (&self.rtcp, self.ports.rtcp)].into_iter().all(|(socket, port)| {
            let sent = socket.send_to(&[], port).is_ok();
            // It takes no time unless the kernel is busy.
            sent && (0..LOOKS_MAX).any(|look| {
                if look > 0 {
                    thread::sleep(LOOK_EVERY);
                }
                socket.receive_from(&mut []).is_ok_and(|received| received == (0, port))
            })
        })
    }

    /// One of them.
    pub(super) fn socket(&self, component: Component) -> &UdpSocket {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }
}
