//! Several datagrams with one system call.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::ptr;
use std::time::Duration;

use super::super::address::RawAddress;
use super::super::control::{self, Control};

/// Room for datagrams to be received by one call.
pub struct ReceiveBatch {
    room: usize,
    bytes: Box<[u8]>,
    sources: Box<[RawAddress]>,
    controls: Box<[Control]>,
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    received: usize,
}

// SAFETY: the pointers inside `headers` and `parts` are written by `receive` before each call, into memory that this
// value owns, and are not read at any other time.
unsafe impl Send for ReceiveBatch {}

/// One datagram of a [`ReceiveBatch`].
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What it carried, or as much of it as there was room for.
    pub bytes: &'a [u8],
    /// Who sent it.
    pub source: SocketAddr,
    /// It was longer than the batch had room for.
    pub truncated: bool,
    /// When it arrived, on the real-time clock, if the socket was bound with `timestamps`.
    pub stamp: Option<Duration>,
}

impl ReceiveBatch {
    /// Room for `count` datagrams of up to `room` bytes each (at least one of each).
    #[must_use]
    pub fn new(count: usize, room: usize) -> Self {
        let (count, room) = (count.max(1), room.max(1));
        Self {
            room,
            bytes: vec![0; count * room].into_boxed_slice(),
            sources: vec![RawAddress::empty(); count].into_boxed_slice(),
            controls: vec![Control::empty(); count].into_boxed_slice(),
            headers: vec![empty_header(); count].into_boxed_slice(),
            parts: vec![empty_part(); count].into_boxed_slice(),
            received: 0,
        }
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

    /// The datagrams that the last call received, in order of arrival. One whose source is of a strange family is left out.
    pub fn iter(&self) -> impl Iterator<Item = Datagram<'_>> + '_ {
        (0..self.received).filter_map(|index| self.datagram(index))
    }

    fn datagram(&self, index: usize) -> Option<Datagram<'_>> {
        let header = &self.headers[index];
        let length = (header.msg_len as usize).min(self.room);
        let start = index * self.room;
        Some(Datagram {
            bytes: &self.bytes[start..start + length],
            source: self.sources[index].address()?,
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
            stamp: self.controls[index].said(&header.msg_hdr).stamp,
        })
    }

    pub(super) fn receive(&mut self, socket: RawFd) -> io::Result<usize> {
        self.received = 0;
        let buffers = self.bytes.chunks_exact_mut(self.room);
        for (index, buffer) in buffers.enumerate() {
            self.parts[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut self.headers[index].msg_hdr;
            header.msg_name = ptr::from_mut(&mut self.sources[index]).cast();
            header.msg_namelen = RawAddress::capacity();
            header.msg_iov = &raw mut self.parts[index];
            header.msg_iovlen = 1;
            self.controls[index].lend(header);
            header.msg_flags = 0;
        }
        #[allow(clippy::cast_possible_truncation)] // A batch holds at most a few thousand.
        let count = self.headers.len() as libc::c_uint;
        // SAFETY: every header points into boxes that this value owns and that nothing else borrows during the call;
        // lengths and counts are theirs. A null timeout is allowed.
        let received = unsafe {
            libc::recvmmsg(socket, self.headers.as_mut_ptr(), count, libc::MSG_DONTWAIT, ptr::null_mut())
        };
        self.received = usize::try_from(received).map_err(|_| io::Error::last_os_error())?;
        Ok(self.received)
    }
}

/// Datagrams to be sent by one call.
pub struct SendBatch {
    room: usize,
    bytes: Box<[u8]>,
    queued: Box<[Queued]>,
    headers: Box<[libc::mmsghdr]>,
    parts: Box<[libc::iovec]>,
    /// The queued ones are `first..first + len`.
    first: usize,
    len: usize,
}

// SAFETY: as for `ReceiveBatch`, with `send`.
unsafe impl Send for SendBatch {}

#[derive(Clone, Copy)]
struct Queued {
    length: usize,
    target: RawAddress,
    /// Zero when it goes to where the socket is connected.
    target_length: libc::socklen_t,
}

impl SendBatch {
    /// Room for `count` datagrams of up to `room` bytes each (at least one of each).
    #[must_use]
    pub fn new(count: usize, room: usize) -> Self {
        let (count, room) = (count.max(1), room.max(1));
        let nothing = Queued { length: 0, target: RawAddress::empty(), target_length: 0 };
        Self {
            room,
            bytes: vec![0; count * room].into_boxed_slice(),
            queued: vec![nothing; count].into_boxed_slice(),
            headers: vec![empty_header(); count].into_boxed_slice(),
            parts: vec![empty_part(); count].into_boxed_slice(),
            first: 0,
            len: 0,
        }
    }

    /// How many are waiting to be sent.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Copies `bytes` in, to go to `target`, or to where the socket is connected. False, and nothing done, when there is
    /// no room: send first, or `bytes` is longer than a datagram of this batch may be.
    #[must_use]
    pub fn push(&mut self, bytes: &[u8], target: Option<SocketAddr>) -> bool {
        if self.len == 0 {
            self.first = 0;
        }
        let index = self.first + self.len;
        if index == self.queued.len() || bytes.len() > self.room {
            return false;
        }
        let start = index * self.room;
        self.bytes[start..start + bytes.len()].copy_from_slice(bytes);
        let (target, target_length) = target.map_or((RawAddress::empty(), 0), RawAddress::new);
        self.queued[index] = Queued { length: bytes.len(), target, target_length };
        self.len += 1;
        true
    }

    /// Forgets the oldest, for instance because it is the one that cannot be sent.
    pub fn skip(&mut self) {
        if self.len > 0 {
            self.first += 1;
            self.len -= 1;
        }
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    pub(super) fn send(&mut self, socket: RawFd) -> io::Result<usize> {
        if self.len == 0 {
            return Ok(0);
        }
        let range = self.first..self.first + self.len;
        for index in range.clone() {
            let queued = &mut self.queued[index];
            let buffer = &mut self.bytes[index * self.room..][..queued.length];
            self.parts[index] = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
            let header = &mut self.headers[index].msg_hdr;
            let named = queued.target_length > 0;
            header.msg_name = if named { ptr::from_mut(&mut queued.target).cast() } else { ptr::null_mut() };
            header.msg_namelen = queued.target_length;
            header.msg_iov = &raw mut self.parts[index];
            header.msg_iovlen = 1;
        }
        let headers = &mut self.headers[range];
        #[allow(clippy::cast_possible_truncation)] // A batch holds at most a few thousand.
        let count = headers.len() as libc::c_uint;
        // SAFETY: every header points into boxes that this value owns and that nothing else borrows during the call;
        // lengths and counts are theirs.
        let sent = unsafe { libc::sendmmsg(socket, headers.as_mut_ptr(), count, libc::MSG_NOSIGNAL) };
        let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
        self.first += sent;
        self.len -= sent;
        Ok(sent)
    }
}

fn empty_part() -> libc::iovec {
    libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 }
}

fn empty_header() -> libc::mmsghdr {
    libc::mmsghdr { msg_hdr: control::empty_header(), msg_len: 0 }
}
