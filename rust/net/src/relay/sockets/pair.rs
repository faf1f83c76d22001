//! The two sockets of one side of a stream.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use mediaha_media::{Component, PortPair};

use crate::sys::udp::{Options, UdpSocket};

/// Bytes of receive queue to ask for. The kernel doubles it and charges some 770 bytes for a packet of G.711, 2300 for one of
/// video: room for 80 or 28. A flow that is further behind than that is better off without its oldest packets.
const RECEIVE_BUFFER: usize = 32 * 1024;

/// The pair of ports of which this is the even one.
pub(in crate::relay) fn pair_at(address: IpAddr, rtp: u16) -> PortPair {
    PortPair { rtp: SocketAddr::new(address, rtp), rtcp: SocketAddr::new(address, rtp | 1) }
}

/// A bound RTP socket and its RTCP socket, one port above.
#[derive(Debug)]
pub(in crate::relay) struct SocketPair {
    rtp: UdpSocket,
    rtcp: UdpSocket,
    ports: PortPair,
    inherited: bool,
}

impl SocketPair {
    /// Binds both ports, or neither. What they send is of this traffic class.
    ///
    /// # Errors
    /// The kernel's, see [`UdpSocket::bind`].
    pub(in crate::relay) fn bind(address: IpAddr, rtp: u16, traffic_class: u8) -> io::Result<Self> {
        let receive_buffer = Some(RECEIVE_BUFFER);
        let options = Options { receive_buffer, traffic_class, last_stamp: true, ..Options::default() };
        let ports = pair_at(address, rtp);
        Ok(Self {
            rtp: UdpSocket::bind(ports.rtp, &options)?,
            rtcp: UdpSocket::bind(ports.rtcp, &options)?,
            ports,
            inherited: false,
        })
    }

    /// Those of a process that is gone, bound to `ports`.
    pub(super) fn inherited(sockets: [OwnedFd; 2], ports: PortPair) -> Self {
        let [even, odd] = sockets.map(UdpSocket::from);
        Self { rtp: even, rtcp: odd, ports, inherited: true }
    }

    /// Whether a process that is gone has had them.
    pub(super) fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Whom a process that is gone has connected the RTP socket to.
    pub(super) fn former_peer(&self) -> Option<SocketAddr> {
        self.inherited.then(|| self.rtp.peer()).flatten()
    }

    /// Where both are bound.
    pub(in crate::relay) fn ports(&self) -> PortPair {
        self.ports
    }

    /// One of them.
    pub(super) fn socket(&self, component: Component) -> &UdpSocket {
        match component {
            Component::Rtp => &self.rtp,
            Component::Rtcp => &self.rtcp,
        }
    }
}
