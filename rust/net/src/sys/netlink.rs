//! What the kernel says about routes and interfaces (`rtnetlink(7)`).

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use super::{checked, checked_count, socklen};

const ROUTE_REQUEST: u16 = 26;
const LINK_REQUEST: u16 = 18;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const REQUEST: u16 = 1;
const DUMP: u16 = 0x300;
/// `NFT_MSG_GETTABLE` and its answer.
const TABLES_REQUEST: u16 = 10 << 8 | 1;
const TABLES_ANSWER: u16 = 10 << 8;
/// `XFRM_MSG_GETPOLICY` and its answer, and how long the question is.
const POLICIES_REQUEST: u16 = 0x15;
const POLICIES_ANSWER: u16 = 0x13;
const POLICY_BYTES: usize = 64;
/// Where in a policy is what: the protocol that it is for, zero for all, and which way packets go.
const POLICY_PROTOCOL: usize = 44;
const POLICY_DIRECTION: usize = 160;
const OUTWARDS: u8 = 1;
/// `RTM_GETRULE` and its answer, how long the answer's head is, and attributes behind it.
const RULES_REQUEST: u16 = 34;
const RULES_ANSWER: u16 = 32;
const RULE_BYTES: usize = 12;
const RULE_PROTOCOL: u16 = 22;
const RULE_PORTS: [u16; 2] = [23, 24];
const UDP: u8 = 17;
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
/// Groups of notices: links, next hops, and routes, rules and addresses of both families.
const NOTICES: u32 = 0x1 | 0x10 | 0x40 | 0x80 | 0x100 | 0x400 | 0x4_0000 | 0x8000_0000;

const HEADER_BYTES: usize = 16;
const ROUTE_BYTES: usize = 12;
const LINK_BYTES: usize = 16;
const ANSWER_BYTES: usize = 8192;

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

/// A question to the kernel, and its answers.
#[derive(Debug)]
pub struct Netlink(OwnedFd);

impl Netlink {
    /// Asks.
    ///
    /// # Errors
    /// The kernel's: no descriptor is left, or such sockets are forbidden.
    pub fn new() -> io::Result<Self> {
        Self::bound(libc::NETLINK_ROUTE, 0)
    }

    /// Hears of whatever changes routes, addresses and interfaces.
    ///
    /// # Errors
    /// As above.
    pub fn listening() -> io::Result<Self> {
        Self::bound(libc::NETLINK_ROUTE, NOTICES)
    }

    fn bound(protocol: libc::c_int, groups: u32) -> io::Result<Self> {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: there are no pointers.
        let fd = checked(unsafe { libc::socket(libc::AF_NETLINK, kind, protocol) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a structure of numbers may be all zeroes.
        let mut address: libc::sockaddr_nl = unsafe { std::mem::zeroed() };
        address.nl_family = u16::try_from(libc::AF_NETLINK).unwrap_or(0);
        address.nl_groups = groups;
        // SAFETY: pointer and length describe `address`, which outlives the call.
        let done =
            unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(&address).cast(), socklen::<libc::sockaddr_nl>()) };
        checked(done)?;
        Ok(Self(fd))
    }

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

    /// Whether anything was heard since this was last asked.
    #[must_use]
    pub fn heard(&self) -> bool {
        let mut buffer = [0; ANSWER_BYTES];
        let mut heard = false;
        loop {
            match self.receive(&mut buffer) {
                Ok(_) => heard = true,
                // Some notices were too many for the queue.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => heard = true,
                Err(_) => return heard,
            }
        }
    }

    /// Whether any of the answers to a question that has many is like that.
    fn any(&self, question: u16, body: &[u8], is_it: impl Fn(u16, &[u8]) -> bool) -> io::Result<bool> {
        self.put(question, REQUEST | DUMP, body)?;
        let mut buffer = [0; ANSWER_BYTES];
        // All are read, as what is left would be taken for the answer to the next question.
        let mut found = false;
        loop {
            let length = self.receive(&mut buffer)?;
            let mut rest = &buffer[..length];
            while let Some((kind, body, behind)) = message(rest) {
                match kind {
                    DONE => return Ok(found),
                    ERROR => return Err(refusal(body)),
                    _ => found |= is_it(kind, body),
                }
                rest = behind;
            }
        }
    }

    /// The body of the answer. The kernel has it ready when it has taken the question.
    fn ask(&self, kind: u16, body: &[u8]) -> io::Result<Vec<u8>> {
        self.ask_with(kind, REQUEST, body).map(|(_, answer)| answer)
    }

    /// The same, with flags; gives the answer's type, too.
    fn ask_with(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
        self.put(kind, flags, body)?;
        let mut buffer = [0; ANSWER_BYTES];
        let length = self.receive(&mut buffer)?;
        let answer = &buffer[..length];
        let kind = answer.get(4..6).map_or(0, |kind| u16::from_ne_bytes([kind[0], kind[1]]));
        let body = answer.get(HEADER_BYTES..).unwrap_or_default();
        if kind == ERROR {
            return Err(refusal(body));
        }
        Ok((kind, body.to_vec()))
    }

    fn put(&self, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
        let length = u32::try_from(HEADER_BYTES + body.len()).unwrap_or(0);
        let mut question = Vec::with_capacity(HEADER_BYTES + body.len());
        question.extend(length.to_ne_bytes());
        question.extend(kind.to_ne_bytes());
        question.extend(flags.to_ne_bytes());
        question.extend([0; 8]);
        question.extend(body);
        // SAFETY: pointer and length describe `question`, which outlives the call.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), question.as_ptr().cast(), question.len(), 0) };
        checked_count(sent).map(drop)
    }

    fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // SAFETY: pointer and length describe `buffer`, which is exclusively borrowed.
        let length = unsafe { libc::recv(self.0.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
        checked_count(length)
    }
}

/// Whether packets pass rules in this network namespace: tables of nftables, or of iptables in its old form.
#[must_use]
pub fn packet_filter_in_use() -> bool {
    // Of any family. A kernel that does not know nftables has no tables of them.
    let tables = Netlink::bound(libc::NETLINK_NETFILTER, 0)
        .and_then(|netlink| netlink.ask_with(TABLES_REQUEST, REQUEST | DUMP, &[0; 4]));
    let old = ["/proc/self/net/ip_tables_names", "/proc/self/net/ip6_tables_names"];
    let named = |list| fs::read_to_string(list).is_ok_and(|names| !names.trim().is_empty());
    tables.is_ok_and(|(kind, _)| kind == TABLES_ANSWER) || old.into_iter().any(named)
}

/// Whether this network namespace has an interface of this number; one that cannot be asked for is taken to be there.
#[must_use]
pub fn interface_exists(number: u32) -> bool {
    let gone = |error: io::Error| error.raw_os_error() == Some(libc::ENODEV);
    !Netlink::new().and_then(|netlink| netlink.interface(number)).is_err_and(gone)
}

/// Whether there are policies in this network namespace that may have packets encrypted on their way out (RFC 4301).
#[must_use]
pub fn ipsec_in_use() -> bool {
    let policies = Netlink::bound(libc::NETLINK_XFRM, 0)
        .and_then(|netlink| netlink.ask_with(POLICIES_REQUEST, REQUEST | DUMP, &[0; POLICY_BYTES]));
    policies.is_ok_and(|(kind, _)| kind == POLICIES_ANSWER)
}

/// What [`ports_decide_ways`] means, for people.
pub const PORTS_DECIDE_WAYS: &str = "there are rules of routing or policies of IPsec for UDP or its ports, \
     which the kernel does not find for packets with headers of our own";

/// Whether this network namespace has rules of routing, or policies of `IPsec` for what leaves, that are for UDP or for its ports
/// (RFC 4301 §4.4.1.1).
#[must_use]
pub fn ports_decide_ways() -> bool {
    let policy = |kind, policy: &[u8]| {
        let says = |field, what| policy.get(field) == Some(&what);
        kind == POLICIES_ANSWER && says(POLICY_DIRECTION, OUTWARDS) && says(POLICY_PROTOCOL, UDP)
    };
    let rule = |kind, rule: &[u8]| {
        let attributes = rule.get(RULE_BYTES..).unwrap_or_default();
        let ports = || RULE_PORTS.into_iter().any(|field| value(attributes, field).is_some());
        kind == RULES_ANSWER && value(attributes, RULE_PROTOCOL).map_or_else(ports, |protocol| protocol == [UDP])
    };
    let policies = Netlink::bound(libc::NETLINK_XFRM, 0)
        .and_then(|netlink| netlink.any(POLICIES_REQUEST, &[0; POLICY_BYTES], policy));
    let rules = Netlink::new().and_then(|netlink| netlink.any(RULES_REQUEST, &[0; RULE_BYTES], rule));
    // A kernel that does not know of them has none.
    policies.unwrap_or(false) || rules.unwrap_or(false)
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

/// The type and the body of the first message, and what is behind it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let (&[l0, l1, l2, l3, k0, k1], _) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).ok()?;
    let body = bytes.get(HEADER_BYTES..length)?;
    let behind = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    Some((u16::from_ne_bytes([k0, k1]), body, behind))
}

/// What the kernel has against a question.
fn refusal(body: &[u8]) -> io::Error {
    let code = body.first_chunk().map_or(-libc::EIO, |code| i32::from_ne_bytes(*code));
    io::Error::from_raw_os_error(-code)
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    let length = u16::try_from(4 + value.len()).unwrap_or(0);
    body.extend(length.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

fn router(attributes: &[u8]) -> Option<IpAddr> {
    // Of the other family it stands behind that family's number.
    let octets = value(attributes, GATEWAY).or_else(|| value(attributes, GATEWAY_OF_OTHER_FAMILY)?.get(2..))?;
    let ipv4 = || octets.try_into().ok().map(|octets: [u8; 4]| Ipv4Addr::from(octets).into());
    octets.try_into().ok().map(|octets: [u8; 16]| Ipv6Addr::from(octets).into()).or_else(ipv4)
}

/// What an attribute says.
fn value(attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = attributes;
    while let Some((&[l0, l1, k0, k1], _)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = rest.get(4..length)?;
        if u16::from_ne_bytes([k0, k1]) == wanted {
            return Some(value);
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
    None
}

fn number_in(attributes: &[u8], wanted: u16) -> Option<u32> {
    value(attributes, wanted)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
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

    #[test]
    fn all_answers_to_a_question_are_looked_at_and_the_next_one_has_its_own() {
        let netlink = Netlink::new().unwrap();
        let rules = |is_it: fn(u16, &[u8]) -> bool| netlink.any(RULES_REQUEST, &[0; RULE_BYTES], is_it).unwrap();
        assert!(rules(|kind, _| kind == RULES_ANSWER), "the kernel has three from the beginning");
        assert!(!rules(|kind, _| kind != RULES_ANSWER));
    }
}
