//! What is where in the memory of a table, and how it is known to be undamaged.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mediaha_media::Written;

use crate::estate::lives::LIFE_WORDS;

pub(super) const MAGIC: u64 = u64::from_le_bytes(*b"mediaha\0");
/// Changes when the header, the blocks or the lives mean something else.
const LAYOUT: u64 = 1;

pub(super) const HEADER_WORDS: usize = 64;
pub(super) const BLOCK_WORDS: usize = 64;
/// A block's id, its generation with index and count, its length, its checksum.
pub(super) const BLOCK_HEAD: usize = 4;
pub(super) const BLOCK_BYTES: usize = (BLOCK_WORDS - BLOCK_HEAD) * 8;
/// The longest record, in blocks: the greatest call that a controller takes, with some room.
pub(super) const BLOCKS_PER_RECORD_MAX: usize = 512;
/// The record of what outlives every call.
pub(super) const LEDGER: u64 = 1;

/// Words of the header. Those before `CHECK` never change, and it is their checksum.
pub(super) mod header {
    pub(crate) const MAGIC: usize = 0;
    pub(crate) const LAYOUT: usize = 1;
    pub(crate) const OWNER: usize = 2;
    pub(crate) const INSTANCE: usize = 3;
    pub(crate) const BLOCKS: usize = 5;
    pub(crate) const LIVES: usize = 6;
    pub(crate) const CHECK: usize = 8;
    /// Blocks at and above this were never used.
    pub(crate) const BLOCKS_USED: usize = 9;
    /// Lives at and above this were never used.
    pub(crate) const LIVES_USED: usize = 10;
    /// How many records there are.
    pub(crate) const RECORDS: usize = 11;
    /// Not zero while a record comes or goes, so that their number may be one too many or too few.
    pub(crate) const AT_WORK: usize = 12;
    /// Calls that did not fit.
    pub(crate) const OMITTED: usize = 13;
}

/// Where a block begins.
pub(super) fn at(block: usize) -> usize {
    HEADER_WORDS + block * BLOCK_WORDS
}

/// Everything that two programs must agree on.
pub(super) fn layout() -> u64 {
    LAYOUT << 32 | Written::LAYOUT << 16 | LIFE_WORDS as u64
}

pub(super) fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let (low, high) = bytes.split_at(8);
    [low, high].map(|half| u64::from_le_bytes(half.try_into().unwrap_or_default()))
}

pub(super) fn whole([low, high]: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    bytes
}

/// Of a block's words but the one that is to hold it.
pub(super) fn block_checksum(words: &[u64]) -> u64 {
    let but_one = words.iter().enumerate().filter(|(place, _)| *place != 3);
    mixed(but_one.map(|(_, word)| *word))
}

pub(super) fn checksum(words: &[AtomicU64]) -> u64 {
    mixed(words.iter().map(|word| word.load(Relaxed)))
}

/// Not against malice; but whichever single word changes, it changes.
fn mixed(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(MAGIC, |sum, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}
