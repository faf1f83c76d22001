//! Decides: whether what is counted grows, how fast, and since when.
//!
//! Who counts looks at nothing else. Control looks at the sums now and then, so that a person who asks is told not only how many packets
//! were dropped since the start, but whether that goes on.

use mediaha_time::{Duration, Time};

use super::statistics::{Refused, Statistics};
use crate::counters::Cause;

/// How long the sums are left alone.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// What has not grown for so long has stopped growing.
const CALM: Duration = Duration::from_secs(10);

/// How a count has grown lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trend {
    /// The most that it was at any look.
    count: u64,
    /// How much it grew a second, between the last two looks.
    pub per_second: u64,
    /// Since when it has been growing, and until when it was seen to; `None` if it has never grown before this process's eyes.
    pub grew: Option<(Time, Time)>,
}

/// How the sums have grown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trends {
    looked: Option<Time>,
    /// Packets forwarded.
    pub packets: Trend,
    /// Bytes of those.
    pub bytes: Trend,
    /// Packets dropped, indexed as [`Cause::ALL`].
    pub dropped: [Trend; Cause::ALL.len()],
    /// Packets that came to ports of no stream.
    pub unclaimed: Trend,
    /// Calls refused, indexed as [`Refused::ALL`].
    pub refused: [Trend; Refused::ALL.len()],
}

impl Trends {
    /// Whether it is time to look again.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.looked.is_none_or(|looked| now.since(looked) >= LOOK_EVERY)
    }

    /// Takes note of what the sums are at `now`. What was there at the first look has not grown: it may be a former life's.
    pub(super) fn look(&mut self, sums: &Statistics, now: Time) {
        let before = self.looked.replace(now);
        let dropped = self.dropped.iter_mut().zip(sums.dropped);
        let refused = self.refused.iter_mut().zip(sums.refused_calls);
        let others = [
            (&mut self.packets, sums.packets),
            (&mut self.bytes, sums.bytes),
            (&mut self.unclaimed, sums.load.unclaimed),
        ];
        for (trend, count) in dropped.chain(refused).chain(others) {
            match before {
                Some(before) => trend.continued(count, before, now),
                None => trend.count = count,
            }
        }
    }
}

impl Trend {
    fn continued(&mut self, count: u64, before: Time, now: Time) {
        // A call that ended while the sums were made may be missing in them.
        let more = count.saturating_sub(self.count);
        self.count = self.count.max(count);
        let elapsed_ms = now.since(before).as_millis().max(1);
        self.per_second = u64::try_from(u128::from(more) * 1_000 / elapsed_ms).unwrap_or(u64::MAX);
        if more > 0 {
            let goes_on = self.grew.filter(|(_, last)| before.since(*last) < CALM);
            self.grew = Some((goes_on.map_or(before, |(since, _)| since), now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(trend: &mut Trend, counts: &[(u64, u64)]) {
        for pair in counts.windows(2) {
            trend.continued(pair[1].1, Time::from_millis(pair[0].0), Time::from_millis(pair[1].0));
        }
    }

    #[test]
    fn what_grows_has_grown_since_the_last_look_that_found_it_still() {
        let mut trend = Trend::default();
        looked(&mut trend, &[(0, 0), (2_000, 0), (4_000, 10), (6_000, 11), (8_000, 11)]);
        assert_eq!(trend.grew, Some((Time::from_millis(2_000), Time::from_millis(6_000))));
        assert_eq!(trend.per_second, 0, "now it stands still");
    }

    #[test]
    fn after_a_calm_it_grows_anew() {
        let mut trend = Trend::default();
        looked(&mut trend, &[(0, 0), (2_000, 8), (8_000, 8), (10_000, 9), (22_000, 9), (24_000, 29)]);
        assert_eq!(trend.grew, Some((Time::from_millis(22_000), Time::from_millis(24_000))));
        assert_eq!(trend.per_second, 10);
    }

    #[test]
    fn a_pause_of_a_few_looks_is_no_calm() {
        let mut trend = Trend::default();
        looked(&mut trend, &[(0, 0), (2_000, 8), (8_000, 8), (10_000, 9)]);
        assert_eq!(trend.grew, Some((Time::ZERO, Time::from_millis(10_000))));
    }
}
