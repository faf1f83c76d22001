//! The programs in the kernel, and the table of ports that they share with us.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::{fmt, io};

use mediaha_media::Believed;

use super::guard::{Family, guard};
use super::lookup::{Maps, PORTS, lookup};
use super::strangers::Strangers;
use crate::estate::Key;
use crate::sys::Shared;
use crate::sys::bpf::{Link, Occasion, Program, SharedMap, SocketMap};
use crate::sys::udp::UdpSocket;

/// The entry of a closed port that is kept for us: no socket has this number, so that nobody gets what is sent to it, and
/// whoever wants to bind it is refused.
const KEPT: u8 = u8::MAX;

/// The programs, by the numbers under which they are kept for a successor.
const LOOKUP: u8 = 0;
const GUARD_IPV4: u8 = 1;
const GUARD_IPV6: u8 = 2;

/// Gives what is sent to an open port to the socket of a worker. Dropping it ends that, as does the end of the process, unless
/// somebody else has a copy of its descriptors.
#[derive(Debug)]
pub(super) struct Switch {
    addresses: Vec<IpAddr>,
    ports: Shared<AtomicU8>,
    strangers: Arc<Strangers>,
    /// Those two, as descriptors.
    maps: [SharedMap; 2],
    lookup: Link,
    guard: Result<[Link; 2], Unguarded>,
}

/// What the kernel did not grant.
#[derive(Debug)]
pub(super) enum Refusal {
    Map(io::Error),
    Socket(io::Error),
    Program(io::Error),
    Link(io::Error),
}

/// Why a program that wants to bind a steered port is not refused.
#[derive(Debug)]
pub(super) enum Unguarded {
    /// Programs that are asked are attached to control groups.
    NoControlGroups(io::Error),
    /// Programs of other network namespaces could not be told from those of ours (before Linux 5.14).
    NoNamespaceCookie(io::Error),
    /// The kernel refused the program, or its attachment.
    Refused(io::Error),
    /// The process that this one has taken the place of could not have it either.
    NeverWas,
}

impl Switch {
    /// A switch with all ports closed, between the ports of `addresses` and these bound sockets.
    pub(super) fn start(addresses: &[IpAddr], sockets: &[Arc<UdpSocket>]) -> Result<Self, Refusal> {
        let bytes = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_mul(PORTS);
        let ports = SharedMap::new("mediaha_ports", bytes).map_err(Refusal::Map)?;
        let count = u32::try_from(sockets.len()).unwrap_or(u32::MAX);
        let map = SocketMap::new("mediaha_workers", count).map_err(Refusal::Map)?;
        for (number, socket) in (0..).zip(sockets) {
            map.put(number, &**socket).map_err(Refusal::Socket)?;
        }
        let believed = Strangers::map(addresses.len()).map_err(Refusal::Map)?;
        let maps = Maps { ports: ports.as_raw_fd(), believed: believed.as_raw_fd(), sockets: map.as_raw_fd() };
        let instructions = lookup(addresses, &maps);
        let program = Program::load(Occasion::Lookup, "mediaha_steer", &instructions).map_err(Refusal::Program)?;
        let namespace = File::open("/proc/thread-self/ns/net").map_err(Refusal::Link)?;
        let lookup = program.attach(&namespace).map_err(Refusal::Link)?;
        let guard = keep_off(addresses, &ports, sockets);
        let strangers = Arc::new(Strangers::new(addresses, &believed).map_err(Refusal::Map)?);
        let entries = ports.memory().map_err(Refusal::Map)?;
        let maps = [ports, believed];
        Ok(Self { addresses: addresses.to_vec(), ports: entries, strangers, maps, lookup, guard })
    }

    /// The switch of a former life, which has been at work all the time; `None` if it is not all there.
    pub(super) fn inherited(addresses: &[IpAddr], mut take: impl FnMut(Key) -> Option<OwnedFd>) -> Option<Self> {
        let bytes = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_mul(PORTS);
        let ports = SharedMap::inherited(take(Key::Steered)?, bytes);
        let believed = SharedMap::inherited(take(Key::Believed)?, Strangers::bytes(addresses.len()));
        let entries = ports.memory().ok()?;
        let strangers = Arc::new(Strangers::new(addresses, &believed).ok()?);
        let lookup = take(Key::Program(LOOKUP))?.into();
        let guard = match [take(Key::Program(GUARD_IPV4)), take(Key::Program(GUARD_IPV6))] {
            [Some(ipv4), Some(ipv6)] => Ok([ipv4.into(), ipv6.into()]),
            _ => Err(Unguarded::NeverWas),
        };
        let maps = [ports, believed];
        Some(Self { addresses: addresses.to_vec(), ports: entries, strangers, maps, lookup, guard })
    }

    /// What must not be closed while another process is to take it over.
    pub(super) fn descriptors(&self) -> Vec<(Key, BorrowedFd<'_>)> {
        let [ports, believed] = &self.maps;
        let mut all = vec![(Key::Steered, ports.as_fd()), (Key::Believed, believed.as_fd())];
        all.push((Key::Program(LOOKUP), self.lookup.as_fd()));
        if let Ok([ipv4, ipv6]) = &self.guard {
            all.extend([(Key::Program(GUARD_IPV4), ipv4.as_fd()), (Key::Program(GUARD_IPV6), ipv6.as_fd())]);
        }
        all
    }

    /// The number of the socket that a port is steered to.
    pub(super) fn steered(&self, port: SocketAddr) -> Option<usize> {
        let entry = self.entry(port)?.load(Acquire);
        usize::from(entry).checked_sub(1).filter(|_| entry != KEPT)
    }

    /// Closes the ports that are open and that nobody wants.
    pub(super) fn close_unless(&self, wanted: impl Fn(SocketAddr) -> bool) {
        for &address in &self.addresses {
            for port in (0..=u16::MAX).map(|port| SocketAddr::new(address, port)) {
                if self.steered(port).is_some() && !wanted(port) {
                    self.keep(port);
                }
            }
        }
    }

    /// From now on what is sent to `port` is for the socket of this number.
    pub(super) fn steer(&self, port: SocketAddr, socket: usize) {
        // An entry is a byte: beyond the 254th socket nothing is steered.
        let entry = u8::try_from(socket + 1).ok().filter(|entry| *entry != KEPT).unwrap_or(0);
        self.set(port, entry);
    }

    /// From now on nobody gets what is sent to `port`, which is closed and has been found free. Nobody else can bind it either,
    /// if the kernel refuses ports at all.
    pub(super) fn keep(&self, port: SocketAddr) {
        self.set(port, if self.guard.is_ok() { KEPT } else { 0 });
    }

    /// From now on `port` is for whoever binds it.
    pub(super) fn release(&self, port: SocketAddr) {
        self.set(port, 0);
    }

    /// Whether `port` is closed, and nobody else can have it.
    pub(super) fn is_kept(&self, port: SocketAddr) -> bool {
        self.entry(port).is_some_and(|entry| entry.load(Acquire) == KEPT)
    }

    /// Whether `port` is neither open nor kept.
    pub(super) fn is_anybodys(&self, port: SocketAddr) -> bool {
        self.entry(port).is_some_and(|entry| entry.load(Acquire) == 0)
    }

    fn set(&self, port: SocketAddr, value: u8) {
        if let Some(entry) = self.entry(port) {
            // Of a port that is opened or closed nothing is known. One that stays what it is in another life goes on counting.
            self.strangers.believe(port, Believed::Anybody);
            if entry.load(Acquire) != value {
                self.strangers.forget(port);
                entry.store(value, Release);
            }
        }
    }

    fn entry(&self, port: SocketAddr) -> Option<&AtomicU8> {
        let address = self.addresses.iter().position(|&address| address == port.ip())?;
        self.ports.as_slice().get(address * PORTS as usize + usize::from(port.port()))
    }

    /// Who is let through to which port.
    pub(super) fn strangers(&self) -> &Arc<Strangers> {
        &self.strangers
    }

    /// Why other programs can bind a port that is open, if they can.
    pub(super) fn unguarded(&self) -> Option<&Unguarded> {
        self.guard.as_ref().err()
    }
}

/// Has everybody refused who wants to bind a port that is open.
fn keep_off(addresses: &[IpAddr], ports: &SharedMap, sockets: &[Arc<UdpSocket>]) -> Result<[Link; 2], Unguarded> {
    let groups = control_groups().and_then(File::open).map_err(Unguarded::NoControlGroups)?;
    let nobody = || Err(io::ErrorKind::NotFound.into());
    let cookie = sockets.first().map_or_else(nobody, |socket| socket.namespace_cookie());
    let cookie = cookie.map_err(Unguarded::NoNamespaceCookie)?;
    let attach = |family, occasion| {
        let instructions = guard(family, addresses, ports.as_raw_fd(), cookie);
        Program::load(occasion, "mediaha_guard", &instructions)?.attach(&groups)
    };
    let ipv4 = attach(Family::Ipv4, Occasion::BindIpv4).map_err(Unguarded::Refused)?;
    let ipv6 = attach(Family::Ipv6, Occasion::BindIpv6).map_err(Unguarded::Refused)?;
    Ok([ipv4, ipv6])
}

/// The folder of the uppermost control group that there is for us.
fn control_groups() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let folders = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let folder = fields.next()?;
        (fields.next()? == "cgroup2").then(|| folder.into())
    });
    folders.into_iter().next().ok_or_else(|| io::ErrorKind::NotFound.into())
}

impl fmt::Display for Unguarded {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoControlGroups(error) => write!(formatter, "no control groups (cgroup2) are mounted: {error}"),
            Self::NoNamespaceCookie(error) => write!(formatter, "the network namespace has no name: {error}"),
            Self::Refused(error) => write!(formatter, "a program that guards steered ports was refused: {error}"),
            Self::NeverWas => formatter.write_str("no program has guarded steered ports before, either"),
        }
    }
}
