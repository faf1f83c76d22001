//! Waiting for many descriptors at once.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

use super::checked;

/// When a descriptor that stays readable is reported again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At every wait, until it has been read empty.
    Level,
    /// Only when something new has arrived: the reader must read until `WouldBlock` or remember that it did not.
    Edge,
}

/// An `epoll(7)` instance that waits for descriptors to become readable.
#[derive(Debug)]
pub struct Epoll(OwnedFd);

impl Epoll {
    /// An instance that waits for nothing yet.
    ///
    /// # Errors
    /// The kernel's, when the process has no file descriptor left.
    pub fn new() -> io::Result<Self> {
        // SAFETY: epoll_create1 takes no pointers.
        let fd = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        // SAFETY: the kernel just made this descriptor, and nothing else knows it.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Reports `fd` as `token` when it is readable or has an error. The kernel forgets it when its last copy is closed.
    ///
    /// # Errors
    /// The kernel's: added already, or out of memory or watches.
    pub fn add(&self, fd: &impl AsFd, token: u64, trigger: Trigger) -> io::Result<()> {
        let edge = if trigger == Trigger::Edge { libc::EPOLLET } else { 0 };
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | edge).cast_unsigned(), u64: token };
        self.control(libc::EPOLL_CTL_ADD, fd, &raw mut event)
    }

    /// Forgets `fd`.
    ///
    /// # Errors
    /// The kernel's: it was not added.
    pub fn remove(&self, fd: &impl AsFd) -> io::Result<()> {
        self.control(libc::EPOLL_CTL_DEL, fd, ptr::null_mut())
    }

    /// Waits until something is ready, at most `timeout` (forever when `None`), and replaces what `events` holds.
    /// A signal ends the wait: what is there by then is reported.
    ///
    /// # Errors
    /// The kernel's; none is expected in a program without bugs.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.ready = 0;
        match self.pwait2(events, timeout) {
            Ok(ready) => events.ready = ready,
            // Who does not wait is not interrupted.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.ready = self.pwait2(events, Some(Duration::ZERO))?;
            }
            // Before Linux 5.11, and under old container filters, there are only milliseconds.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM)) => {
                events.ready = self.wait_millis(events, timeout)?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn control(&self, operation: libc::c_int, fd: &impl AsFd, event: *mut libc::epoll_event) -> io::Result<()> {
        // SAFETY: `event` is null (allowed for a removal) or points to a live epoll_event of the caller; both
        // descriptors are open because they are borrowed.
        checked(unsafe { libc::epoll_ctl(self.0.as_raw_fd(), operation, fd.as_fd().as_raw_fd(), event) }).map(drop)
    }

    fn pwait2(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let limit = timeout.map(timespec);
        // SAFETY: the event pointer and length describe `events.slots`, exclusively borrowed; the timespec outlives the
        // call or the pointer is null; a null signal mask leaves the mask alone.
        let returned = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.0.as_raw_fd(),
                events.slots.as_mut_ptr(),
                events.slots.len(),
                limit.as_ref().map_or(ptr::null(), ptr::from_ref),
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        usize::try_from(returned).map_err(|_| io::Error::last_os_error())
    }

    fn wait_millis(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        // Rounded up: a timer that rings early would be asked for again at once.
        let millis = timeout
            .map_or(-1, |span| libc::c_int::try_from(span.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX));
        let slots = libc::c_int::try_from(events.slots.len()).unwrap_or(libc::c_int::MAX);
        // SAFETY: the event pointer and length describe `events.slots`, exclusively borrowed.
        let returned = unsafe { libc::epoll_wait(self.0.as_raw_fd(), events.slots.as_mut_ptr(), slots, millis) };
        match checked(returned) {
            Ok(ready) => Ok(usize::try_from(ready).unwrap_or(0)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.wait_millis(events, Some(Duration::ZERO))
            }
            Err(error) => Err(error),
        }
    }
}

/// Room for what one wait reports.
pub struct Events {
    slots: Box<[libc::epoll_event]>,
    ready: usize,
}

impl Events {
    /// Room for `capacity` descriptors (at least one); more that are ready are reported at the next wait.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let empty = libc::epoll_event { events: 0, u64: 0 };
        Self { slots: vec![empty; capacity.max(1)].into_boxed_slice(), ready: 0 }
    }

    /// How many the last wait reported.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ready
    }

    /// Whether the last wait reported nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ready == 0
    }

    /// Whether the last wait may have left some out for want of room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.ready == self.slots.len()
    }

    /// What the last wait reported at `index`, which is below [`Self::len`].
    #[must_use]
    pub fn at(&self, index: usize) -> Ready {
        let event = self.slots[..self.ready][index];
        let error = event.events & libc::EPOLLERR.cast_unsigned() != 0;
        Ready { token: event.u64, error }
    }

    /// What the last wait reported.
    pub fn iter(&self) -> impl Iterator<Item = Ready> + '_ {
        (0..self.ready).map(|index| self.at(index))
    }
}

/// One descriptor that is readable, or has an error to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// What it was added as.
    pub token: u64,
    /// An error is waiting; for a connected UDP socket the next receive or send returns it and so takes it away.
    pub error: bool,
}

// `epoll_pwait2` reads 64-bit times, also where those of the C library are shorter.
const _: () = assert!(size_of::<libc::timespec>() == 16);

fn timespec(span: Duration) -> libc::timespec {
    libc::timespec {
        tv_sec: libc::time_t::try_from(span.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(span.subsec_nanos().cast_signed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::EventFd;

    #[test]
    fn a_level_trigger_reports_until_drained_and_an_edge_reports_once() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::new(4));
        let (level, edge) = (EventFd::new().unwrap(), EventFd::new().unwrap());
        epoll.add(&level, 1, Trigger::Level).unwrap();
        epoll.add(&edge, 2, Trigger::Edge).unwrap();
        level.ring();
        level.ring();
        edge.ring();
        epoll.wait(&mut events, None).unwrap();
        assert_eq!(events.len(), 2);
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert_eq!(events.iter().map(|ready| ready.token).collect::<Vec<_>>(), [1]);
        level.drain();
        epoll.wait(&mut events, Some(Duration::ZERO)).unwrap();
        assert!(events.is_empty(), "however often it was rung, it is drained once");
    }

    #[test]
    fn a_wait_for_nothing_ends_at_its_timeout() {
        let (epoll, mut events) = (Epoll::new().unwrap(), Events::new(1));
        epoll.wait(&mut events, Some(Duration::from_micros(300))).unwrap();
        assert!(events.is_empty());
        assert_eq!(epoll.wait_millis(&mut events, Some(Duration::from_micros(300))).unwrap(), 0);
    }
}
