//! A bell between threads that epoll and trio can wait for.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::checked;

/// An `eventfd(2)`: any thread rings it, one waits for it to become readable and drains it.
#[derive(Debug)]
pub struct EventFd(OwnedFd);

impl EventFd {
    /// A bell that has not rung.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: eventfd takes no pointers.
        let fd = checked(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Makes the descriptor readable until [`Self::drain`]. Never blocks; ringing twice is ringing once.
    pub fn ring(&self) {
        let one = 1_u64.to_ne_bytes();
        // The only failure is a counter that is full, and then it is readable already.
        // SAFETY: the pointer and the length describe `one`.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    /// Makes the descriptor unreadable again; nothing when it had not rung.
    ///
    /// Drain first and look for work afterwards: a ring in between is then not lost.
    pub fn drain(&self) {
        let mut count = [0_u8; 8];
        // SAFETY: the pointer and the length describe `count`, exclusively borrowed.
        unsafe { libc::read(self.0.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl AsFd for EventFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
