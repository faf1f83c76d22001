//! Counts spans of time in buckets that are at most 1/16 wide, from a microsecond to minutes, in constant memory.
use mediaha_time::Duration;

const SUB_BITS: u32 = 4;
const SUB: u64 = 1 << SUB_BITS;
const BUCKETS: usize = 26 << SUB_BITS;

/// Spans counted by size.
#[derive(Clone, Debug)]
pub struct Histogram {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
    longest: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0, longest: Duration::ZERO }
    }
}

impl Histogram {
    /// Counts one span.
    pub fn add(&mut self, span: Duration) {
        let count = &mut self.counts[bucket_of(span)];
        *count = count.saturating_add(1);
        self.total += 1;
        self.longest = self.longest.max(span);
    }

    /// Counts all that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts.iter()) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
        self.longest = self.longest.max(other.longest);
    }

    /// The span that `per_mille` of 1000 do not exceed, rounded up by at most 1/16; `None` when nothing was counted.
    #[must_use]
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let wanted = (self.total * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return Some(top_of(bucket).min(self.longest));
            }
        }
        None
    }

    /// The longest span; `None` when nothing was counted.
    #[must_use]
    pub fn longest(&self) -> Option<Duration> {
        (self.total > 0).then_some(self.longest)
    }
}

fn bucket_of(span: Duration) -> usize {
    let micros = u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    let bucket = if micros < SUB {
        micros
    } else {
        let shift = micros.ilog2() - SUB_BITS;
        u64::from(shift + 1) * SUB + ((micros >> shift) - SUB)
    };
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

fn top_of(bucket: usize) -> Duration {
    let bucket = bucket as u64 + 1;
    let micros = match bucket / SUB {
        0 => bucket,
        octave => (SUB + bucket % SUB) << (octave - 1),
    };
    Duration::from_micros(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_sixteenth() {
        let mut histogram = Histogram::default();
        for micros in 1..=10_000 {
            histogram.add(Duration::from_micros(micros));
        }
        for (per_mille, micros) in [(500, 5_000.0), (990, 9_900.0), (1000, 10_000.0)] {
            let got = histogram.quantile(per_mille).unwrap().as_secs_f64() * 1e6;
            assert!((micros..=micros * 1.07).contains(&got), "{per_mille}: {got}");
        }
        assert_eq!(histogram.longest(), Some(Duration::from_millis(10)));
    }

    #[test]
    fn every_span_falls_below_the_top_of_its_bucket() {
        for micros in (0..40).map(|bits| 1_u64 << bits).flat_map(|power| [power - 1, power, power + 1]) {
            let span = Duration::from_micros(micros);
            let bucket = bucket_of(span);
            assert!(bucket == BUCKETS - 1 || span < top_of(bucket), "{micros}");
            assert!(bucket == 0 || span >= top_of(bucket - 1) || bucket == BUCKETS - 1, "{micros}");
        }
    }

    #[test]
    fn nothing_counted_has_no_quantile() {
        assert_eq!(Histogram::default().quantile(500), None);
        assert_eq!(Histogram::default().longest(), None);
    }

    #[test]
    fn two_histograms_together_count_what_both_have_seen() {
        let (mut one, mut two) = (Histogram::default(), Histogram::default());
        one.add(Duration::from_millis(1));
        two.add(Duration::from_millis(9));
        one.merge(&two);
        assert_eq!(one.quantile(1000), Some(Duration::from_millis(9)));
    }
}
