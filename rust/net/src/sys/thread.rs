//! Where and how precisely the calling thread runs.

use std::{io, mem};

use super::checked;

/// Keeps the calling thread on one CPU.
///
/// # Errors
/// The kernel's: there is no such CPU, or this process may not use it.
pub fn pin_to_cpu(cpu: usize) -> io::Result<()> {
    if cpu >= libc::CPU_SETSIZE as usize {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: a cpu_set_t is an array of integers, for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { mem::zeroed() };
    // SAFETY: `cpu` is within the set's size, checked above.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer and the length describe `set`; zero means the calling thread.
    checked(unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) }).map(drop)
}

/// Lets the calling thread's timers ring when they are due, not up to 50 µs later (Linux's default slack).
///
/// # Errors
/// The kernel's; none is expected.
pub fn precise_timers() -> io::Result<()> {
    let slack_nanos: libc::c_ulong = 1;
    // SAFETY: PR_SET_TIMERSLACK takes a number and no pointers.
    checked(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, slack_nanos) }).map(drop)
}
