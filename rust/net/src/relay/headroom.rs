//! Decides: how much of its workers' time a relay needs, and will need for the calls that it has.
//!
//! What is measured is what streams took that were heard; calls that have been taken meanwhile are not in it. With many new calls
//! a second those make the difference between a relay that is nearly full and one that drops packets. So the measure is scaled by
//! how many streams there are now to how many there were then.

/// How many samples after packets were dropped no room is expected.
const SORE_SAMPLES: u32 = 4;
/// Fewer dropped packets in a sample may be one party's, that has sent more at once than its queue holds.
const DROPPED_MIN: u64 = 100;
/// So may those that are fewer than this part of what was read.
const READ_PER_DROPPED: u64 = 100;
/// The measure is never scaled by more than this: who has few streams knows little about what one takes.
const SCALE_MAX: u64 = 2;
/// A worker that needed less than this of its time was kept from its core for a moment when it dropped packets, which says
/// nothing of how many calls it can take. Two such samples in a row say it.
const STRAINED_PERMILLE: u32 = 500;
/// All of a worker's time.
const ALL: u32 = 1_000;

/// What was measured lately. The last sample counts for a quarter, so that a moment in which another program had the core says
/// little.
#[derive(Debug, Default)]
pub(super) struct Headroom {
    busy_permille: u32,
    /// Mean number of streams in those samples, in thousandths, weighted as they are.
    streams_milli: u64,
    /// In the last sample a worker was behind.
    behind: bool,
    /// For how many more samples no room is expected.
    sore: u32,
}

impl Headroom {
    /// Takes note of how busy the busiest worker was, how many packets were dropped because a worker was behind, how many were read,
    /// and how many streams there are.
    pub(super) fn sampled(&mut self, busy_permille: u32, [dropped, read]: [u64; 2], streams: usize) {
        self.busy_permille = (self.busy_permille * 3 + busy_permille.min(ALL)) / 4;
        self.streams_milli = (self.streams_milli * 3 + milli(streams)) / 4;
        let behind = dropped >= DROPPED_MIN && dropped.saturating_mul(READ_PER_DROPPED) >= read;
        let again = std::mem::replace(&mut self.behind, behind) && behind;
        let strained = again || (behind && busy_permille >= STRAINED_PERMILLE);
        self.sore = if strained { SORE_SAMPLES } else { self.sore.saturating_sub(1) };
    }

    /// How busy the busiest worker has been lately, in thousandths.
    pub(super) fn busy_permille(&self) -> u32 {
        self.busy_permille
    }

    /// Whether packets were dropped lately because a worker could not keep up.
    pub(super) fn is_behind(&self) -> bool {
        self.sore > 0
    }

    /// How busy it is going to be with so many streams, in thousandths. More than it can be is told as all.
    pub(super) fn expected_permille(&self, streams: usize) -> u32 {
        let most = u64::from(self.busy_permille) * SCALE_MAX;
        let expected = u64::from(self.busy_permille) * milli(streams) / self.streams_milli.max(1);
        u32::try_from(expected.min(most)).unwrap_or(ALL).min(ALL)
    }
}

fn milli(streams: usize) -> u64 {
    streams as u64 * 1_000
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After many samples that were all the same.
    fn settled(busy_permille: u32, streams: usize) -> Headroom {
        let mut headroom = Headroom::default();
        (0..100).for_each(|_| headroom.sampled(busy_permille, [0; 2], streams));
        headroom
    }

    #[test]
    fn calls_that_were_not_heard_yet_take_as_much_as_the_others() {
        let headroom = settled(603, 1_000);
        assert_eq!(headroom.busy_permille(), 600);
        assert!((595..=600).contains(&headroom.expected_permille(1_000)));
        assert!((895..=901).contains(&headroom.expected_permille(1_500)));
        assert!((295..=300).contains(&headroom.expected_permille(500)));
    }

    #[test]
    fn the_first_calls_of_a_server_say_little_about_the_next() {
        let headroom = settled(23, 1);
        assert_eq!(headroom.expected_permille(1_000), 40);
        assert_eq!(Headroom::default().expected_permille(1_000), 0);
    }

    #[test]
    fn load_that_grows_with_the_calls_is_seen_before_it_is_there() {
        let mut headroom = Headroom::default();
        // So that 1,000 streams take all of a worker's time, and 100 a sample are new.
        let refused_at = (0..1_000_usize).step_by(100).find(|&streams| {
            headroom.sampled(u32::try_from(streams).unwrap(), [0; 2], streams);
            headroom.expected_permille(streams + 99) >= 890
        });
        assert_eq!(refused_at, Some(800), "with 899 streams");
    }

    #[test]
    fn a_moment_without_its_core_is_no_want_of_room_and_two_in_a_row_are() {
        let mut headroom = settled(200, 100);
        for _ in 0..3 {
            headroom.sampled(250, [1_000, 10_000], 100);
            assert!(!headroom.is_behind());
            headroom.sampled(200, [0, 10_000], 100);
        }
        headroom.sampled(250, [1_000, 10_000], 100);
        headroom.sampled(250, [1_000, 10_000], 100);
        assert!(headroom.is_behind());
    }

    #[test]
    fn after_packets_were_dropped_there_is_no_room_for_a_while_and_then_there_is() {
        let mut headroom = settled(500, 100);
        headroom.sampled(500, [100, 10_000], 100);
        for _ in 0..SORE_SAMPLES {
            assert!(headroom.is_behind());
            headroom.sampled(500, [0, 10_000], 100);
        }
        assert!(!headroom.is_behind());
    }

    #[test]
    fn one_party_that_sends_too_much_at_once_keeps_nobody_out() {
        let mut headroom = settled(500, 100);
        headroom.sampled(500, [99, 100], 100);
        headroom.sampled(500, [1_000, 100_001], 100);
        assert!(!headroom.is_behind());
    }
}
