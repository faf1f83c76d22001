//! The program in the kernel, and its table of ports.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::atomic::Ordering::Release;

use super::program::{PORTS, program};
use crate::sys::SharedBytes;
use crate::sys::bpf::{Link, LookupProgram, SharedMap, SocketMap};
use crate::sys::udp::UdpSocket;

const NAME: &str = "mediaha_steer";

/// Gives what is sent to an open port to the socket of a worker. Dropping it ends that, as does the end of the process.
#[derive(Debug)]
pub(super) struct Switch {
    addresses: Vec<IpAddr>,
    ports: SharedBytes,
    _link: Link,
}

/// What the kernel did not grant.
#[derive(Debug)]
pub(super) enum Refusal {
    Map(io::Error),
    Socket(io::Error),
    Program(io::Error),
    Link(io::Error),
}

impl Switch {
    /// A switch with all ports closed, between the ports of `addresses` and these bound sockets.
    pub(super) fn start<'a>(
        addresses: &[IpAddr],
        sockets: impl ExactSizeIterator<Item = &'a UdpSocket>,
    ) -> Result<Self, Refusal> {
        let bytes = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_mul(PORTS);
        let ports = SharedMap::new("mediaha_ports", bytes).map_err(Refusal::Map)?;
        let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
        let map = SocketMap::new("mediaha_workers", count).map_err(Refusal::Map)?;
        for (number, socket) in (0..).zip(sockets) {
            map.put(number, socket).map_err(Refusal::Socket)?;
        }
        let instructions = program(addresses, ports.as_raw_fd(), map.as_raw_fd());
        let program = LookupProgram::load(NAME, &instructions).map_err(Refusal::Program)?;
        let link = program.attach().map_err(Refusal::Link)?;
        let ports = ports.bytes().map_err(Refusal::Map)?;
        Ok(Self { addresses: addresses.to_vec(), ports, _link: link })
    }

    /// From now on what is sent to `port` is for the socket of this number, or for whoever the kernel finds.
    pub(super) fn steer(&self, port: SocketAddr, socket: Option<usize>) {
        let Some(address) = self.addresses.iter().position(|&address| address == port.ip()) else { return };
        let place = address * PORTS as usize + usize::from(port.port());
        // An entry is a byte: beyond the 255th socket nothing is steered.
        let entry = socket.and_then(|number| u8::try_from(number + 1).ok()).unwrap_or(0);
        self.ports.as_slice()[place].store(entry, Release);
    }
}
