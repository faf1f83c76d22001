//! Sockets that send packets with headers of our own making.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use super::address::RawAddress;
use super::checked;
use super::option::set_size;

/// A non-blocking socket that takes whole IP packets, and receives nothing.
///
/// Over IPv4 the kernel writes the header checksum, the total length and, where it is zero, the identification.
#[derive(Debug)]
pub struct RawSocket(OwnedFd);

impl RawSocket {
    /// A socket whose packets are routed as coming from `source`; asks for a queue of `send_buffer` bytes.
    ///
    /// # Errors
    /// The kernel's; `PermissionDenied` without `CAP_NET_RAW`.
    pub fn bind(source: IpAddr, send_buffer: usize) -> io::Result<Self> {
        let family = if source.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // The protocol IPPROTO_RAW says that the header is included, and no packet of that protocol ever arrives (raw(7)).
        // SAFETY: socket takes no pointers.
        let fd = checked(unsafe { libc::socket(family, kind, libc::IPPROTO_RAW) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        set_size(socket.as_raw_fd(), libc::SO_SNDBUFFORCE, libc::SO_SNDBUF, send_buffer)?;
        let (raw, length) = RawAddress::new(SocketAddr::new(source, 0));
        // SAFETY: pointer and length describe `raw`, which outlives the call.
        checked(unsafe { libc::bind(socket.as_raw_fd(), (&raw const raw).cast(), length) })?;
        Ok(socket)
    }
}

impl AsRawFd for RawSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
