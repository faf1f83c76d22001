//! Decides: when a packet arrived, on the clock that all else here goes by.
//!
//! The kernel stamps packets by its real-time clock, which somebody may set while they wait; ours cannot be set. Both run equally fast,
//! so that what lies between them changes only then. A worker reads both at each look: if more has come between them since the last one,
//! the stamps of this look may be of either time, and its packets are taken to arrive now.

use mediaha_time::{Duration, Time};

/// The two clocks cannot be read at once: a thread that loses its core in between finds them further apart, too.
const APART_MAX: Duration = Duration::from_micros(100);
/// How much sooner or later than a look begins a packet may have arrived that it reads: a process may stand still before or during it,
/// or be followed by another one. This bounds what a clock can do that is set during a look.
const FROM_LOOK_MAX: Duration = Duration::from_secs(10);

/// What stamps mean, for the packets of one look.
#[derive(Debug)]
pub(super) struct Stamps {
    now: Time,
    /// What the real-time clock is ahead of ours, in nanoseconds modulo 2⁶⁴.
    ahead: u64,
    /// It has not been set since the look before.
    steady: bool,
}

impl Stamps {
    /// Both clocks show this now.
    pub(super) fn new(now: Time, realtime: Duration) -> Self {
        Self { now, ahead: nanos(realtime).wrapping_sub(now.as_nanos()), steady: true }
    }

    /// A look begins, at which both clocks show this.
    pub(super) fn look(&mut self, now: Time, realtime: Duration) {
        let before = self.ahead;
        *self = Self::new(now, realtime);
        let moved = self.ahead.wrapping_sub(before).cast_signed().unsigned_abs();
        self.steady = moved < nanos(APART_MAX);
    }

    /// When a packet arrived that has this stamp, on the real-time clock.
    #[inline]
    pub(super) fn arrival(&self, stamp: Option<Duration>) -> Time {
        match stamp {
            Some(stamp) if self.steady => Time::from_nanos(nanos(stamp).wrapping_sub(self.ahead))
                .clamp(self.now - FROM_LOOK_MAX, self.now + FROM_LOOK_MAX),
            _ => self.now,
        }
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What our clock shows when the other one shows 2026.
    const NOW: Time = Time::from_millis(90_000);
    const REALTIME: Duration = Duration::from_secs(1_795_000_000);
    const SOON: Duration = Duration::from_micros(500);

    #[test]
    fn a_packet_that_has_waited_arrived_before_it_is_read() {
        let stamps = Stamps::new(NOW, REALTIME);
        let waited = Duration::from_millis(300);
        assert_eq!(stamps.arrival(Some(REALTIME.saturating_sub(waited))), NOW - waited);
        assert_eq!(stamps.arrival(Some(REALTIME + SOON)), NOW + SOON, "the look goes on");
        assert_eq!(stamps.arrival(None), NOW);
    }

    #[test]
    fn a_clock_that_was_set_between_two_looks_makes_nobody_late() {
        for hours in [Duration::from_secs(3_600), Duration::from_millis(1)] {
            for set in [REALTIME + hours, REALTIME.saturating_sub(hours)] {
                let mut stamps = Stamps::new(NOW, REALTIME);
                stamps.look(NOW + SOON, set + SOON);
                for stamp in [REALTIME, set] {
                    assert_eq!(stamps.arrival(Some(stamp)), NOW + SOON);
                }
                stamps.look(NOW + SOON * 2, set + SOON * 2);
                assert_eq!(stamps.arrival(Some(set + SOON)), NOW + SOON);
            }
        }
    }

    #[test]
    fn a_clock_that_is_set_during_a_look_puts_nothing_far_away() {
        let stamps = Stamps::new(NOW, REALTIME);
        for stamp in [Duration::ZERO, REALTIME.saturating_sub(FROM_LOOK_MAX * 2), REALTIME * 2] {
            let arrival = stamps.arrival(Some(stamp));
            assert!(arrival.since(NOW).max(NOW.since(arrival)) == FROM_LOOK_MAX, "{arrival:?}");
        }
    }

    #[test]
    fn clocks_that_were_not_read_quite_at_once_are_believed() {
        let mut stamps = Stamps::new(NOW, REALTIME);
        let apart = Duration::from_micros(2);
        stamps.look(NOW + SOON, REALTIME + SOON + apart);
        assert_eq!(stamps.arrival(Some(REALTIME)), NOW - apart);
    }
}
