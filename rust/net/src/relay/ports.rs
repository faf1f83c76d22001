//! Decides: which pair of ports is tried next.
//!
//! Pairs are handed out in an order that an outsider cannot foresee, so that nobody waits at the next call's port with
//! packets of their own. A pair that was given back goes to the end of the line, and rests: packets of the old call
//! may still be under way. A pair that another program holds rests longer, so that it is not tried for every call.

use std::collections::{HashSet, VecDeque};
use std::ops::RangeInclusive;

use mediaha_time::{Duration, Time};

/// How long a pair that was given back is left alone while there are others.
const REST: Duration = Duration::from_secs(2);
/// How long a pair that somebody else holds is not tried.
const HELD_ELSEWHERE_REST: Duration = Duration::from_secs(10);

/// The free pairs of one address.
#[derive(Debug)]
pub(super) struct Ports {
    /// Longest free first, so that whoever is behind one that rests does so too. As bounded as the range it was made from.
    free: VecDeque<Free>,
    /// Those that somebody else held when they were tried, likewise.
    held_elsewhere: VecDeque<Free>,
    pairs: usize,
}

/// A pair that is not open, by its RTP port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Free {
    pub(super) rtp: u16,
    rested: Time,
}

impl Free {
    /// Whether a call of ours ended there a moment ago, or another program held it.
    pub(super) fn rests(self, now: Time) -> bool {
        self.rested > now
    }
}

impl Ports {
    /// All pairs (even, odd) that lie wholly within `range`, in an order that `seed` shuffles.
    pub(super) fn new(range: &RangeInclusive<u16>, seed: u64) -> Self {
        let evens = range.clone().filter(|port| port % 2 == 0 && *port > 0 && port < range.end());
        let mut free: VecDeque<Free> = evens.map(|rtp| Free { rtp, rested: Time::ZERO }).collect();
        shuffle(free.make_contiguous(), seed);
        Self { pairs: free.len(), free, held_elsewhere: VecDeque::new() }
    }

    /// How many pairs there are, free or not.
    pub(super) fn pairs(&self) -> usize {
        self.pairs
    }

    /// The next pair to try. One that rests after a call is only taken when no other is left: a call
    /// refused would be worse than a late packet, which latching is there to judge.
    pub(super) fn take(&mut self, now: Time) -> Option<Free> {
        let rested = |queue: &VecDeque<Free>| queue.front().is_some_and(|free| free.rested <= now);
        let tried_before = !rested(&self.free) && rested(&self.held_elsewhere);
        let queue = if tried_before { &mut self.held_elsewhere } else { &mut self.free };
        queue.pop_front()
    }

    /// The RTP ports of the pairs that are free, in the order in which they will be tried.
    pub(super) fn free(&self) -> impl Iterator<Item = u16> {
        self.free.iter().chain(&self.held_elsewhere).map(|free| free.rtp)
    }

    /// Takes all these pairs, by their RTP ports, whatever their turn.
    pub(super) fn take_all(&mut self, taken: &HashSet<u16>) {
        self.free.retain(|free| !taken.contains(&free.rtp));
    }

    /// Takes back a pair whose call is over.
    pub(super) fn give_back(&mut self, rtp: u16, now: Time) {
        self.free.push_back(Free { rtp, rested: now + REST });
    }

    /// Takes back a pair that could not be bound.
    pub(super) fn held_elsewhere(&mut self, rtp: u16, now: Time) {
        self.held_elsewhere.push_back(Free { rtp, rested: now + HELD_ELSEWHERE_REST });
    }
}

/// Fisher and Yates's shuffle, with the splitmix64 generator.
fn shuffle<T>(items: &mut [T], seed: u64) {
    let mut state = seed;
    for last in (1..items.len()).rev() {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut word = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        word ^= word >> 31;
        // The remainder is below the length of a slice of at most 2^15 ports.
        let other = usize::try_from(word % (last as u64 + 1)).unwrap_or(0);
        items.swap(last, other);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_millis(1_000_000);

    fn next(ports: &mut Ports, now: Time) -> Option<u16> {
        ports.take(now).map(|free| free.rtp)
    }

    fn all(ports: &mut Ports, now: Time) -> Vec<u16> {
        std::iter::from_fn(|| next(ports, now)).collect()
    }

    #[test]
    fn only_whole_pairs_of_even_and_odd_are_handed_out_once_each() {
        let mut taken = all(&mut Ports::new(&(30_001..=30_010), 1), NOW);
        taken.sort_unstable();
        assert_eq!(taken, [30_002, 30_004, 30_006, 30_008], "30010 lacks its odd port");
        assert!(all(&mut Ports::new(&(0..=1), 1), NOW).is_empty(), "port 0 is no port");
        assert_eq!(all(&mut Ports::new(&(65_534..=65_535), 1), NOW), [65_534]);
    }

    #[test]
    fn the_order_depends_on_the_seed() {
        let order = |seed| all(&mut Ports::new(&(30_000..=39_999), seed), NOW);
        assert_eq!(order(7), order(7));
        assert_ne!(order(7), order(8));
    }

    #[test]
    fn a_pair_given_back_rests_while_others_are_free() {
        let mut ports = Ports::new(&(30_000..=30_003), 1);
        let first = ports.take(NOW).unwrap().rtp;
        ports.give_back(first, NOW);
        assert_ne!(next(&mut ports, NOW), Some(first));
        assert_eq!(next(&mut ports, NOW), Some(first), "rather a tired pair than none");
        assert_eq!(next(&mut ports, NOW), None);
    }

    #[test]
    fn pairs_that_are_in_use_already_are_not_handed_out() {
        let mut ports = Ports::new(&(30_000..=30_007), 1);
        ports.take_all(&HashSet::from([30_002, 30_006, 40_000]));
        let mut taken = all(&mut ports, NOW);
        taken.sort_unstable();
        assert_eq!(taken, [30_000, 30_004]);
    }

    #[test]
    fn a_pair_held_elsewhere_is_tried_again_only_later() {
        let mut ports = Ports::new(&(30_000..=30_001), 1);
        let only = ports.take(NOW).unwrap().rtp;
        ports.held_elsewhere(only, NOW);
        assert_eq!(next(&mut ports, NOW), None);
        assert_eq!(next(&mut ports, NOW + HELD_ELSEWHERE_REST), Some(only));
    }
}
