//! Whose packets the kernel has dropped because the queue of a worker was full.
//!
//! All ports of a worker share its queues, and a socket tells only how many it has dropped. So there are two accounts of each side of a
//! stream: the program in the kernel counts what arrives at its ports, and the stream what becomes of each packet. They are compared
//! from time to time, which costs a packet nothing:
//!
//! ```text
//!  begin: what has arrived so far   ─▶ packets are read as ever ─▶ all that waited then is read ─▶ what is missing now was dropped
//! ```
//!
//! A side is said to have lost what it misses, but all together no more than the sockets have dropped. The kernel asks the program for
//! other reasons than packets, too, such as notices that a party's port is closed; so when nothing waits and nothing was dropped,
//! the accounts are made to agree.
//!
//! Both accounts are in memory that outlives the process, so that a successor finds out what was dropped while nobody was reading.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use mediaha_media::{Side, Stream};

use super::strangers::Strangers;
use super::table::Table;
use crate::relay::tally::Tally;
use crate::sys::udp::UdpSocket;

/// One worker's comparison.
#[derive(Debug)]
pub(super) struct Overflow {
    inlets: Vec<Arc<UdpSocket>>,
    /// The number of the first of them.
    number: usize,
    strangers: Arc<Strangers>,
    /// What the sockets had dropped in all when they were asked last, modulo 2³².
    seen: u32,
    /// The same at the end of the last comparison.
    compared: u32,
    progress: Progress,
    /// By the stream's place in the table, and its side; `None` where there was none.
    begun: Vec<Option<Begun>>,
    /// The same: how many packets each side misses, negative if it was given more than the program has counted.
    missing: Vec<i32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Idle,
    /// So many had been dropped by then, and were nobody's.
    Begun(u32),
    /// When so many more packets have been read, none is left that had arrived before.
    Waiting(u64),
}

/// What was known of a side when the comparison began.
#[derive(Clone, Copy, Debug)]
struct Begun {
    port: SocketAddr,
    arrived: u32,
}

impl Overflow {
    /// That of the worker who has these inlets.
    pub(super) fn new<'a>(
        inlets: impl Iterator<Item = (usize, &'a Arc<UdpSocket>)>,
        strangers: &Arc<Strangers>,
    ) -> Self {
        let (numbers, inlets): (Vec<_>, _) = inlets.map(|(number, socket)| (number, Arc::clone(socket))).unzip();
        let number = numbers.first().copied().unwrap_or(0);
        let strangers = Arc::clone(strangers);
        let seen = strangers.known_drops(number).load(Relaxed);
        let (begun, missing) = (Vec::new(), Vec::new());
        Self { inlets, number, strangers, seen, compared: seen, progress: Progress::Idle, begun, missing }
    }

    /// Begins a comparison, unless one is under way; to be called before the queues are read. Counts the strangers that were
    /// refused since the last time.
    pub(super) fn begin(&mut self, table: &Table, tally: &Tally) {
        let idle = self.progress == Progress::Idle;
        if idle {
            self.begun.clear();
            // Asked before what has arrived: what is dropped in between is thought to wait.
            self.progress = Progress::Begun(self.dropped(tally));
        }
        let Self { strangers, begun, .. } = self;
        for (place, stream) in table.streams() {
            if idle {
                begun.resize((place + 1) * 2, None);
            }
            for side in Side::BOTH {
                let ports = stream.plan().side(side).local;
                let arrived = strangers.arrived(ports.rtp).wrapping_add(strangers.arrived(ports.rtcp));
                // In this order: then none of those that are refused from here on is missed.
                let refused = strangers.refused(ports.rtp) + strangers.refused(ports.rtcp);
                if refused > 0 {
                    stream.strangers(side, refused);
                }
                if idle {
                    begun[place * 2 + side.index()] = Some(Begun { port: ports.rtp, arrived });
                }
            }
        }
    }

    /// Goes on with the comparison when so many packets have been read; `empty` says that no more were there.
    #[inline]
    pub(super) fn read(&mut self, packets: usize, empty: bool, table: &Table, tally: &Tally) {
        match self.progress {
            Progress::Idle => {}
            Progress::Waiting(waiting) if !empty && waiting > packets as u64 => {
                self.progress = Progress::Waiting(waiting - packets as u64);
            }
            Progress::Begun(dropped) if !empty => {
                self.look(table);
                let missing = self.missing.iter().map(|&missing| wanted(missing)).sum::<u64>();
                // The queues are read in turn, and all of them may wait in one.
                let turns = self.inlets.len() as u64;
                self.progress = Progress::Waiting(missing.saturating_sub(dropped.into()) * turns);
            }
            Progress::Begun(_) | Progress::Waiting(_) => {
                self.progress = Progress::Idle;
                self.end(empty, table, tally);
            }
        }
    }

    fn end(&mut self, empty: bool, table: &Table, tally: &Tally) {
        let dropped = self.dropped(tally);
        self.look(table);
        let mut shares = Shares::of(dropped, &self.missing);
        let known = self.strangers.known_drops(self.number);
        for (place, stream) in table.streams() {
            for (side, missing) in Side::BOTH.into_iter().zip(self.missing.iter_mut().skip(place * 2)) {
                let share = shares.next(*missing);
                if share > 0 {
                    stream.overflowed(side, share.unsigned_abs().into());
                    known.fetch_add(share.unsigned_abs(), Relaxed);
                    *missing -= share;
                }
            }
        }
        // What nobody misses at the second look was sent to ports of no stream, or of one that has ended.
        let (before, after) = (std::mem::replace(&mut self.compared, self.seen), self.seen);
        if empty && before == after {
            self.agree(table);
            known.store(after, Relaxed);
        }
    }

    /// Finds out who misses how many packets of those that had arrived when the comparison began.
    fn look(&mut self, table: &Table) {
        self.missing.clear();
        self.missing.resize(self.begun.len(), 0);
        for (place, stream) in table.streams() {
            for side in Side::BOTH {
                let number = place * 2 + side.index();
                let port = stream.plan().side(side).local.rtp;
                // Whoever has other ports than then, or was not there, will be compared the next time.
                if let Some(Some(begun)) =
                    self.begun.get(number).filter(|begun| begun.is_some_and(|it| it.port == port))
                {
                    self.missing[number] = unaccounted(begun.arrived, stream, side);
                }
            }
        }
    }

    /// Has the program's account say what the stream's does.
    fn agree(&self, table: &Table) {
        for (place, stream) in table.streams() {
            for (side, &missing) in Side::BOTH.into_iter().zip(self.missing.iter().skip(place * 2)) {
                let ports = stream.plan().side(side).local;
                let arrived = self.strangers.arrived(ports.rtp).wrapping_add(self.strangers.arrived(ports.rtcp));
                // What has arrived meanwhile may wait by now, or be accounted for.
                let wrong = if missing > 0 { missing } else { unaccounted(arrived, stream, side).min(0) };
                if wrong != 0 {
                    self.strangers.forgive(ports.rtp, wrong.cast_unsigned());
                }
            }
        }
    }

    /// How many packets have found a queue full, and are nobody's so far.
    fn dropped(&mut self, tally: &Tally) -> u32 {
        // A kernel that cannot tell drops them all the same.
        let drops = self.inlets.iter().map(|socket| socket.drops().unwrap_or(0)).fold(0, u32::wrapping_add);
        let more = drops.wrapping_sub(std::mem::replace(&mut self.seen, drops));
        tally.overflowed.add(more.into());
        drops.wrapping_sub(self.strangers.known_drops(self.number).load(Relaxed))
    }
}

/// Of so many packets that have arrived, how many its stream knows nothing of.
fn unaccounted(arrived: u32, stream: &Stream, side: Side) -> i32 {
    #[allow(clippy::cast_possible_truncation)] // Both count modulo 2³².
    let accounted = stream.accounted(side) as u32;
    arrived.wrapping_sub(accounted).cast_signed()
}

/// Shares out dropped packets among those who miss some: to each all that it misses, or, if more are missing than were dropped, its
/// part of them.
struct Shares {
    dropped: u64,
    all: u64,
    /// What those before have missed.
    before: u64,
}

impl Shares {
    fn of(dropped: u32, missing: &[i32]) -> Self {
        let all = missing.iter().map(|&missing| wanted(missing)).sum();
        Self { dropped: u64::from(dropped).min(all), all, before: 0 }
    }

    /// The share of the next one. Rounded so that the shares of all are together what was dropped.
    fn next(&mut self, missing: i32) -> i32 {
        let up_to = |sum: u64| u128::from(sum) * u128::from(self.dropped) / u128::from(self.all.max(1));
        let with = self.before + wanted(missing);
        let share = up_to(with) - up_to(self.before);
        self.before = with;
        // It is no more than is missing.
        i32::try_from(share).unwrap_or(missing)
    }
}

/// A side may have more packets than the program has counted: of several that arrive as one, to be cut later, it sees one.
fn wanted(missing: i32) -> u64 {
    u64::try_from(missing).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(dropped: u32, missing: &[i32]) -> Vec<i32> {
        let mut shares = Shares::of(dropped, missing);
        missing.iter().map(|&missing| shares.next(missing)).collect()
    }

    #[test]
    fn each_gets_what_it_misses() {
        assert_eq!(shares(10, &[3, 0, 7]), [3, 0, 7]);
    }

    #[test]
    fn nobody_gets_more_than_it_misses_though_others_were_dropped() {
        assert_eq!(shares(1_000, &[3, 0, 7]), [3, 0, 7]);
    }

    #[test]
    fn nobody_gets_more_than_its_part_of_what_was_dropped() {
        assert_eq!(shares(10, &[30, 0, 70]), [3, 0, 7]);
        assert_eq!(shares(10, &[1; 1_000]).iter().sum::<i32>(), 10);
    }

    #[test]
    fn who_misses_less_than_nothing_gets_nothing() {
        assert_eq!(shares(10, &[-5, 10]), [0, 10]);
    }

    #[test]
    fn nothing_is_shared_where_nothing_is_missing() {
        assert_eq!(shares(10, &[0, -1]), [0, 0]);
        assert_eq!(shares(10, &[]), Vec::<i32>::new());
    }

    #[test]
    fn the_largest_numbers_fit() {
        assert_eq!(shares(u32::MAX, &[i32::MAX, i32::MAX]), [i32::MAX, i32::MAX]);
    }
}
