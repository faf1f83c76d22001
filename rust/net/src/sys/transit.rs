//! Datagrams on their way through: received at any port, sent on with headers of our own, and never copied in between.

use std::io;
use std::mem;
use std::net::SocketAddr;
use std::ops::Range;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::time::Duration;

use super::address::RawAddress;
use super::control::{self, Control};
use super::raw::RawSocket;
use super::udp::UdpSocket;

/// Room before each datagram for the headers that it is sent on with: those of IPv6 and UDP are the longest.
pub const HEADROOM: usize = 48;

/// Longer than any UDP datagram, so that none is ever cut. Only the pages that are written to are ever memory.
const ROOM: usize = 65_536;
/// Not a multiple of a page, so that the beginnings of the datagrams do not compete for the same lines of the cache.
const STRIDE: usize = HEADROOM + ROOM + 16;

/// Room for datagrams to be received by one call, with the addresses that they were sent to.
pub struct Arrivals {
    bytes: Box<[u8]>,
    sources: Box<[RawAddress]>,
    controls: Box<[Control]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    received: usize,
}

// SAFETY: the pointers inside `headers` and `parts` point into boxes that this value owns, and are used only by a call that
// borrows it exclusively.
unsafe impl Send for Arrivals {}

/// One datagram of [`Arrivals`].
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// What it carries.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// Where to.
    pub destination: SocketAddr,
    /// When it arrived, on the real-time clock, if the socket was bound with `timestamps`.
    pub stamp: Option<Duration>,
}

impl Arrivals {
    /// Room for `count` datagrams (at least one) of any length.
    #[must_use]
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        let mut arrivals = Self {
            bytes: vec![0; count * STRIDE].into_boxed_slice(),
            sources: vec![RawAddress::empty(); count].into_boxed_slice(),
            controls: vec![Control::empty(); count].into_boxed_slice(),
            parts: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; count].into_boxed_slice(),
            headers: vec![empty_header(); count].into_boxed_slice(),
            received: 0,
        };
        arrivals.prepare(0..count);
        arrivals
    }

    /// How many the last call received.
    #[must_use]
    pub fn len(&self) -> usize {
        self.received
    }

    /// Whether the last call received none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.received == 0
    }

    /// Whether the last call may have left some in the queue for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.received == self.headers.len()
    }

    /// Receives as many datagrams as are there and fit, and replaces what was here; returns how many. The socket was bound
    /// with [`destinations`](super::udp::Options::destinations).
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    pub fn receive(&mut self, socket: &UdpSocket) -> io::Result<usize> {
        let before = mem::take(&mut self.received);
        self.prepare(0..before);
        #[allow(clippy::cast_possible_truncation)] // At most a few thousand.
        let count = self.headers.len() as libc::c_uint;
        let (headers, flags) = (self.headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: every header points into boxes that this value owns and that nothing else borrows during the call;
        // lengths and counts are theirs. A null timeout is allowed.
        let received = unsafe { libc::recvmmsg(socket.as_raw_fd(), headers, count, flags, ptr::null_mut()) };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }

    /// A datagram that the last call received; `None` if the kernel did not say where it came from or went to.
    #[inline]
    #[must_use]
    pub fn at(&self, index: usize) -> Option<Arrival<'_>> {
        let header = &self.headers[..self.received][index];
        let start = index * STRIDE + HEADROOM;
        let said = self.controls[index].said(&header.msg_hdr);
        Some(Arrival {
            bytes: &self.bytes[start..start + (header.msg_len as usize).min(ROOM)],
            source: self.sources[index].address()?,
            destination: said.destination?,
            stamp: said.stamp,
        })
    }

    /// The room before a datagram that the last call received ([`HEADROOM`] bytes), and the datagram.
    #[inline]
    pub fn headroom(&mut self, index: usize) -> (&mut [u8], &mut [u8]) {
        let length = (self.headers[..self.received][index].msg_len as usize).min(ROOM);
        self.bytes[index * STRIDE..][..HEADROOM + length].split_at_mut(HEADROOM)
    }

    /// Points the headers of these to where they are to be received. The kernel overwrites lengths and flags.
    fn prepare(&mut self, range: Range<usize>) {
        for index in range {
            let buffer = &mut self.bytes[index * STRIDE + HEADROOM..][..ROOM];
            self.parts[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.sources[index]).cast();
            header.msg_namelen = RawAddress::capacity();
            header.msg_iov = &raw mut self.parts[index];
            header.msg_iovlen = 1;
            self.controls[index].lend(header);
            header.msg_flags = 0;
        }
    }
}

/// Which of the [`Arrivals`] leave again by one socket.
pub struct Departures {
    queued: Box<[Queued]>,
    parts: Box<[libc::iovec]>,
    headers: Box<[libc::mmsghdr]>,
    /// The queued ones are `first..end`.
    first: usize,
    end: usize,
}

// SAFETY: as for `Arrivals`, with `send`.
unsafe impl Send for Departures {}

#[derive(Clone, Copy)]
struct Queued {
    arrival: usize,
    header_bytes: usize,
    target: RawAddress,
    target_length: libc::socklen_t,
}

impl Departures {
    /// Room for as many as there are [`Arrivals`].
    #[must_use]
    pub fn new(count: usize) -> Self {
        let count = count.max(1);
        let nothing = Queued { arrival: 0, header_bytes: 0, target: RawAddress::empty(), target_length: 0 };
        Self {
            queued: vec![nothing; count].into_boxed_slice(),
            parts: vec![libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }; count].into_boxed_slice(),
            headers: vec![empty_header(); count].into_boxed_slice(),
            first: 0,
            end: 0,
        }
    }

    /// Whether nothing waits to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first == self.end
    }

    /// Adds the arrival at `index`, with the last `header_bytes` of its headroom before it, to go to the host `target`. An
    /// arrival leaves at most once; one more than there is room for is not added.
    #[inline]
    pub fn push(&mut self, index: usize, header_bytes: usize, target: SocketAddr) {
        if self.is_empty() {
            (self.first, self.end) = (0, 0);
        }
        // A raw IPv6 socket takes a port for a protocol.
        let mut target = target;
        target.set_port(0);
        if let Some(queued) = self.queued.get_mut(self.end) {
            let (target, target_length) = RawAddress::new(target);
            *queued = Queued { arrival: index, header_bytes: header_bytes.min(HEADROOM), target, target_length };
            self.end += 1;
        }
    }

    /// The arrival that is to be sent next.
    #[must_use]
    pub fn first(&self) -> Option<usize> {
        (!self.is_empty()).then(|| self.queued[self.first].arrival)
    }

    /// Forgets the one that is to be sent next.
    pub fn skip(&mut self) {
        self.first = (self.first + 1).min(self.end);
    }

    /// Sends what waits, oldest first; returns how many were sent. The others still wait.
    ///
    /// # Errors
    /// The kernel's, when not even the first could be sent: `EMSGSIZE` if it is longer than the interface takes.
    pub fn send(&mut self, arrivals: &mut Arrivals, socket: &RawSocket) -> io::Result<usize> {
        let range = self.first..self.end;
        for index in range.clone() {
            let queued = &mut self.queued[index];
            let length = (arrivals.headers[queued.arrival].msg_len as usize).min(ROOM);
            let start = queued.arrival * STRIDE + HEADROOM - queued.header_bytes;
            let packet = &mut arrivals.bytes[start..][..queued.header_bytes + length];
            self.parts[index] = libc::iovec { iov_base: packet.as_mut_ptr().cast(), iov_len: packet.len() };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut queued.target).cast();
            header.msg_namelen = queued.target_length;
            header.msg_iov = &raw mut self.parts[index];
            header.msg_iovlen = 1;
        }
        let sent = send(socket.as_raw_fd(), &mut self.headers[range])?;
        self.first += sent;
        Ok(sent)
    }
}

fn send(socket: RawFd, headers: &mut [libc::mmsghdr]) -> io::Result<usize> {
    #[allow(clippy::cast_possible_truncation)] // At most a few thousand.
    let count = headers.len() as libc::c_uint;
    // SAFETY: `Departures::send` has just pointed every header into boxes of its own and of the arrivals, both exclusively
    // borrowed; lengths and counts are theirs.
    let sent = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

fn empty_header() -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: control::empty_header(), msg_len: 0 }
}
