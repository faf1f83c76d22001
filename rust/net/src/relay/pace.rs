//! Decides: whether a worker looks for packets at once or lets them gather for a moment.
//!
//! Being woken costs as much as forwarding a packet. When packets come so close together that several will be there a
//! fraction of a millisecond later, the worker sleeps that long and forwards them in one go. It does not when they are few
//! (a packet would be delayed and nothing saved), nor when the last look found as many as it could take (more are
//! waiting already).

use mediaha_time::{Duration, Time};

/// How many packets must be expected within the pause for it to pay.
const WORTH_WAITING_FOR: u64 = 3;

/// The pace of one worker.
#[derive(Debug)]
pub(crate) struct Pace {
    pause: Duration,
    last: Time,
    /// Mean time between packets, in nanoseconds; weighted towards the last few wake-ups.
    spacing_ns: u64,
}

/// Longest spacing that is remembered: one packet then a second of silence says no more than that there are few.
const SPACING_NS_MAX: u64 = 100_000_000;

impl Pace {
    /// A pace that gathers for at most `pause`; zero never gathers.
    pub(crate) fn new(pause: Duration, now: Time) -> Self {
        Self { pause, last: now, spacing_ns: SPACING_NS_MAX }
    }

    /// Takes note that `packets` were found at `now`; says how long to let more gather, zero for not at all.
    pub(crate) fn after(&mut self, packets: usize, found_all: bool, now: Time) -> Duration {
        let elapsed = u64::try_from(now.since(self.last).as_nanos()).unwrap_or(u64::MAX);
        if packets > 0 {
            self.last = now;
            let spacing = (elapsed / packets as u64).min(SPACING_NS_MAX);
            self.spacing_ns = (self.spacing_ns * 7 + spacing) / 8;
        }
        let expected = u64::try_from(self.pause.as_nanos()).unwrap_or(u64::MAX) / self.spacing_ns.max(1);
        if found_all && expected >= WORTH_WAITING_FOR { self.pause } else { Duration::ZERO }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(500);

    /// The decisions after packets that come one by one, `spacing` apart.
    fn decisions(spacing: Duration, count: usize) -> Vec<Duration> {
        let mut now = Time::from_millis(1);
        let mut pace = Pace::new(PAUSE, now);
        (0..count)
            .map(|_| {
                now = now + spacing;
                pace.after(1, true, now)
            })
            .collect()
    }

    #[test]
    fn a_few_calls_are_never_made_to_wait() {
        assert!(decisions(Duration::from_millis(2), 500).iter().all(Duration::is_zero));
    }

    #[test]
    fn many_calls_are_gathered_soon() {
        let decisions = decisions(Duration::from_micros(20), 200);
        assert!(decisions[0].is_zero());
        assert_eq!(decisions.last(), Some(&PAUSE));
    }

    #[test]
    fn a_backlog_is_never_left_waiting() {
        let mut now = Time::from_millis(1);
        let mut pace = Pace::new(PAUSE, now);
        for _ in 0..100 {
            now = now + Duration::from_micros(500);
            assert_eq!(pace.after(128, false, now), Duration::ZERO);
        }
        assert_eq!(pace.after(10, true, now + PAUSE), PAUSE);
    }

    #[test]
    fn no_pause_is_no_pause() {
        let mut pace = Pace::new(Duration::ZERO, Time::ZERO);
        assert_eq!(pace.after(1000, true, Time::from_millis(1)), Duration::ZERO);
    }
}
