//! Messages with open descriptors in them, between two processes of one machine (`unix(7)`, `SCM_RIGHTS`).

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::{checked, checked_count};

/// How many descriptors go into one message; the kernel takes 253.
pub const DESCRIPTORS_MAX: usize = 240;

/// Room for the one control message that carries them, aligned as control messages must be.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

const CONTROL_BYTES: usize = 1024;

/// One end of a line that carries whole messages, in order. Never blocks.
#[derive(Debug)]
pub struct ParcelSocket(OwnedFd);

/// A message that came.
#[derive(Debug)]
pub struct Parcel {
    /// How many bytes of the buffer it fills.
    pub length: usize,
    /// What was in it. Ours from here on.
    pub descriptors: Vec<OwnedFd>,
    /// Some of it was lost: it did not fit, or this process may not have so many descriptors.
    pub cut: bool,
}

impl ParcelSocket {
    /// Both ends of a new line.
    ///
    /// # Errors
    /// The kernel's, when the process has no descriptor left.
    pub fn pair() -> io::Result<(Self, Self)> {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let mut ends: [RawFd; 2] = [-1; 2];
        // SAFETY: `ends` has room for two descriptors.
        checked(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()) })?;
        // SAFETY: the kernel just made these descriptors, and nothing else knows them.
        let [one, other] = ends.map(|fd| Self(unsafe { OwnedFd::from_raw_fd(fd) }));
        Ok((one, other))
    }

    /// The end that this process was started with; whoever knows its number must not close it.
    ///
    /// # Errors
    /// `fd` is not open.
    pub fn inherited(fd: RawFd) -> io::Result<Self> {
        // SAFETY: F_SETFD and F_SETFL take numbers.
        unsafe {
            checked(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC))?;
            checked(libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK))?;
        }
        // SAFETY: it is open, and the caller gives it away.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends a message of at least one byte, with copies of at most [`DESCRIPTORS_MAX`] descriptors.
    ///
    /// # Errors
    /// `WouldBlock` when the other end has much to read still, `BrokenPipe` when it is gone; otherwise the kernel's, for
    /// instance that too many descriptors are under way.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.is_empty() || descriptors.len() > DESCRIPTORS_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let mut control = Control([0; CONTROL_BYTES]);
        let mut header = header(&raw mut part, &mut control);
        if descriptors.is_empty() {
            header.msg_control = ptr::null_mut();
            header.msg_controllen = 0;
        } else {
            let raw: Vec<RawFd> = descriptors.iter().map(AsRawFd::as_raw_fd).collect();
            let length = mem::size_of_val(raw.as_slice());
            let length_32 = u32::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
            // SAFETY: CMSG_SPACE and CMSG_LEN compute; `control` has room for one header and DESCRIPTORS_MAX descriptors, as the
            // assertion below checks, so that the first header and what follows it lie within.
            unsafe {
                header.msg_controllen = libc::CMSG_SPACE(length_32) as _;
                let message = libc::CMSG_FIRSTHDR(&raw const header);
                (*message).cmsg_level = libc::SOL_SOCKET;
                (*message).cmsg_type = libc::SCM_RIGHTS;
                (*message).cmsg_len = libc::CMSG_LEN(length_32) as _;
                ptr::copy_nonoverlapping(raw.as_ptr().cast::<u8>(), libc::CMSG_DATA(message), length);
            }
        }
        // SAFETY: `header` points to `part` and `control`, which outlive the call.
        checked_count(unsafe { libc::sendmsg(self.0.as_raw_fd(), &raw const header, libc::MSG_NOSIGNAL) })
            .map(drop)
    }

    /// Receives one message into `buffer`; `None` when the other end is gone and everything has been read.
    ///
    /// # Errors
    /// `WouldBlock` when there is none; otherwise the kernel's.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Parcel>> {
        let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        let mut control = Control([0; CONTROL_BYTES]);
        let mut header = header(&raw mut part, &mut control);
        // SAFETY: `header` points to `part`, which describes `buffer`, and to `control`; all are exclusively borrowed.
        let length =
            checked_count(unsafe { libc::recvmsg(self.0.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) })?;
        // SAFETY: the kernel has filled in what it sent.
        let descriptors = unsafe { received(&header) };
        if length == 0 && descriptors.is_empty() {
            return Ok(None);
        }
        let cut = header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0;
        Ok(Some(Parcel { length, descriptors, cut }))
    }

    /// The descriptor, for a process that is about to be started with it.
    #[must_use]
    pub fn into_owned(self) -> OwnedFd {
        self.0
    }
}

const _: () = {
    #[allow(clippy::cast_possible_truncation)] // It is a thousand.
    let bytes = (DESCRIPTORS_MAX * size_of::<RawFd>()) as u32;
    // SAFETY: CMSG_SPACE computes.
    let space = unsafe { libc::CMSG_SPACE(bytes) };
    assert!(space as usize <= CONTROL_BYTES);
};

/// One end of a line that [`ParcelSocket::pair`] has made.
impl From<OwnedFd> for ParcelSocket {
    fn from(fd: OwnedFd) -> Self {
        Self(fd)
    }
}

impl AsFd for ParcelSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn header(part: *mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a msghdr is made of integers and pointers, for which zeroes are a value.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = CONTROL_BYTES as _;
    header
}

/// # Safety
/// `header` was filled in by `recvmsg`, and its control messages are still there.
unsafe fn received(header: &libc::msghdr) -> Vec<OwnedFd> {
    let mut descriptors = Vec::new();
    // SAFETY: the caller's promise; the macros walk what the kernel wrote.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: as above.
        let (level, kind, length) =
            unsafe { ((*message).cmsg_level, (*message).cmsg_type, (*message).cmsg_len as usize) };
        if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
            // SAFETY: CMSG_LEN computes.
            let bytes = length - unsafe { libc::CMSG_LEN(0) } as usize;
            for number in 0..bytes / size_of::<RawFd>() {
                // SAFETY: so many descriptors follow the header, not necessarily aligned, which the kernel has just made ours.
                unsafe {
                    let place = libc::CMSG_DATA(message).add(number * size_of::<RawFd>());
                    let fd = RawFd::from_ne_bytes(place.cast::<[u8; size_of::<RawFd>()]>().read());
                    descriptors.push(OwnedFd::from_raw_fd(fd));
                }
            }
        }
        // SAFETY: as above.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Seek, Write};

    fn file(text: &str) -> std::fs::File {
        let memory = super::super::Memory::new(c"mediaha-test", 8).unwrap();
        let mut file = std::fs::File::from(memory.as_fd().try_clone_to_owned().unwrap());
        file.write_all(text.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    }

    #[test]
    fn messages_come_whole_and_in_order_with_what_is_in_them() {
        let (one, other) = ParcelSocket::pair().unwrap();
        let files = ["first", "second"].map(file);
        one.send(b"two files", &[files[0].as_fd(), files[1].as_fd()]).unwrap();
        one.send(b"none", &[]).unwrap();
        let mut buffer = [0; 64];
        let parcel = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((&buffer[..parcel.length], parcel.cut), (&b"two files"[..], false));
        let read = parcel.descriptors.into_iter().map(|fd| {
            let mut text = [0; 5];
            std::fs::File::from(fd).read_exact(&mut text).unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        assert_eq!(read.collect::<Vec<_>>(), ["first", "secon"]);
        let parcel = other.receive(&mut buffer).unwrap().unwrap();
        assert_eq!((&buffer[..parcel.length], parcel.descriptors.len()), (&b"none"[..], 0));
        assert_eq!(other.receive(&mut buffer).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn what_was_sent_before_the_end_is_read_before_the_end() {
        let (one, other) = ParcelSocket::pair().unwrap();
        one.send(b"last words", &vec![one.as_fd(); DESCRIPTORS_MAX]).unwrap();
        drop(one);
        let mut buffer = [0; 64];
        assert_eq!(other.receive(&mut buffer).unwrap().unwrap().descriptors.len(), DESCRIPTORS_MAX);
        // The copies of the other end that were in the parcel are closed by now.
        assert!(other.receive(&mut buffer).unwrap().is_none());
        assert_eq!(other.send(b"?", &[]).unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }
}
