//! Folders in a file system of type `bpf`, where what is pinned is kept.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::checked;

/// `BPF_FS_MAGIC`.
const BPF_FILE_SYSTEM: i64 = 0xcafe_4a11;

/// Whether a folder is in a file system of type `bpf`.
#[must_use]
pub fn is_bpf(folder: &Path) -> bool {
    let Ok(path) = CString::new(folder.as_os_str().as_bytes()) else { return false };
    // SAFETY: a structure of numbers may be all zeroes.
    let mut about: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path ends with a zero, `about` is exclusively borrowed, and both outlive the call.
    let done = unsafe { libc::statfs(path.as_ptr(), &raw mut about) };
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // Its type differs between machines.
    let is_bpf = about.f_type as i64 == BPF_FILE_SYSTEM;
    done == 0 && is_bpf
}

/// Mounts a file system of type `bpf` on `folder`, for the whole machine, as far as this process sees it.
///
/// # Errors
/// The kernel's: it takes `CAP_SYS_ADMIN`.
pub fn mount_bpf(folder: &Path) -> io::Result<()> {
    let path = CString::new(folder.as_os_str().as_bytes()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (kind, options) = (c"bpf", c"mode=0700");
    let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
    // SAFETY: all strings end with a zero and outlive the call.
    let done = unsafe { libc::mount(kind.as_ptr(), path.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) };
    checked(done).map(drop)
}

/// Says that a folder is in use, until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct FolderLock(#[allow(dead_code)] File); // It is there to be dropped.

impl FolderLock {
    /// Locks a folder; `None` if somebody else has, or has just removed it.
    ///
    /// # Errors
    /// The kernel's: there is no such folder.
    pub fn take(folder: &Path) -> io::Result<Option<Self>> {
        let file = File::open(folder)?;
        // SAFETY: the descriptor is open, and there are no pointers.
        match checked(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let locked = file.metadata()?.ino();
        let is_there = fs::metadata(folder).is_ok_and(|there| there.ino() == locked);
        Ok(is_there.then_some(Self(file)))
    }
}

/// A number that no other network namespace has as long as ours exists.
///
/// # Errors
/// `/proc` is not mounted.
pub fn network_namespace() -> io::Result<u64> {
    fs::metadata("/proc/thread-self/ns/net").map(|about| about.ino())
}
