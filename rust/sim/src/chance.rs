//! Chance that can be repeated: the same seed draws the same numbers on every machine.

use std::ops::RangeInclusive;

/// A `SplitMix64` generator.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// One that starts from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number of the range. Its slight preference for small ones does not matter here.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (low, high) = range.into_inner();
        low + self.number() % (high - low + 1)
    }

    /// True `permille` times out of a thousand.
    pub fn happens(&mut self, permille: u64) -> bool {
        self.number() % 1000 < permille
    }

    /// One of `0..count`; 0 when there is none.
    pub fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.number() % (count.max(1) as u64)).unwrap_or(0)
    }

    /// The items in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }
}
