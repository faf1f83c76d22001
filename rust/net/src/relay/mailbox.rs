//! How control tells a worker what to forward.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossbeam_queue::ArrayQueue;
use mediaha_time::Duration;

use crate::sys::{EventFd, monotonic};

/// How many commands may wait.
const WAITING_MAX: usize = 4096;
/// A worker that takes no command for this long is dead or as good as dead.
const PATIENCE: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_micros(100);

/// The worker has taken no command for [`PATIENCE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stuck;

/// A bounded queue of commands `C` with a bell; one worker empties it. When it is full, control waits: no command may be lost,
/// and a worker that does its work empties the whole queue within some ten milliseconds.
#[derive(Debug)]
pub(super) struct Mailbox<C> {
    commands: ArrayQueue<C>,
    stopping: AtomicBool,
    /// Streams of a former life are on their way: their packets wait until all are there.
    holding: AtomicBool,
    pub(super) bell: EventFd,
}

impl<C> Mailbox<C> {
    pub(super) fn new() -> std::io::Result<Self> {
        let commands = ArrayQueue::new(WAITING_MAX);
        Ok(Self {
            commands,
            stopping: AtomicBool::new(false),
            holding: AtomicBool::new(false),
            bell: EventFd::new()?,
        })
    }

    /// Adds a command; waits for room if there is none. Whether the worker is woken for it is the caller's affair.
    pub(super) fn post(&self, command: C) -> Result<(), Stuck> {
        let Err(mut refused) = self.commands.push(command) else { return Ok(()) };
        let give_up_at = monotonic() + PATIENCE;
        while monotonic() < give_up_at {
            self.bell.ring();
            thread::sleep(NAP);
            match self.commands.push(refused) {
                Ok(()) => {
                    self.bell.ring();
                    return Ok(());
                }
                Err(again) => refused = again,
            }
        }
        Err(Stuck)
    }

    /// The oldest command. The worker rings the bell itself if it drains it and leaves some.
    pub(super) fn take(&self) -> Option<C> {
        self.commands.pop()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Tells the worker to end, whatever else it was told.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.bell.ring();
    }

    /// Has the worker take commands only, or packets again.
    pub(super) fn hold(&self, holding: bool) {
        self.holding.store(holding, Ordering::Release);
    }

    pub(super) fn is_holding(&self) -> bool {
        self.holding.load(Ordering::Acquire)
    }

    pub(super) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worker_that_takes_nothing_is_reported_and_no_command_is_lost_before() {
        let mailbox = Mailbox::new().unwrap();
        for number in 0..WAITING_MAX as u64 {
            assert_eq!(mailbox.post(number), Ok(()));
        }
        assert_eq!(mailbox.post(0), Err(Stuck));
        let taken = std::iter::from_fn(|| mailbox.take()).count();
        assert_eq!(taken, WAITING_MAX);
    }
}
