//! Socket options.

use std::io;
use std::os::fd::RawFd;
use std::ptr;

use super::{checked, socklen};

pub(super) fn set(socket: RawFd, level: libc::c_int, name: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let pointer = ptr::from_ref(&value).cast();
    // SAFETY: pointer and length describe `value`, which outlives the call.
    checked(unsafe { libc::setsockopt(socket, level, name, pointer, socklen::<libc::c_int>()) }).map(drop)
}

/// Asks for a queue of `bytes`: with `forced` where this process may exceed the system's limit, otherwise with `asked`, which is
/// capped silently.
pub(super) fn set_size(socket: RawFd, forced: libc::c_int, asked: libc::c_int, bytes: usize) -> io::Result<()> {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    set(socket, libc::SOL_SOCKET, forced, bytes).or_else(|_| set(socket, libc::SOL_SOCKET, asked, bytes))
}
