//! What is going to happen in a world, in the order in which it will.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use mediaha_failover::Command;
use mediaha_time::Time;

use crate::effect::Ending;
use crate::nets::Act;
use crate::plan::What;

/// All that has been arranged and has not happened yet.
#[derive(Debug, Default)]
pub(crate) struct Calendar {
    queue: BinaryHeap<Reverse<Happening>>,
    numbered: u64,
}

/// Something that happens at a time; of two at the same time, the one that was arranged first.
#[derive(Debug)]
struct Happening {
    at: Time,
    number: u64,
    what: Happens,
}

/// What happens then.
#[derive(Debug)]
pub(crate) enum Happens {
    AtServer(usize, Vec<u8>),
    AtPool(usize, Vec<u8>),
    /// Session control wants something of a pool that did not run at once.
    Wanted(Command),
    Unreachable(usize),
    ThroughServer(usize, u64, usize, SocketAddr),
    Probed(usize, u64),
    /// A server that has forwarded nothing since then should be rid of these calls.
    StillGray(usize, Time, Vec<(usize, u32)>),
    Tick,
    Resume,
    Act(usize, Act),
    Begin(What),
    End(usize, u64),
    Told(usize),
    /// The supervisor says that one process follows another.
    Succeeding(usize),
    /// It does, or it does not; which process it is that has left something.
    Succeeds(usize, u32, Ending),
    /// A call whose server died then must have found another by now.
    Overdue(usize, u32),
    Healed,
    Settled,
    Empty,
}

impl Calendar {
    /// This is to happen then.
    pub(crate) fn arrange(&mut self, at: Time, what: Happens) {
        let number = self.number();
        self.queue.push(Reverse(Happening { at, number, what }));
    }

    /// What happens next, and when.
    pub(crate) fn next(&mut self) -> Option<(Time, Happens)> {
        self.queue.pop().map(|Reverse(Happening { at, what, .. })| (at, what))
    }

    /// A number that nothing else has.
    pub(crate) fn number(&mut self) -> u64 {
        self.numbered += 1;
        self.numbered
    }
}

impl PartialEq for Happening {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Happening {}

impl PartialOrd for Happening {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Happening {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
