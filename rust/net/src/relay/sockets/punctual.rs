//! Decides: when the packets of a look arrived, or that the kernel must be asked.
//!
//! To ask it takes a system call for each packet. While the worker is on time nobody needs to: what a look finds has arrived since the
//! last one that found nothing, half a millisecond ago, and is told in the order of its arrival. One packet in the middle of others
//! is then known to some hundredths of a millisecond.

use mediaha_time::{Duration, Time};

/// Longer than a pause between two looks. Who looks later than that was kept from it, or waited to be woken.
const ON_TIME: Duration = Duration::from_millis(1);

/// When a worker has looked.
#[derive(Debug)]
pub(super) struct Punctual {
    /// Nothing was left to be read then, or later.
    emptied: Time,
    /// When sockets were added last, in which packets may have waited for long.
    added: Time,
}

impl Punctual {
    /// Nothing has been looked at yet.
    pub(super) fn new() -> Self {
        Self { emptied: Time::ZERO, added: Time::ZERO }
    }

    /// Sockets are added.
    pub(super) fn added(&mut self, now: Time) {
        *self = Self { emptied: Time::ZERO, added: now };
    }

    /// A look has found so many packets, for which epoll was asked at `asked_at` or later.
    pub(super) fn found(&mut self, packets: usize, asked_at: Time) {
        if packets == 0 && asked_at > self.added {
            self.emptied = asked_at;
        }
    }

    /// When the packet arrived that stands at this place, from 0, among so many that a look at `now` was told of. `None`: the
    /// kernel is to be asked.
    #[inline]
    pub(super) fn arrival(&self, place: usize, of: usize, now: Time) -> Option<Time> {
        if now.since(self.emptied) > ON_TIME {
            return None;
        }
        let (emptied, now) = (self.emptied.as_nanos(), now.as_nanos());
        let since = now.saturating_sub(emptied) * (place as u64 + 1) / (of as u64 + 1);
        Some(Time::from_nanos(emptied + since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(600);

    fn emptied_at(now: Time) -> Punctual {
        let mut punctual = Punctual::new();
        punctual.found(0, now);
        punctual
    }

    #[test]
    fn packets_of_a_look_on_time_arrived_one_after_another_since_the_last() {
        let then = Time::from_millis(5);
        let punctual = emptied_at(then);
        let arrivals = [0, 1, 2].map(|place| punctual.arrival(place, 3, then + PAUSE));
        let expected = [150, 300, 450].map(|micros| Some(then + Duration::from_micros(micros)));
        assert_eq!(arrivals, expected);
    }

    #[test]
    fn of_packets_that_may_have_waited_the_kernel_is_asked_until_none_is_left() {
        let then = Time::from_millis(5);
        let mut punctual = emptied_at(then);
        let late = then + Duration::from_millis(300);
        assert_eq!(punctual.arrival(0, 1, late), None);
        punctual.found(1, late);
        assert_eq!(punctual.arrival(0, 1, late + PAUSE), None, "its socket may hold another");
        punctual.found(0, late + PAUSE);
        assert!(punctual.arrival(0, 1, late + PAUSE * 2).is_some());
    }

    #[test]
    fn what_waits_in_sockets_that_are_added_is_asked_for() {
        let then = Time::from_millis(5);
        let mut punctual = emptied_at(then);
        punctual.added(then + PAUSE);
        assert_eq!(punctual.arrival(0, 1, then + PAUSE), None);
        punctual.found(0, then);
        assert_eq!(punctual.arrival(0, 1, then + PAUSE), None, "epoll did not know of them");
    }

    #[test]
    fn who_has_just_begun_asks() {
        assert_eq!(Punctual::new().arrival(0, 1, Time::from_millis(5)), None);
    }
}
