//! When somebody wants to be looked at again. An entry is a hint: who has nothing to do by then does nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use mediaha_time::Time;

use crate::exchange::{Cookie, ServerId};
use crate::registry::CallKey;

/// Who.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// A request may have to be sent again.
    Flight(Cookie),
    /// A call waits for something.
    Call(CallKey),
    /// A server is owed a deletion.
    Debts(ServerId),
}

/// A heap of them, soonest first. Each request and each state of a call adds a bounded number.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    heap: BinaryHeap<Reverse<(Time, Timer)>>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Time, timer: Timer) {
        self.heap.push(Reverse((at, timer)));
    }

    pub(crate) fn next_at(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _))| *at)
    }

    /// One that is due.
    pub(crate) fn pop(&mut self, now: Time) -> Option<Timer> {
        if self.next_at()? > now {
            return None;
        }
        self.heap.pop().map(|Reverse((_, timer))| timer)
    }
}
