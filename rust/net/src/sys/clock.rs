//! The kernel's clocks.

use std::time::Duration;

use mediaha_time::Time;

/// Now, on `CLOCK_MONOTONIC`: what Python's `time.monotonic()` shows, too.
#[must_use]
pub fn monotonic() -> Time {
    let now = read(libc::CLOCK_MONOTONIC);
    Time::ZERO + now
}

/// Now, on `CLOCK_REALTIME`, since the Unix epoch: the clock of the kernel's receive stamps.
#[must_use]
pub fn realtime() -> Duration {
    read(libc::CLOCK_REALTIME)
}

/// For how long the calling thread has had a processor, on `CLOCK_THREAD_CPUTIME_ID`.
#[must_use]
pub fn thread_worked() -> Duration {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: libc::clockid_t) -> Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, exclusively borrowed timespec; these clocks exist on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    span(now)
}

/// A timespec that the kernel wrote as a span; zero should it ever be negative.
pub(super) fn span(time: libc::timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    Duration::new(seconds, nanos)
}
