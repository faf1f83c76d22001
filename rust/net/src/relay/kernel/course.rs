//! Which way packets leave this host.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use crate::sys::netlink::{Netlink, Route};

/// How many answers are remembered; then all are forgotten.
const REMEMBERED_MAX: usize = 1024;
/// Longer packets of IPv6 may have to be cut, and only the sender may do that (RFC 8200 §5).
const UNCUT_IPV6_BYTES: u32 = 1280;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The party is on this host.
    Here,
    /// By the interface of this number, if the packet is not longer.
    Out { interface: u32, length_max: u32 },
}

/// Asks the kernel for its routes.
#[derive(Debug)]
pub(super) struct Pilot {
    netlink: Netlink,
    known: HashMap<(IpAddr, IpAddr), Option<Course>>,
    /// The number of the routes that are known.
    routes: u64,
}

impl Pilot {
    /// # Errors
    /// The kernel's: no descriptor is left, or such sockets are forbidden.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::new()?, known: HashMap::new(), routes: 0 })
    }

    /// How packets from one address to another leave, as long as `routes` is the same. `None` if there is no way that the program
    /// could take.
    pub(super) fn course(&mut self, from: IpAddr, to: IpAddr, routes: u64) -> Option<Course> {
        if self.routes != routes || self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
            self.routes = routes;
        }
        let netlink = &self.netlink;
        *self.known.entry((from, to)).or_insert_with(|| ask(netlink, from, to))
    }
}

fn ask(netlink: &Netlink, from: IpAddr, to: IpAddr) -> Option<Course> {
    match netlink.route(from, to).ok()? {
        Route::Nowhere => None,
        Route::Here => Some(Course::Here),
        Route::Out(number) => {
            let interface = netlink.interface(number).ok().filter(|interface| interface.ethernet)?;
            let uncut = if to.is_ipv4() { interface.mtu } else { interface.mtu.min(UNCUT_IPV6_BYTES) };
            Some(Course::Out { interface: number, length_max: uncut })
        }
    }
}
