//! Which way packets leave this host.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use crate::sys::netlink::{Netlink, Route, Traffic, ipsec_in_use};

/// How many answers are remembered; then all are forgotten.
const REMEMBERED_MAX: usize = 1024;
/// Longer packets of IPv6 may have to be cut, and only the sender may do that (RFC 8200 §5).
const UNCUT_IPV6_BYTES: u32 = 1280;

/// A way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Course {
    /// The party is on this host.
    Here,
    /// By the interface of this number and to this router, if the packet is not longer. Without one the party is on the link.
    Out { interface: u32, router: Option<IpAddr>, length_max: u32 },
}

/// Asks the kernel for its routes.
#[derive(Debug)]
pub(super) struct Pilot {
    netlink: Netlink,
    known: HashMap<Traffic, Option<Course>>,
    /// The number of the routes that are known.
    routes: u64,
}

impl Pilot {
    /// # Errors
    /// The kernel's: no descriptor is left, or such sockets are forbidden.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self { netlink: Netlink::new()?, known: HashMap::new(), routes: 0 })
    }

    /// How such packets leave, as long as `routes` is the same. `None` if there is no way that the program could take.
    pub(super) fn course(&mut self, traffic: Traffic, routes: u64) -> Option<Course> {
        if self.routes != routes || self.known.len() >= REMEMBERED_MAX {
            self.known.clear();
            self.routes = routes;
        }
        let netlink = &self.netlink;
        *self.known.entry(traffic).or_insert_with(|| ask(netlink, &traffic))
    }
}

fn ask(netlink: &Netlink, traffic: &Traffic) -> Option<Course> {
    match netlink.route(traffic).ok()? {
        Route::Nowhere => None,
        Route::Here => Some(Course::Here),
        Route::Out(hop) => {
            let interface = netlink.interface(hop.interface).ok().filter(|interface| interface.ethernet)?;
            // What is redirected is not encrypted, and goes to routers of its own family.
            if ipsec_in_use() || hop.router.is_some_and(|router| router.is_ipv4() != traffic.to.is_ipv4()) {
                return None;
            }
            let mtu = hop.mtu.unwrap_or(u32::MAX).min(interface.mtu);
            let uncut = if traffic.to.is_ipv4() { mtu } else { mtu.min(UNCUT_IPV6_BYTES) };
            Some(Course::Out { interface: hop.interface, router: hop.router, length_max: uncut })
        }
    }
}
