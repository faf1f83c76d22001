//! A machine on which everybody gets to run late: what comes for a process waits until it runs.

use std::ops::RangeInclusive;

use mediaha_time::{Duration, Time};

use crate::chance::Chance;

/// What comes while a process runs at last is seen to at once.
const RUNS_FOR: Duration = Duration::from_micros(200);

/// How late.
#[derive(Clone, Debug)]
pub struct Lateness {
    /// How many in a thousand wake-ups are late.
    pub permille: u64,
    /// By how much, in milliseconds.
    pub ms: RangeInclusive<u64>,
    /// Of those, in a thousand, the ones in which nobody at all runs, as when a hypervisor has the machine stopped.
    pub all_permille: u64,
}

/// The processes of the machine; the pool is the last one.
#[derive(Debug)]
pub(crate) struct Machine {
    lateness: Lateness,
    until: Time,
    runs_at: Vec<Time>,
}

impl Machine {
    /// This many media servers and the pool, late until then.
    pub(crate) fn new(lateness: Lateness, servers: usize, until: Time) -> Self {
        Self { lateness, until, runs_at: vec![Time::ZERO; servers + 1] }
    }

    /// Which process the pool is.
    pub(crate) fn pool(&self) -> usize {
        self.runs_at.len() - 1
    }

    /// When a process sees to what comes now.
    pub(crate) fn runs_at(&mut self, process: usize, chance: &mut Chance, now: Time) -> Time {
        let known = self.runs_at[process];
        if now < known {
            return known;
        }
        if now.since(known) <= RUNS_FOR || now >= self.until || !chance.happens(self.lateness.permille) {
            return now;
        }
        let at = now + Duration::from_millis(chance.within(self.lateness.ms.clone()));
        if chance.happens(self.lateness.all_permille) {
            // Who waits already goes on to, so that what comes for it stays in order.
            self.runs_at.iter_mut().filter(|known| **known <= now).for_each(|known| *known = at);
        }
        self.runs_at[process] = at;
        at
    }

    /// Whether nothing that is up can be silent for long enough to be taken for dead.
    pub(crate) fn is_bearable(&self) -> bool {
        *self.lateness.ms.end() <= 40
    }

    /// Whether anybody is late at this time.
    pub(crate) fn is_late(&self, now: Time) -> bool {
        now < self.until + Duration::from_millis(*self.lateness.ms.end())
    }
}
