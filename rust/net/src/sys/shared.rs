//! Memory that somebody else reads or writes at the same time.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use super::checked;

/// Memory that is shared with the kernel, or with another process, as atomic numbers of one size.
#[derive(Debug)]
pub struct Shared<T: Atomic> {
    start: NonNull<T>,
    bytes: usize,
}

/// Numbers that others may read and write at any time, and that may hold any bits.
pub trait Atomic: sealed::Sealed {}

impl Atomic for AtomicU8 {}
impl Atomic for AtomicU32 {}
impl Atomic for AtomicU64 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::AtomicU8 {}
    impl Sealed for super::AtomicU32 {}
    impl Sealed for super::AtomicU64 {}
}

// SAFETY: the memory belongs to this value until it is dropped, and is only reached as atomics.
unsafe impl<T: Atomic> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Atomic> Sync for Shared<T> {}

impl<T: Atomic> Shared<T> {
    pub(super) fn map(fd: &OwnedFd, bytes: usize) -> io::Result<Self> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: no address is asked for, so that no memory of ours is replaced.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            checked(-1)?;
        }
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { start, bytes })
    }

    /// The numbers. Whoever else has them may read and write them at any time.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        // SAFETY: so many bytes are mapped from `start`, which begins a page, for as long as this value lives; they are zero or
        // what others wrote, and an atomic number may hold any of that.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.bytes / size_of::<T>()) }
    }
}

impl<T: Atomic> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: this is what `map` mapped, and no reference to it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
