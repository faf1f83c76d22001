//! Decides: whether a worker looks for packets at once or lets them gather for a moment.
//!
//! Being woken costs as much as forwarding a packet. While packets come so close together that several will be there a
//! fraction of a millisecond later, the worker does not wait to be woken by the next one: it looks until there is none, pauses,
//! and looks again. When they are few it waits: a pause would delay a packet and save nothing.

use mediaha_time::{Duration, Time};

/// How many packets must be expected within the pause for it to pay.
const WORTH_WAITING_FOR: u64 = 3;

/// Longest spacing that is remembered: one packet then a second of silence says no more than that there are few.
const SPACING_NS_MAX: u64 = 100_000_000;

/// The pace of one worker.
#[derive(Debug)]
pub(super) struct Pace {
    pause: Duration,
    /// When packets were last found.
    last: Time,
    /// Mean time between packets, in nanoseconds, weighted towards the last few looks.
    spacing_ns: u64,
}

impl Pace {
    /// A pace with pauses of `pause`; zero never pauses.
    pub(super) fn new(pause: Duration, now: Time) -> Self {
        Self { pause, last: now, spacing_ns: SPACING_NS_MAX }
    }

    /// How long a pause is.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Takes note that `packets` were found at `now`.
    pub(super) fn found(&mut self, packets: usize, now: Time) {
        if packets > 0 {
            let spacing = (nanos(now.since(self.last)) / packets as u64).min(SPACING_NS_MAX);
            self.spacing_ns = (self.spacing_ns * 7 + spacing) / 8;
            self.last = now;
        }
    }

    /// Whether to pause, once none is left, rather than wait for the next packet.
    pub(super) fn pauses(&self, now: Time) -> bool {
        let spacing = self.spacing_ns.max(nanos(now.since(self.last))).max(1);
        nanos(self.pause) / spacing >= WORTH_WAITING_FOR
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_micros(500);

    /// A pace after `count` packets that came one by one, `spacing` apart, and the time of the last.
    fn after(count: usize, spacing: Duration) -> (Pace, Time) {
        let mut now = Time::from_millis(1);
        let mut pace = Pace::new(PAUSE, now);
        for _ in 0..count {
            now = now + spacing;
            pace.found(1, now);
        }
        (pace, now)
    }

    #[test]
    fn a_few_calls_are_never_made_to_wait() {
        let (pace, now) = after(500, Duration::from_millis(2));
        assert!(!pace.pauses(now));
    }

    #[test]
    fn many_calls_are_gathered_soon() {
        let (pace, now) = after(1, Duration::from_micros(20));
        assert!(!pace.pauses(now));
        let (pace, now) = after(100, Duration::from_micros(20));
        assert!(pace.pauses(now));
    }

    #[test]
    fn when_the_packets_stop_the_worker_waits_again() {
        let (pace, now) = after(100, Duration::from_micros(20));
        assert!(!pace.pauses(now + PAUSE));
    }

    #[test]
    fn no_pause_is_no_pause() {
        let mut pace = Pace::new(Duration::ZERO, Time::ZERO);
        pace.found(1000, Time::from_millis(1));
        assert!(!pace.pauses(Time::from_millis(1)));
    }
}
