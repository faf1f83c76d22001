//! The figures of one endpoint, or of many together.
use crate::histogram::Histogram;
use crate::listener::Counts;
use mediaha_time::{Duration, Time};

/// What was sent and what was heard.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// Packets sent.
    pub sent: u64,
    /// Sends that failed.
    pub refused: u64,
    /// Packets heard, by what they were found to be.
    pub counts: Counts,
    /// How long right packets were on their way.
    pub latency: Histogram,
    /// When the longest time between two right packets in a row began, and how long it was.
    pub longest_gap: Option<(Time, Duration)>,
}

impl Arrivals {
    /// Adds the figures of another endpoint.
    pub fn add(&mut self, other: &Self) {
        self.sent += other.sent;
        self.refused += other.refused;
        self.counts.received += other.counts.received;
        self.counts.lost += other.counts.lost;
        self.counts.reordered += other.counts.reordered;
        self.counts.duplicated += other.counts.duplicated;
        self.counts.misdirected += other.counts.misdirected;
        self.counts.corrupt += other.counts.corrupt;
        self.latency.merge(&other.latency);
        self.longest_gap =
            [self.longest_gap, other.longest_gap].into_iter().flatten().max_by_key(|(_, length)| *length);
    }
}
