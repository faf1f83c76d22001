//! Memory that somebody else reads or writes at the same time.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU8;

use super::checked;

/// Bytes that are shared with the kernel, or with another process.
#[derive(Debug)]
pub struct SharedBytes {
    start: NonNull<AtomicU8>,
    length: usize,
}

// SAFETY: the memory belongs to this value until it is dropped, and is only reached as atomics.
unsafe impl Send for SharedBytes {}
// SAFETY: as above.
unsafe impl Sync for SharedBytes {}

impl SharedBytes {
    pub(super) fn map(fd: &OwnedFd, length: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so that no memory of ours is replaced.
        let start = unsafe { libc::mmap(ptr::null_mut(), length, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            checked(-1)?;
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, length })
    }

    /// The bytes. Whoever else has them may read and write them at any time.
    #[must_use]
    pub fn as_slice(&self) -> &[AtomicU8] {
        // SAFETY: `length` bytes from `start` are mapped as long as this value lives, and an AtomicU8 may hold any of them.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for SharedBytes {
    fn drop(&mut self) {
        // SAFETY: this is what `map` mapped, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
