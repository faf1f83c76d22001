//! The worker threads as control sees them: who forwards what, how busy they are, whether they work at all.

use std::collections::HashMap;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use mediaha_media::{Load, SideCounters, StreamCounters, StreamId};
use mediaha_time::{Duration, Time};

use super::headroom::Headroom;
use super::local::Workers;
use super::mailbox::Mailbox;
use super::tally::{Tally, TallySnapshot};
use crate::estate::Lives;
use crate::failure::Failure;
use crate::sys::monotonic;

/// How many calls of [`Crew::sample`] a worker may sleep through, though it is woken at each.
const MISSED_MAX: u32 = 4;
/// How long closing waits for a worker to end. One that is stuck is left behind: it must not keep the others from ending.
const FAREWELL: Duration = Duration::from_secs(2);

/// Threads that take commands `C`, and the streams that they forward. Dropping it ends them.
#[derive(Debug)]
pub(super) struct Crew<C> {
    workers: Vec<Employed<C>>,
    /// Bounded by the ports: a stream is placed only with ports that control has opened.
    streams: HashMap<StreamId, Placed>,
    /// Where streams are counted if that is to outlive us.
    lives: Option<Lives>,
    failure: Failure,
    sampled: Time,
    headroom: Headroom,
    /// Bells are rung by [`Self::ring`] only.
    gathers: bool,
    /// How many commands were given.
    told: u32,
}

/// Those who are told things are woken at the latest when so many commands were given.
const RING_EVERY: u32 = 256;

/// Who forwards a stream, and where it is counted.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) worker: usize,
    pub(super) counters: StreamCounters,
}

#[derive(Debug)]
struct Employed<C> {
    mailbox: Arc<Mailbox<C>>,
    tally: Arc<Tally>,
    thread: Option<JoinHandle<()>>,
    streams: usize,
    before: TallySnapshot,
    /// How many samples in a row have found that it did not wake up.
    missed: u32,
    /// It was told something, and not woken for it.
    unrung: bool,
}

impl<C: Send + 'static> Crew<C> {
    /// Nobody yet. What goes wrong with a worker is told to `failure`.
    pub(super) fn new(failure: Failure) -> Self {
        let (workers, streams) = (Vec::new(), HashMap::new());
        let (lives, gathers, headroom) = (None, false, Headroom::default());
        Self { workers, streams, lives, failure, sampled: monotonic(), headroom, gathers, told: 0 }
    }

    /// Streams are counted here from now on.
    pub(super) fn count_in(&mut self, lives: Lives) {
        self.lives = Some(lives);
    }

    /// Starts a thread that does `work` until its mailbox says stop.
    ///
    /// # Errors
    /// No thread is left.
    pub(super) fn employ(
        &mut self,
        mailbox: Arc<Mailbox<C>>,
        tally: Arc<Tally>,
        work: impl FnOnce() + Send + 'static,
    ) -> io::Result<()> {
        let (number, failure) = (self.workers.len(), self.failure.clone());
        let thread = thread::Builder::new().name(format!("relay-{number}")).spawn(move || {
            if panic::catch_unwind(AssertUnwindSafe(work)).is_err() {
                failure.report(format!("relay worker {number} panicked"));
            }
        })?;
        let (thread, before) = (Some(thread), TallySnapshot::default());
        self.workers.push(Employed { mailbox, tally, thread, streams: 0, before, missed: 0, unrung: false });
        Ok(())
    }

    /// The worker with the fewest streams.
    pub(super) fn least_laden(&self) -> usize {
        (0..self.workers.len()).min_by_key(|&worker| self.workers[worker].streams).unwrap_or(0)
    }

    /// Who forwards the stream; a new one is given to `worker`.
    pub(super) fn place(&mut self, stream: StreamId, worker: usize) -> Placed {
        let (workers, lives) = (&mut self.workers, &mut self.lives);
        let placed = self.streams.entry(stream).or_insert_with(|| {
            workers[worker].streams += 1;
            let counters = lives.as_mut().map(|lives| lives.of(stream, monotonic()));
            Placed { worker, counters: counters.unwrap_or_default() }
        });
        placed.clone()
    }

    /// Forgets a stream; gives who forwarded it.
    pub(super) fn leave(&mut self, stream: StreamId) -> Option<usize> {
        let worker = self.streams.remove(&stream)?.worker;
        self.workers[worker].streams -= 1;
        if let Some(lives) = &mut self.lives {
            lives.end(stream, monotonic());
        }
        Some(worker)
    }

    /// All streams of a former life have been placed: packets may come, and what it counted and nobody has claimed is let go of.
    pub(super) fn let_go_of_the_rest(&mut self) {
        self.workers.iter().for_each(|employed| employed.mailbox.hold(false));
        let streams = &self.streams;
        if let Some(lives) = &mut self.lives {
            lives.keep_only(|stream| streams.contains_key(&stream), monotonic());
        }
    }

    /// What was received of a stream.
    pub(super) fn counters(&self, stream: StreamId) -> Option<[SideCounters; 2]> {
        self.streams.get(&stream).map(|placed| placed.counters.snapshot())
    }

    /// Tells a worker, or ends the server if it does not listen.
    pub(super) fn tell(&mut self, worker: usize, command: C) {
        let employed = &mut self.workers[worker];
        if employed.mailbox.post(command).is_err() {
            self.failure.report(format!("relay worker {worker} takes no commands"));
        }
        employed.unrung = true;
        self.told = self.told.wrapping_add(1);
        // Where many are told at once, as at an adoption, the first must not wait for the last.
        if !self.gathers || self.told.is_multiple_of(RING_EVERY) {
            self.ring();
        }
    }

    /// Tells each of them.
    pub(super) fn tell_all(&mut self, command: impl Fn() -> C) {
        (0..self.workers.len()).for_each(|worker| self.tell(worker, command()));
    }

    /// How much of its workers a relay needs that has opened ports.
    pub(super) fn load(&self, [ports_open, ports_max]: [u32; 2]) -> Load {
        let expected_permille = self.headroom.expected_permille(self.streams.len());
        let busy_permille = self.headroom.busy_permille();
        let unclaimed = self.workers.iter().map(|employed| employed.tally.snapshot().unclaimed).sum();
        let is_behind = self.headroom.is_behind();
        Load { ports_open, ports_max, busy_permille, expected_permille, is_behind, unclaimed }
    }
}

impl<C: Send + 'static> Workers for Crew<C> {
    fn gather(&mut self) {
        self.gathers = true;
    }

    fn is_unrung(&self) -> bool {
        self.workers.iter().any(|employed| employed.unrung)
    }

    fn ring(&mut self) {
        for employed in self.workers.iter_mut().filter(|employed| employed.unrung) {
            employed.unrung = false;
            employed.mailbox.bell.ring();
        }
    }

    fn tallies(&self) -> Vec<TallySnapshot> {
        self.workers.iter().map(|employed| employed.tally.snapshot()).collect()
    }

    fn sample(&mut self, now: Time) {
        let elapsed = now.since(self.sampled).as_nanos().max(1);
        self.sampled = now;
        let (mut busiest, mut dropped, mut read) = (0, 0, 0);
        for (number, employed) in self.workers.iter_mut().enumerate() {
            let before = employed.before;
            let spent = employed.look_after();
            dropped += employed.before.overflowed - before.overflowed;
            read += employed.before.received - before.received;
            let permille = u32::try_from(spent.as_nanos() * 1000 / elapsed).unwrap_or(1000).min(1000);
            busiest = busiest.max(permille);
            // Counted in looks, not in time: when the whole process was stopped for a while, the worker is not to blame.
            if employed.missed > MISSED_MAX {
                self.failure.report(format!("relay worker {number} does not wake up"));
            }
        }
        self.headroom.sampled(busiest, [dropped, read], self.streams.len());
    }
}

impl<C> Employed<C> {
    /// Wakes the worker, and sees whether it woke up since this was done last; returns for how long it was busy since.
    fn look_after(&mut self) -> Duration {
        let tally = self.tally.snapshot();
        let before = std::mem::replace(&mut self.before, tally);
        self.missed = if tally.wakeups == before.wakeups { self.missed + 1 } else { 0 };
        self.mailbox.bell.ring();
        tally.busy.saturating_sub(before.busy)
    }
}

/// Stops the workers and waits for them.
impl<C> Drop for Crew<C> {
    fn drop(&mut self) {
        self.workers.iter().for_each(|employed| employed.mailbox.stop());
        let give_up_at = monotonic() + FAREWELL;
        for thread in self.workers.iter_mut().filter_map(|employed| employed.thread.take()) {
            while !thread.is_finished() && monotonic() < give_up_at {
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                // A panic of the worker has been reported by the worker's thread itself.
                let _ = thread.join();
            }
        }
    }
}
