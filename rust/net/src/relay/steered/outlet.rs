//! The way out: packets leave in batches, with the address and port of the call as their source.

use std::net::{IpAddr, SocketAddr};
use std::{io, vec};

use super::{guard, header};
use crate::relay::tally::Tally;
use crate::sys::RawSocket;
use crate::sys::transit::{Arrivals, Departures};
use crate::sys::udp::{Options, UdpSocket};

/// Bytes of send queue to ask for: several batches. A packet that finds it full is worth less than those behind it.
const SEND_BUFFER: usize = 1 << 20;

/// One worker's way out of all addresses.
pub(super) struct Outlet {
    ways: Vec<Way>,
    /// From where to where each arrival goes, by its index.
    routes: Box<[Option<Route>]>,
    /// Arrivals that could not be sent, by their index, since the last flush.
    unsent: Vec<usize>,
    traffic_class: u8,
    /// Each packet leaves by itself, see [`Self::detour`].
    detours: bool,
}

struct Way {
    address: IpAddr,
    socket: RawSocket,
    departures: Departures,
}

#[derive(Clone, Copy, Debug)]
struct Route {
    from: SocketAddr,
    to: SocketAddr,
}

impl Outlet {
    /// For batches of up to `count` packets, of this traffic class.
    ///
    /// # Errors
    /// The kernel's: it takes `CAP_NET_RAW`.
    pub(super) fn new(addresses: &[IpAddr], count: usize, traffic_class: u8) -> io::Result<Self> {
        let way = |&address| {
            let socket = RawSocket::bind(address, SEND_BUFFER)?;
            Ok(Way { address, socket, departures: Departures::new(count) })
        };
        let ways = addresses.iter().map(way).collect::<io::Result<_>>()?;
        let routes = vec![None; count].into_boxed_slice();
        Ok(Self { ways, routes, unsent: Vec::new(), traffic_class, detours: false })
    }

    /// Whether from now on all packets take a detour: the kernel then knows their protocol and ports when it looks for their way, and
    /// for what must be encrypted.
    pub(super) fn detours(&mut self, detours: bool) {
        self.detours = detours;
    }

    /// Lets the arrival at `index` leave with the next [`Self::flush`], from one of our addresses.
    #[inline]
    pub(super) fn push(
        &mut self,
        arrivals: &mut Arrivals,
        index: usize,
        from: SocketAddr,
        to: SocketAddr,
        tally: &Tally,
    ) {
        let (headroom, payload) = arrivals.headroom(index);
        let headers = header::write(headroom, payload, from, to, self.traffic_class);
        match (headers, self.ways.iter_mut().find(|way| way.address == from.ip())) {
            (Some(bytes), Some(way)) if !self.detours => {
                self.routes[index] = Some(Route { from, to });
                way.departures.push(index, bytes, to);
            }
            _ => {
                if !self.detour(payload, from, to, tally) {
                    self.unsent.push(index);
                }
            }
        }
    }

    /// Sends what was pushed, and gives the arrivals that could not be sent. A packet that the kernel does not take is dropped and
    /// counted: media that waits is worth nothing, and the others must not wait for it.
    pub(super) fn flush(&mut self, arrivals: &mut Arrivals, tally: &Tally) -> vec::Drain<'_, usize> {
        let Self { ways, routes, unsent, traffic_class, .. } = self;
        for way in ways {
            while let Some(first) = way.departures.first() {
                match way.departures.send(arrivals, &way.socket) {
                    Ok(sent) => tally.sent.add(sent as u64),
                    Err(error) => {
                        way.departures.skip();
                        let sent = match routes[first] {
                            // It is longer than the interface takes, and must be cut.
                            Some(Route { from, to }) if error.raw_os_error() == Some(libc::EMSGSIZE) => {
                                detour(*traffic_class, arrivals.headroom(first).1, from, to, tally)
                            }
                            _ => {
                                tally.unsent.add(1);
                                false
                            }
                        };
                        if !sent {
                            unsent.push(first);
                        }
                    }
                }
            }
        }
        unsent.drain(..)
    }

    /// Sends one packet by a socket that is bound to its port for as long as that takes: slow, but the kernel cuts what is too
    /// long. What arrives meanwhile is steered as ever. Gives whether it could be sent.
    pub(super) fn detour(&self, bytes: &[u8], from: SocketAddr, to: SocketAddr, tally: &Tally) -> bool {
        detour(self.traffic_class, bytes, from, to, tally)
    }
}

fn detour(traffic_class: u8, bytes: &[u8], from: SocketAddr, to: SocketAddr, tally: &Tally) -> bool {
    let options = Options { binding_priority: Some(guard::OURS), traffic_class, ..Options::default() };
    let sent = UdpSocket::bind(from, &options).and_then(|socket| socket.send_to(bytes, to));
    match sent {
        Ok(()) => tally.sent.add(1),
        Err(_) => tally.unsent.add(1),
    }
    sent.is_ok()
}
