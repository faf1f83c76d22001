//! Memory without a file name, that one process hands to another as a descriptor (`memfd_create(2)`).

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::AtomicU64;

use super::checked;

/// Words that outlive the process for as long as somebody holds the descriptor. A page that nobody has written to takes no
/// memory.
///
/// They stay mapped until the process ends, as threads may write to them that this value knows nothing of.
#[derive(Debug)]
pub struct Memory {
    fd: OwnedFd,
    words: &'static [AtomicU64],
}

const SEALS: libc::c_int = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW;

impl Memory {
    /// So many zeroes. `name` is shown in `/proc`.
    ///
    /// # Errors
    /// The kernel's: no descriptor is left, or no room in the address space.
    pub fn new(name: &CStr, words: usize) -> io::Result<Self> {
        let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
        // SAFETY: `name` ends with a zero byte, and outlives the call.
        let fd = checked(unsafe { libc::memfd_create(name.as_ptr(), flags) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let bytes = libc::off_t::try_from(words * size_of::<u64>()).map_err(|_| io::ErrorKind::OutOfMemory)?;
        // SAFETY: ftruncate takes no pointers.
        checked(unsafe { libc::ftruncate(fd.as_raw_fd(), bytes) })?;
        // SAFETY: F_ADD_SEALS takes a number.
        checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_ADD_SEALS, SEALS) })?;
        Self::map(fd, words)
    }

    /// The words of somebody else's memory.
    ///
    /// # Errors
    /// `InvalidData`: it is not memory that [`Self::new`] has made. Otherwise the kernel's.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        // SAFETY: F_GET_SEALS takes no argument.
        let seals = checked(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GET_SEALS) })
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        // Were it cut while it is mapped, reading it would kill the process.
        if seals & SEALS != SEALS {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // SAFETY: a stat is made of integers, for which zeroes are a value.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: `status` is valid and exclusively borrowed.
        checked(unsafe { libc::fstat(fd.as_raw_fd(), &raw mut status) })?;
        let bytes = usize::try_from(status.st_size).map_err(|_| io::ErrorKind::InvalidData)?;
        Self::map(fd, bytes / size_of::<u64>())
    }

    fn map(fd: OwnedFd, words: usize) -> io::Result<Self> {
        if words == 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let (bytes, access) = (words * size_of::<u64>(), libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: no address is asked for, so that no memory of ours is replaced.
        let start = unsafe { libc::mmap(ptr::null_mut(), bytes, access, libc::MAP_SHARED, fd.as_raw_fd(), 0) };
        if start == libc::MAP_FAILED {
            checked(-1)?;
        }
        let start = NonNull::new(start.cast::<AtomicU64>()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: so many words from the start of a page are mapped, nobody unmaps or cuts them, an AtomicU64 may hold any bits,
        // and nobody reaches them but as atomics.
        let words = unsafe { std::slice::from_raw_parts(start.as_ptr(), words) };
        Ok(Self { fd, words })
    }

    /// The words. Whoever else has them may read and write them at any time.
    #[must_use]
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }
}

impl AsFd for Memory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    #[test]
    fn what_one_writes_the_other_reads() {
        let one = Memory::new(c"mediaha-test", 1_000).unwrap();
        let other = Memory::open(one.as_fd().try_clone_to_owned().unwrap()).unwrap();
        one.words()[999].store(7, Relaxed);
        assert_eq!(other.words()[999].load(Relaxed), 7);
        assert_eq!(other.words().len(), 1_000);
    }

    #[test]
    fn a_descriptor_of_something_else_is_no_memory() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(Memory::open(file.into()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
