//! What a worker counts about itself, beside what is counted of each stream.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mediaha_time::Duration;

/// Each number is written by the worker, and read by control at any time. On cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Tally {
    pub(super) wakeups: Counter,
    pub(super) received: Counter,
    pub(super) sent: Counter,
    pub(super) unsent: Counter,
    pub(super) refused: Counter,
    pub(super) unclaimed: Counter,
    pub(super) overflowed: Counter,
    pub(super) busy_ns: Counter,
}

/// A number with one writer: a load and a store are enough, a locked instruction would buy nothing.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// What one worker has counted since it started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TallySnapshot {
    /// How often it looked for packets.
    pub wakeups: u64,
    /// Packets it read.
    pub received: u64,
    /// Packets it sent.
    pub sent: u64,
    /// Packets that the kernel did not take: its queue was full, or there was no route.
    pub unsent: u64,
    /// Notices that a party's port is closed.
    pub refused: u64,
    /// Packets that came to a port of no stream.
    pub unclaimed: u64,
    /// Packets that the kernel dropped because a queue was full. Whose they were, its stream counts.
    pub overflowed: u64,
    /// Time it was not waiting for packets.
    pub busy: Duration,
}

impl Tally {
    pub(super) fn snapshot(&self) -> TallySnapshot {
        TallySnapshot {
            wakeups: self.wakeups.read(),
            received: self.received.read(),
            sent: self.sent.read(),
            unsent: self.unsent.read(),
            refused: self.refused.read(),
            unclaimed: self.unclaimed.read(),
            overflowed: self.overflowed.read(),
            busy: Duration::from_nanos(self.busy_ns.read()),
        }
    }
}
