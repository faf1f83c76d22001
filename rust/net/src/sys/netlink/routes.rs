//! What the kernel says about routes and interfaces (`rtnetlink(7)`).

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ptr;

use super::{Netlink, attribute, number_in, value};
use crate::sys::checked;

const ROUTE_REQUEST: u16 = 26;
const LINK_REQUEST: u16 = 18;
const ROUTE_BYTES: usize = 12;
const LINK_BYTES: usize = 16;
/// Attributes of routes and of interfaces.
const DESTINATION: u16 = 1;
const SOURCE: u16 = 2;
const INTERFACE: u16 = 4;
const GATEWAY: u16 = 5;
const METRICS: u16 = 8;
const GATEWAY_OF_OTHER_FAMILY: u16 = 18;
const PROTOCOL: u16 = 27;
const SOURCE_PORT: u16 = 28;
const DESTINATION_PORT: u16 = 29;
const MTU: u16 = 4;
/// Among the metrics.
const ROUTE_MTU: u16 = 2;
/// Types of routes (`RTN_`).
const UNICAST: u8 = 1;
const LOCAL: u8 = 2;

/// Where packets to an address go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It is this host's.
    Here,
    /// Out by an interface.
    Out(Hop),
    /// Nowhere: they are refused, or dropped, or for many.
    Nowhere,
}

/// The next step of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hop {
    /// The interface that it leaves by.
    pub interface: u32,
    /// The router; `None` where the address is on the link itself.
    pub router: Option<IpAddr>,
    /// The longest packet, if the way takes less than the interface.
    pub mtu: Option<u32>,
}

/// UDP packets whose way is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Traffic {
    /// Where they come from.
    pub from: SocketAddr,
    /// Where they go, of the same family.
    pub to: SocketAddr,
    /// The byte of the IP header that asks for a treatment.
    pub class: u8,
}

/// An interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its number in this network namespace.
    pub number: u32,
    /// Whether packets begin with an Ethernet header there. Those of loopback do, too.
    pub ethernet: bool,
    /// The longest packet that it takes, without that header.
    pub mtu: u32,
}

/// About ways and interfaces.
impl Netlink {
    /// Where these packets go now, if a socket sends them.
    ///
    /// # Errors
    /// The kernel's.
    pub fn route(&self, Traffic { from, to, class }: &Traffic) -> io::Result<Route> {
        let (family, bits) = if to.is_ipv4() { (libc::AF_INET, 32) } else { (libc::AF_INET6, 128) };
        let mut body = vec![u8::try_from(family).unwrap_or(0), bits, bits, *class, 0, 0, 0, 0, 0, 0, 0, 0];
        attribute(&mut body, DESTINATION, &octets(to.ip()));
        attribute(&mut body, SOURCE, &octets(from.ip()));
        attribute(&mut body, PROTOCOL, &[u8::try_from(libc::IPPROTO_UDP).unwrap_or(0)]);
        attribute(&mut body, SOURCE_PORT, &from.port().to_be_bytes());
        attribute(&mut body, DESTINATION_PORT, &to.port().to_be_bytes());
        let answer = match self.ask(ROUTE_REQUEST, &body) {
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES)) =>
            {
                return Ok(Route::Nowhere);
            }
            answer => answer?,
        };
        let kind = answer.get(7).copied().unwrap_or(0);
        let attributes = answer.get(ROUTE_BYTES..).unwrap_or_default();
        let out = number_in(attributes, INTERFACE).map_or(Route::Nowhere, |interface| {
            let mtu = value(attributes, METRICS).and_then(|metrics| number_in(metrics, ROUTE_MTU));
            Route::Out(Hop { interface, router: router(attributes), mtu })
        });
        Ok(match kind {
            LOCAL => Route::Here,
            UNICAST => out,
            _ => Route::Nowhere,
        })
    }

    /// About an interface.
    ///
    /// # Errors
    /// The kernel's: there is none of this number.
    pub fn interface(&self, number: u32) -> io::Result<Interface> {
        let mut body = vec![0; LINK_BYTES];
        body[4..8].copy_from_slice(&number.to_ne_bytes());
        let answer = self.ask(LINK_REQUEST, &body)?;
        let kind = answer.get(2..4).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
        let mtu = answer.get(LINK_BYTES..).and_then(|attributes| number_in(attributes, MTU)).unwrap_or(0);
        Ok(Interface { number, ethernet: matches!(kind, libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK), mtu })
    }
}

/// Whether this network namespace has an interface of this number; one that cannot be asked for is taken to be there.
#[must_use]
pub fn interface_exists(number: u32) -> bool {
    let gone = |error: io::Error| error.raw_os_error() == Some(libc::ENODEV);
    !Netlink::new().and_then(|netlink| netlink.interface(number)).is_err_and(gone)
}

/// The numbers of the interfaces that have one of these addresses.
///
/// # Errors
/// The kernel's.
pub fn interfaces_with(addresses: &[IpAddr]) -> io::Result<Vec<u32>> {
    let mut list: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: the list is made into this pointer, and freed below.
    checked(unsafe { libc::getifaddrs(&raw mut list) })?;
    let mut numbers = Vec::new();
    let mut next = list;
    // SAFETY: every entry of the list is valid until the list is freed, and its last one has no next.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: the address is null or of the family that it says.
        let address = unsafe { address_of(entry.ifa_addr) };
        if address.is_some_and(|address| addresses.contains(&address)) {
            // SAFETY: the name ends with a zero, and belongs to the list.
            let number = unsafe { libc::if_nametoindex(entry.ifa_name) };
            if number != 0 && !numbers.contains(&number) {
                numbers.push(number);
            }
        }
    }
    // SAFETY: it was made above, and no reference into it is left.
    unsafe { libc::freeifaddrs(list) };
    Ok(numbers)
}

/// # Safety
/// `address` is null, or points to a socket address of the family that it says.
unsafe fn address_of(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller's promise.
    match i32::from(unsafe { address.as_ref() }?.sa_family) {
        libc::AF_INET => {
            // SAFETY: it is of this family.
            let address = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 => {
            // SAFETY: it is of this family.
            let address = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

fn router(attributes: &[u8]) -> Option<IpAddr> {
    // Of the other family it stands behind that family's number.
    let octets = value(attributes, GATEWAY).or_else(|| value(attributes, GATEWAY_OF_OTHER_FAMILY)?.get(2..))?;
    let ipv4 = || octets.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets).into());
    octets.try_into().ok().map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()).or_else(ipv4)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_here_and_of_ethernet() {
        let netlink = Netlink::new().unwrap();
        let (v4, v6): (IpAddr, IpAddr) = (Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into());
        for address in [v4, v6] {
            let (from, to) = ((address, 1).into(), (address, 2).into());
            assert_eq!(netlink.route(&Traffic { from, to, class: 0xb8 }).unwrap(), Route::Here);
        }
        assert_eq!(interfaces_with(&[v4, v6]).unwrap(), [1]);
        let loopback = netlink.interface(1).unwrap();
        assert!(loopback.ethernet && loopback.mtu >= 1_280, "{loopback:?}");
        assert!(netlink.interface(1 << 30).is_err());
    }
}
