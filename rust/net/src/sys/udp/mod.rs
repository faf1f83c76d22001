//! Non-blocking UDP sockets, one datagram at a time or in batches.
//!
//! # Errors of a connected socket
//! When a peer answers with ICMP "port unreachable", the next receive **or** send of a connected socket returns
//! [`io::ErrorKind::ConnectionRefused`] once, and what was to be sent by that call was not. Epoll reports the socket until then.

mod batch;

pub use batch::{Datagram, ReceiveBatch, SendBatch};

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use super::address::RawAddress;
use super::clock;
use super::option::{self, set_size};
use super::{checked, checked_count, socklen};

/// The same on every architecture that Rust's Linux runs on but PA-RISC and SPARC.
const SO_NETNS_COOKIE: libc::c_int = 71;
/// The same on every architecture.
const SIOCGSTAMPNS: libc::Ioctl = 0x8907;

/// What a socket is made with; the kernel's defaults otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Bytes of receive queue to ask for; the kernel doubles it for its own bookkeeping, and caps it silently unless this
    /// process has `CAP_NET_ADMIN`.
    pub receive_buffer: Option<usize>,
    /// Bytes of send queue to ask for, likewise.
    pub send_buffer: Option<usize>,
    /// Stamp received datagrams with the kernel's time of arrival, for batches and [`Arrivals`](super::transit::Arrivals) to show it.
    pub timestamps: bool,
    /// Remember the stamp of the datagram that was received last, see [`UdpSocket::last_stamp`].
    pub last_stamp: bool,
    /// Tell the address and port that received datagrams were sent to (only [`Arrivals`](super::transit::Arrivals) show it).
    pub destinations: bool,
    /// The traffic class of what is sent: the upper six bits are the DSCP (RFC 2474).
    pub traffic_class: u8,
    /// A priority (`SO_PRIORITY`) that the socket has only while it is being bound: a program that is run then can tell it by it.
    pub binding_priority: Option<libc::c_int>,
}

/// A bound, non-blocking UDP socket.
#[derive(Debug)]
pub struct UdpSocket(OwnedFd);

impl UdpSocket {
    /// A socket bound to `local` (port 0: the kernel chooses). An IPv6 socket takes no IPv4 traffic.
    ///
    /// # Errors
    /// The kernel's; `AddrInUse` and `AddrNotAvailable` are the caller's choice of `local`,
    /// `EMFILE`/`ENFILE` (no `ErrorKind` of their own) mean that no descriptor is left.
    pub fn bind(local: SocketAddr, options: &Options) -> io::Result<Self> {
        let socket = Self::unbound(local, options)?;
        if let Some(priority) = options.binding_priority {
            socket.set_option(libc::SOL_SOCKET, libc::SO_PRIORITY, priority)?;
        }
        socket.bind_to(local)?;
        if options.binding_priority.is_some() {
            socket.set_option(libc::SOL_SOCKET, libc::SO_PRIORITY, 0)?;
        }
        Ok(socket)
    }

    /// A second socket on the same address and port. While one of the two is connected, the kernel gives it what comes from
    /// its peer, and everything else to the other one. Nobody else can bind the port, before or after.
    ///
    /// # Errors
    /// The kernel's, see [`Self::bind`].
    pub fn beside(&self, options: &Options) -> io::Result<Self> {
        let local = self.local_address()?;
        let beside = Self::unbound(local, options)?;
        // The port may be shared by who is bound and who binds, if both say so at that moment.
        beside.set_option(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        self.set_option(libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        let bound = beside.bind_to(local);
        self.set_option(libc::SOL_SOCKET, libc::SO_REUSEPORT, 0)?;
        bound?;
        // From here on they are no group among which the kernel would spread packets.
        beside.set_option(libc::SOL_SOCKET, libc::SO_REUSEPORT, 0)?;
        Ok(beside)
    }

    fn unbound(local: SocketAddr, options: &Options) -> io::Result<Self> {
        let family = if local.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: socket takes no pointers.
        let fd = checked(unsafe { libc::socket(family, kind, 0) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        if local.is_ipv6() {
            socket.set_option(libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        if let Some(bytes) = options.receive_buffer {
            set_size(socket.as_raw_fd(), libc::SO_RCVBUFFORCE, libc::SO_RCVBUF, bytes)?;
        }
        if let Some(bytes) = options.send_buffer {
            set_size(socket.as_raw_fd(), libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, bytes)?;
        }
        if options.timestamps {
            socket.set_option(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)?;
        }
        if options.last_stamp {
            // From the first time that it is asked, it remembers.
            let _ = socket.last_stamp();
        }
        match (options.traffic_class, local) {
            (0, _) => {}
            (class, SocketAddr::V4(_)) => socket.set_option(libc::SOL_IP, libc::IP_TOS, class.into())?,
            (class, SocketAddr::V6(_)) => socket.set_option(libc::SOL_IPV6, libc::IPV6_TCLASS, class.into())?,
        }
        match (options.destinations, local) {
            (true, SocketAddr::V4(_)) => socket.set_option(libc::SOL_IP, libc::IP_RECVORIGDSTADDR, 1)?,
            (true, SocketAddr::V6(_)) => socket.set_option(libc::SOL_IPV6, libc::IPV6_RECVORIGDSTADDR, 1)?,
            (false, _) => {}
        }
        Ok(socket)
    }

    fn bind_to(&self, local: SocketAddr) -> io::Result<()> {
        let (raw, length) = RawAddress::new(local);
        // SAFETY: pointer and length describe `raw`, which outlives the call.
        checked(unsafe { libc::bind(self.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// The kernel's; none is expected.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        let mut raw = RawAddress::empty();
        let mut length = RawAddress::capacity();
        // SAFETY: both pointers are valid and exclusive, and `length` says how much room there is.
        checked(unsafe { libc::getsockname(self.as_raw_fd(), (&raw mut raw).cast(), &raw mut length) })?;
        raw.address().ok_or_else(unknown_family)
    }

    /// Whom it is connected to, if to anybody.
    #[must_use]
    pub fn peer(&self) -> Option<SocketAddr> {
        let mut raw = RawAddress::empty();
        let mut length = RawAddress::capacity();
        // SAFETY: both pointers are valid and exclusive, and `length` says how much room there is.
        checked(unsafe { libc::getpeername(self.as_raw_fd(), (&raw mut raw).cast(), &raw mut length) }).ok()?;
        raw.address()
    }

    /// Takes datagrams from `remote` only, and sends there without an address. Datagrams of others that are in the
    /// queue already stay there. Connecting again moves it.
    ///
    /// # Errors
    /// The kernel's, for instance that there is no route.
    pub fn connect(&self, remote: SocketAddr) -> io::Result<()> {
        let (raw, length) = RawAddress::new(remote);
        // SAFETY: pointer and length describe `raw`, which outlives the call.
        checked(unsafe { libc::connect(self.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
    }

    /// Takes datagrams from everyone again. The local address and port stay if the socket was bound to both by number;
    /// a port that the kernel chose is given up.
    ///
    /// # Errors
    /// The kernel's; none is expected.
    pub fn disconnect(&self) -> io::Result<()> {
        // Family AF_UNSPEC, which is zero, dissolves the association (connect(2)).
        let raw = RawAddress::empty();
        let length = RawAddress::capacity();
        // SAFETY: pointer and length describe `raw`, which outlives the call.
        checked(unsafe { libc::connect(self.as_raw_fd(), (&raw const raw).cast(), length) }).map(drop)
    }

    /// Receives one datagram: its length and source. What does not fit `buffer` is cut off, and the length returned is
    /// that of the whole datagram, so a length above `buffer.len()` tells that it was cut.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; otherwise see the module.
    pub fn receive_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let mut raw = RawAddress::empty();
        let mut length = RawAddress::capacity();
        // SAFETY: the buffer's pointer and length describe it, exclusively borrowed; so do those of `raw`.
        let received = checked_count(unsafe {
            libc::recvfrom(
                self.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
                libc::MSG_TRUNC,
                (&raw mut raw).cast(),
                &raw mut length,
            )
        })?;
        Ok((received, raw.address().ok_or_else(unknown_family)?))
    }

    /// Receives one datagram of whichever source; as [`Self::receive_from`] otherwise.
    ///
    /// # Errors
    /// As [`Self::receive_from`].
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let (room, flags) = (buffer.len(), libc::MSG_TRUNC);
        // SAFETY: the pointer and the length describe `buffer`, exclusively borrowed.
        checked_count(unsafe { libc::recv(self.as_raw_fd(), buffer.as_mut_ptr().cast(), room, flags) })
    }

    /// Sends one datagram to `remote`.
    ///
    /// # Errors
    /// `WouldBlock` when the send queue is full, `ENOBUFS` when the kernel's memory is; otherwise see the module.
    pub fn send_to(&self, bytes: &[u8], remote: SocketAddr) -> io::Result<()> {
        let (raw, length) = RawAddress::new(remote);
        let address = (&raw const raw).cast();
        // SAFETY: the pointers and lengths describe `bytes` and `raw`, which outlive the call.
        checked_count(unsafe {
            libc::sendto(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL, address, length)
        })
        .map(drop)
    }

    /// Sends one datagram to where the socket is connected.
    ///
    /// # Errors
    /// As [`Self::send_to`], and that it is not connected.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        // SAFETY: the pointer and the length describe `bytes`, which outlives the call.
        checked_count(unsafe {
            libc::send(self.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), libc::MSG_NOSIGNAL)
        })
        .map(drop)
    }

    /// Receives as many datagrams as are there and fit, and replaces what `batch` holds; returns how many.
    ///
    /// # Errors
    /// As [`Self::receive_from`]; an error after the first datagram is returned by the next call.
    pub fn receive_batch(&self, batch: &mut ReceiveBatch) -> io::Result<usize> {
        batch.receive(self.as_raw_fd())
    }

    /// Sends what `batch` holds, oldest first, and takes what was sent out of it; returns how many.
    /// Fewer than it held, or an error, leave the rest in it: the caller tries again or clears it.
    ///
    /// # Errors
    /// As [`Self::send_to`], when not even the first could be sent.
    pub fn send_batch(&self, batch: &mut SendBatch) -> io::Result<usize> {
        batch.send(self.as_raw_fd())
    }

    /// When the datagram arrived that was received last, on the real-time clock; `None` the first time that a socket is asked that was
    /// not bound to remember it.
    #[must_use]
    pub fn last_stamp(&self) -> Option<Duration> {
        let mut stamp = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the pointer is to a timespec, exclusively borrowed, which is what this request writes.
        checked(unsafe { libc::ioctl(self.as_raw_fd(), SIOCGSTAMPNS, &raw mut stamp) }).ok()?;
        Some(clock::span(stamp))
    }

    /// Takes the pending error, such as a refusal by the peer, away.
    ///
    /// # Errors
    /// The kernel's; none is expected.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        let mut error: libc::c_int = 0;
        let mut length = socklen::<libc::c_int>();
        // SAFETY: both pointers are valid and exclusive, and `length` says how much room there is.
        checked(unsafe {
            let value = (&raw mut error).cast();
            libc::getsockopt(self.as_raw_fd(), libc::SOL_SOCKET, libc::SO_ERROR, value, &raw mut length)
        })?;
        Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
    }

    /// How many datagrams the kernel has dropped here so far, most of them because the receive queue was full. Modulo 2³².
    ///
    /// # Errors
    /// The kernel's: it is older than Linux 4.12.
    pub fn drops(&self) -> io::Result<u32> {
        const DROPS: usize = 8;
        let mut figures = [0_u32; DROPS + 1];
        let mut length = socklen::<[u32; DROPS + 1]>();
        // SAFETY: both pointers are valid and exclusive, and `length` says how much room there is.
        checked(unsafe {
            let value = (&raw mut figures).cast();
            libc::getsockopt(self.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO, value, &raw mut length)
        })?;
        Ok(figures[DROPS])
    }

    /// The number that programs in the kernel know this socket's network namespace by.
    ///
    /// # Errors
    /// The kernel's: it is older than Linux 5.14.
    pub fn namespace_cookie(&self) -> io::Result<u64> {
        let mut cookie = 0_u64;
        let mut length = socklen::<u64>();
        // SAFETY: both pointers are valid and exclusive, and `length` says how much room there is.
        checked(unsafe {
            let value = (&raw mut cookie).cast();
            libc::getsockopt(self.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, value, &raw mut length)
        })?;
        Ok(cookie)
    }

    fn set_option(&self, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
        option::set(self.as_raw_fd(), level, name, value)
    }
}

/// A socket that another process has made with [`UdpSocket::bind`].
impl From<OwnedFd> for UdpSocket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for UdpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

fn unknown_family() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "an address of a family that is neither IPv4 nor IPv6")
}

#[cfg(test)]
mod tests;
