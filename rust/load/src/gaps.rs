//! Silences: how long an endpoint heard nothing right while it was being sent to.
use mediaha_time::{Duration, Time};
use std::collections::VecDeque;

/// How many gaps an endpoint remembers; the oldest is forgotten first.
pub const GAPS_MAX: usize = 64;

/// A silence. `ended` is `None` while it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When the last packet before it was heard.
    pub began: Time,
    /// When the first packet after it was heard.
    pub ended: Option<Time>,
}

impl Gap {
    /// How long it lasted, or has lasted at `now`.
    #[must_use]
    pub fn length(&self, now: Time) -> Duration {
        self.ended.unwrap_or(now).since(self.began)
    }
}

/// Watches one endpoint. Begins with the first packet heard, so that setting a call up is no gap.
#[derive(Clone, Debug)]
pub struct GapWatch {
    shortest: Duration,
    heard_at: Option<Time>,
    longest: Option<Gap>,
    newest: VecDeque<Gap>,
}

impl GapWatch {
    /// A watch that remembers gaps of at least `shortest`.
    #[must_use]
    pub fn new(shortest: Duration) -> Self {
        Self { shortest, heard_at: None, longest: None, newest: VecDeque::new() }
    }

    /// A right packet was heard at `now`.
    pub fn heard(&mut self, now: Time) {
        if let Some(began) = self.heard_at.replace(now) {
            self.ended(Gap { began, ended: Some(now) }, now);
        }
    }

    /// The sender has stopped on purpose at `now`: the silence that follows is no gap.
    pub fn rest(&mut self, now: Time) {
        if let Some(began) = self.heard_at.take() {
            self.ended(Gap { began, ended: Some(now) }, now);
        }
    }

    /// The longest time between two packets, counting the present silence.
    #[must_use]
    pub fn longest(&self, now: Time) -> Option<Gap> {
        self.present().into_iter().chain(self.longest).max_by_key(|gap| gap.length(now))
    }

    /// The gaps remembered, oldest first; the last of them may still last.
    pub fn all(&self, now: Time) -> impl Iterator<Item = Gap> + '_ {
        let lasting = self.present().filter(|gap| gap.length(now) >= self.shortest);
        self.newest.iter().copied().chain(lasting)
    }

    fn present(&self) -> Option<Gap> {
        self.heard_at.map(|began| Gap { began, ended: None })
    }

    fn ended(&mut self, gap: Gap, now: Time) {
        if self.longest.is_none_or(|longest| gap.length(now) > longest.length(now)) {
            self.longest = Some(gap);
        }
        if gap.length(now) >= self.shortest {
            if self.newest.len() == GAPS_MAX {
                self.newest.pop_front();
            }
            self.newest.push_back(gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Time {
        Time::from_millis(millis)
    }

    fn watch_that_heard(times: &[u64]) -> GapWatch {
        let mut watch = GapWatch::new(Duration::from_millis(50));
        for millis in times {
            watch.heard(at(*millis));
        }
        watch
    }

    #[test]
    fn a_steady_stream_has_no_gap_but_a_longest_distance() {
        let watch = watch_that_heard(&[0, 20, 41, 60]);
        assert_eq!(watch.all(at(61)).count(), 0);
        assert_eq!(watch.longest(at(61)), Some(Gap { began: at(20), ended: Some(at(41)) }));
    }

    #[test]
    fn a_silence_is_remembered_with_its_ends() {
        let watch = watch_that_heard(&[0, 20, 220, 240]);
        assert_eq!(watch.all(at(241)).collect::<Vec<_>>(), [Gap { began: at(20), ended: Some(at(220)) }]);
    }

    #[test]
    fn a_silence_that_lasts_is_a_gap_without_end() {
        let watch = watch_that_heard(&[0, 20]);
        assert_eq!(watch.all(at(500)).collect::<Vec<_>>(), [Gap { began: at(20), ended: None }]);
        assert_eq!(watch.longest(at(500)), Some(Gap { began: at(20), ended: None }));
    }

    #[test]
    fn a_sender_that_stops_on_purpose_leaves_no_gap() {
        let mut watch = watch_that_heard(&[0, 20]);
        watch.rest(at(30));
        watch.heard(at(5_000));
        assert_eq!(watch.all(at(5_010)).count(), 0);
    }

    #[test]
    fn the_time_before_the_first_packet_is_no_gap() {
        assert_eq!(watch_that_heard(&[]).longest(at(9_000)), None);
    }

    #[test]
    fn memory_is_bounded_and_forgets_the_oldest() {
        let times: Vec<u64> = (0..200).map(|n| n * 100).collect();
        let watch = watch_that_heard(&times);
        assert_eq!(watch.all(at(19_901)).count(), GAPS_MAX);
        assert_eq!(watch.all(at(19_901)).last(), Some(Gap { began: at(19_800), ended: Some(at(19_900)) }));
    }
}
