//! The kernel's doors: every `unsafe` block of mediaha is in this module.
//!
//! Thin and without opinion. Each function is one system call (or one batch of it) with Rust types around it; errors are
//! the kernel's, as [`std::io::Error`]. Nothing here retries, logs or decides.
#![allow(unsafe_code)]

mod address;
pub mod bpf;
mod clock;
mod control;
mod epoll;
mod event_fd;
mod folder;
mod heap;
mod limits;
mod memory;
pub mod netlink;
mod option;
mod parcels;
mod random;
mod raw;
mod shared;
mod thread;
pub mod transit;
pub mod udp;

pub use clock::{monotonic, realtime, thread_worked};
pub use epoll::{Epoll, Events, Ready, Trigger};
pub use event_fd::EventFd;
pub use folder::{FolderLock, is_bpf, mount_bpf, network_namespace};
pub use heap::share_heap;
pub use limits::{OpenFiles, open_files, raise_open_files};
pub use memory::Memory;
pub use parcels::{DESCRIPTORS_MAX, Parcel, ParcelSocket};
pub use random::{random_bytes, seed};
pub use raw::RawSocket;
pub use shared::{Atomic, Shared};
pub use thread::{pin_to_cpu, precise_timers};

use std::io;

/// The error of a system call that returned `-1`, or what it returned.
fn checked(returned: libc::c_int) -> io::Result<libc::c_int> {
    if returned == -1 { Err(io::Error::last_os_error()) } else { Ok(returned) }
}

/// The error of a system call that returned `-1`, or the count that it returned.
fn checked_count(returned: libc::ssize_t) -> io::Result<usize> {
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// The size of `T` as the kernel wants lengths of socket addresses and options.
#[allow(clippy::cast_possible_truncation)] // Only structures of a few hundred bytes are ever measured.
const fn socklen<T>() -> libc::socklen_t {
    size_of::<T>() as libc::socklen_t
}
