//! How many right packets were heard in each bucket of the last minutes.
use mediaha_time::{Duration, Time};
use std::collections::VecDeque;

/// Counts by time. Holds at most `buckets_max` buckets; the oldest goes first.
#[derive(Clone, Debug)]
pub struct Timeline {
    bucket: Duration,
    buckets_max: usize,
    /// The number of the first bucket, counted in buckets from the clock's origin.
    first: u64,
    counts: VecDeque<u32>,
}

impl Timeline {
    /// Counts in buckets of length `bucket`, of which it keeps those of the last `span`.
    ///
    /// # Panics
    /// When `bucket` is shorter than a nanosecond.
    #[must_use]
    pub fn new(bucket: Duration, span: Duration) -> Self {
        assert!(bucket >= Duration::from_nanos(1), "a bucket has a length");
        let buckets_max = usize::try_from(span.as_nanos() / bucket.as_nanos()).unwrap_or(usize::MAX).max(1);
        Self { bucket, buckets_max, first: 0, counts: VecDeque::new() }
    }

    /// A packet was heard at `now`. Times may not run backwards by more than the span.
    pub fn count(&mut self, now: Time) {
        let number = self.number(now);
        if self.counts.is_empty() {
            self.first = number;
        }
        let Some(place) = number.checked_sub(self.first) else { return };
        // Silence longer than the whole span leaves nothing worth keeping.
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if place >= self.counts.len().saturating_add(self.buckets_max) {
            self.counts.clear();
            self.first = number;
            self.counts.push_back(1);
            return;
        }
        while self.counts.len() <= place {
            self.counts.push_back(0);
        }
        self.counts[place] = self.counts[place].saturating_add(1);
        while self.counts.len() > self.buckets_max {
            self.counts.pop_front();
            self.first += 1;
        }
    }

    /// Counts per bucket from `since` to `now`, the first bucket beginning at or before `since`.
    #[must_use]
    pub fn between(&self, since: Time, now: Time) -> Vec<u32> {
        let oldest = (self.number(now) + 1).saturating_sub(self.buckets_max as u64);
        (self.number(since).max(oldest)..=self.number(now))
            .map(|number| {
                let place = number.checked_sub(self.first).and_then(|place| usize::try_from(place).ok());
                place.and_then(|place| self.counts.get(place)).copied().unwrap_or(0)
            })
            .collect()
    }

    /// When the bucket begins that contains `moment`.
    #[must_use]
    pub fn begin(&self, moment: Time) -> Time {
        Time::from_nanos(self.number(moment).saturating_mul(self.nanos()))
    }

    /// When the first bucket begins that `between` can still give at `now`; that of the first packet if later.
    #[must_use]
    pub fn oldest(&self, now: Time) -> Time {
        let oldest = (self.number(now) + 1).saturating_sub(self.buckets_max as u64);
        let first = if self.counts.is_empty() { self.number(now) } else { self.first };
        Time::from_nanos(oldest.max(first).saturating_mul(self.nanos()))
    }

    /// How long a bucket is.
    #[must_use]
    pub fn bucket(&self) -> Duration {
        self.bucket
    }

    fn number(&self, moment: Time) -> u64 {
        moment.as_nanos() / self.nanos()
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.bucket.as_nanos()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn timeline(counted: &[u64]) -> Timeline {
        let mut timeline = Timeline::new(Duration::from_millis(20), Duration::from_millis(200));
        for millis in counted {
            timeline.count(at(*millis));
        }
        timeline
    }

    #[test]
    fn packets_are_counted_in_their_buckets_and_silence_as_zeros() {
        let timeline = timeline(&[1000, 1005, 1019, 1020, 1085]);
        assert_eq!(timeline.between(at(1000), at(1100)), [3, 1, 0, 0, 1, 0]);
        assert_eq!(timeline.begin(at(1039)), at(1020));
    }

    #[test]
    fn only_the_span_is_kept() {
        let timeline = timeline(&(0..1000).map(|n| n * 20).collect::<Vec<_>>());
        assert_eq!(timeline.between(Time::ZERO, at(19_999)), [1; 10]);
        assert_eq!(timeline.oldest(at(19_999)), at(19_800));
    }

    #[test]
    fn a_silence_longer_than_the_span_costs_no_memory() {
        let timeline = timeline(&[0, 3_600_000]);
        assert!(timeline.counts.len() <= 10);
        assert_eq!(timeline.between(at(3_600_000), at(3_600_000)), [1]);
    }

    #[test]
    fn nothing_was_heard_yet() {
        assert_eq!(timeline(&[]).between(at(100), at(120)), [0, 0]);
    }
}
