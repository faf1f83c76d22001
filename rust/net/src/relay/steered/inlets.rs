//! The sockets that all steered datagrams arrive at.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::sys::udp::{Options, UdpSocket};

/// Bytes of receive queue to ask for, for all ports of a worker. The kernel doubles it and charges some 770 bytes for a packet
/// of G.711: room for the packets that come in 25 ms when a core is full. Older ones would be worth little.
const RECEIVE_BUFFER: usize = 2 << 20;

/// For each worker one socket of each address family that is in use. They are bound on loopback, to any port: what counts is
/// where the switch sends them datagrams from.
#[derive(Debug)]
pub(super) struct Inlets {
    /// Those of a worker are neighbours.
    sockets: Vec<Arc<UdpSocket>>,
    /// The loopback address of each family.
    families: Vec<IpAddr>,
}

impl Inlets {
    /// Binds the sockets of so many workers.
    ///
    /// # Errors
    /// The kernel's.
    pub(super) fn bind(addresses: &[IpAddr], workers: usize) -> io::Result<Self> {
        let families = families(addresses);
        let receive_buffer = Some(RECEIVE_BUFFER);
        let options = Options { receive_buffer, destinations: true, timestamps: true, ..Options::default() };
        let all = (0..workers).flat_map(|_| families.iter());
        let bind = |&family| UdpSocket::bind((family, 0).into(), &options).map(Arc::new);
        let sockets = all.map(bind).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { sockets, families })
    }

    /// Those of a former life, by their numbers; `None` if they are not all there.
    pub(super) fn inherited(
        addresses: &[IpAddr],
        workers: usize,
        mut take: impl FnMut(u16) -> Option<OwnedFd>,
    ) -> Option<Self> {
        let families = families(addresses);
        let count = u16::try_from(workers * families.len()).ok()?;
        let sockets: Vec<_> =
            (0..count).map(|number| take(number).map(|fd| Arc::new(fd.into()))).collect::<Option<_>>()?;
        Some(Self { sockets, families })
    }

    /// All of them, in the order of their numbers.
    pub(super) fn all(&self) -> &[Arc<UdpSocket>] {
        &self.sockets
    }

    /// Those of one worker, with their numbers.
    pub(super) fn of(&self, worker: usize) -> impl Iterator<Item = (usize, &Arc<UdpSocket>)> {
        let families = self.families.len();
        self.sockets.iter().enumerate().skip(worker * families).take(families)
    }

    /// The number of the socket at which the worker hears what is sent to `address`.
    pub(super) fn number(&self, worker: usize, address: IpAddr) -> usize {
        let family = self.families.iter().position(|family| family.is_ipv4() == address.is_ipv4());
        worker * self.families.len() + family.unwrap_or(0)
    }

    /// The worker that hears what comes to the socket of this number; `None` if there is none.
    pub(super) fn worker(&self, number: usize) -> Option<usize> {
        (number < self.sockets.len()).then(|| number / self.families.len())
    }

    /// The socket of this number.
    pub(super) fn socket(&self, number: usize) -> &UdpSocket {
        &self.sockets[number]
    }
}

/// The loopback address of each family that is in use.
fn families(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let loopbacks: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    let used = |family: &IpAddr| addresses.iter().any(|address| address.is_ipv4() == family.is_ipv4());
    loopbacks.into_iter().filter(used).collect()
}
