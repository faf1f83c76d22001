//! The records of calls, in memory that outlives the process.
//!
//! ```text
//!  header ── 64 words: layout, whose it is, how far it was used, how many records there are
//!  blocks ── 64 words each: id, generation, index and count, length, checksum, then a part of a record
//!  lives  ── what the workers publish of each stream, see `lives`
//! ```
//!
//! A record is never changed in place. Its next generation is written into blocks that are free, the first block last, and
//! only then the blocks of the one before are freed. A block is there once its first word is: it is stored last, and taken back
//! first. So a process that is killed between any two stores leaves each record as it was before or after the change, and a
//! first block always means a whole record.
//!
//! Whatever else is found is damage: a block that does not fit its checksum, a record that lacks a block, a number of records
//! that is not the one in the header. Damage in one place says nothing good of the others, so that the table is refused as a
//! whole.

mod layout;
mod reading;

use std::collections::{HashMap, HashSet};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{Ordering::Relaxed, Ordering::Release};

use self::layout::{
    BLOCK_BYTES, BLOCK_HEAD, BLOCK_WORDS, BLOCKS_PER_RECORD_MAX, HEADER_WORDS, LEDGER, MAGIC, at, block_checksum,
    checksum, halves, header, layout,
};
use super::lives::{LIFE_WORDS, Lives};
use crate::sys::Memory;

const NAME: &CStr = c"mediaha-estate";

/// For whom a table is, and how much fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whatever makes two configurations different, as a number: a table of another one is refused.
    pub(super) owner: u64,
    pub(super) calls_max: usize,
    pub(super) streams_max: usize,
}

/// The table as its one writer has it.
#[derive(Debug)]
pub(super) struct Table {
    memory: Memory,
    blocks: usize,
    /// Free blocks below the highest that was ever used; the one that was freed last is used first.
    free: Vec<usize>,
    calls: HashMap<Vec<u8>, Place>,
    ledger: Option<Place>,
    /// Calls that did not fit; bounded by the calls that a server takes.
    omitted: HashSet<Vec<u8>>,
    ids_used: u64,
    #[cfg(test)]
    stores_left: std::cell::Cell<usize>,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    id: u64,
    generation: u32,
    blocks: Vec<usize>,
}

impl Table {
    /// An empty one.
    pub(super) fn new(shape: Shape, instance: [u8; 16]) -> io::Result<Self> {
        // A usual call fits one block; its next generation takes another one for a moment.
        let blocks = shape.calls_max * 3 + BLOCKS_PER_RECORD_MAX * 2;
        let words = HEADER_WORDS + blocks * BLOCK_WORDS + shape.streams_max * LIFE_WORDS;
        let memory = Memory::new(NAME, words)?;
        let [low, high] = halves(instance);
        let fixed = [
            (header::MAGIC, MAGIC),
            (header::LAYOUT, layout()),
            (header::OWNER, shape.owner),
            (header::INSTANCE, low),
            (header::INSTANCE + 1, high),
            (header::BLOCKS, blocks as u64),
            (header::LIVES, shape.streams_max as u64),
        ];
        for (place, word) in fixed {
            memory.words()[place].store(word, Relaxed);
        }
        memory.words()[header::CHECK].store(checksum(&memory.words()[..header::CHECK]), Release);
        Ok(Self::over(memory, blocks))
    }

    fn over(memory: Memory, blocks: usize) -> Self {
        Self {
            memory,
            blocks,
            free: Vec::new(),
            calls: HashMap::new(),
            ledger: None,
            omitted: HashSet::new(),
            ids_used: LEDGER,
            #[cfg(test)]
            stores_left: std::cell::Cell::new(usize::MAX),
        }
    }

    /// The memory, for who keeps it.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.memory.as_fd()
    }

    /// The part of the memory that the workers write to.
    pub(super) fn lives(&self) -> Lives {
        let words = self.memory.words();
        Lives::over(&words[HEADER_WORDS + self.blocks * BLOCK_WORDS..], &words[header::LIVES_USED])
    }

    /// Writes a call down, or strikes it out. One that does not fit is counted, and makes the table useless while it lasts.
    pub(super) fn put(&mut self, call_id: &[u8], record: Option<&[u8]>) {
        let before = self.calls.remove(call_id);
        let after = match record {
            Some(record) => {
                let id = before.as_ref().map_or_else(|| self.new_id(), |place| place.id);
                self.write(id, record, before)
            }
            None => before.and_then(|place| self.erase(&place)),
        };
        let fits = record.is_some() == after.is_some();
        if let Some(place) = after {
            self.calls.insert(call_id.to_vec(), place);
        }
        let changed = if fits { self.omitted.remove(call_id) } else { self.omitted.insert(call_id.to_vec()) };
        if changed {
            self.store(header::OMITTED, self.omitted.len() as u64);
        }
    }

    /// Writes down what outlives every call.
    pub(super) fn put_ledger(&mut self, record: &[u8]) {
        let before = self.ledger.take();
        self.ledger = self.write(LEDGER, record, before);
    }

    fn new_id(&mut self) -> u64 {
        self.ids_used += 1;
        self.ids_used
    }

    /// The next generation of a record; `None` if it does not fit, and then there is no generation left.
    fn write(&mut self, id: u64, record: &[u8], before: Option<Place>) -> Option<Place> {
        let count = record.len().div_ceil(BLOCK_BYTES).max(1);
        let Some(blocks) = self.take_blocks(count) else {
            if let Some(place) = before {
                self.erase(&place);
            }
            return None;
        };
        let generation = before.as_ref().map_or(0, |place| place.generation.wrapping_add(1));
        self.store(header::AT_WORK, id);
        let mut parts: Vec<&[u8]> = record.chunks(BLOCK_BYTES).collect();
        parts.resize(count, &[]);
        for (index, part) in parts.iter().enumerate().rev() {
            self.write_block(blocks[index], id, [u64::from(generation), index as u64, count as u64], part);
        }
        match &before {
            Some(place) => self.free_blocks(&place.blocks),
            None => self.add_records(1),
        }
        self.store(header::AT_WORK, 0);
        Some(Place { id, generation, blocks })
    }

    fn erase(&mut self, place: &Place) -> Option<Place> {
        self.store(header::AT_WORK, place.id);
        self.free_blocks(&place.blocks);
        self.add_records(-1);
        self.store(header::AT_WORK, 0);
        None
    }

    fn add_records(&self, difference: i64) {
        let records = self.memory.words()[header::RECORDS].load(Relaxed);
        self.store(header::RECORDS, records.wrapping_add_signed(difference));
    }

    fn take_blocks(&mut self, count: usize) -> Option<Vec<usize>> {
        let used = usize::try_from(self.memory.words()[header::BLOCKS_USED].load(Relaxed)).ok()?;
        if count > BLOCKS_PER_RECORD_MAX || self.free.len() + (self.blocks - used) < count {
            return None;
        }
        let mut blocks = self.free.split_off(self.free.len().saturating_sub(count));
        let fresh = count - blocks.len();
        blocks.extend(used..used + fresh);
        if fresh > 0 {
            self.store(header::BLOCKS_USED, (used + fresh) as u64);
        }
        Some(blocks)
    }

    /// The first block first: the others mean nothing without it.
    fn free_blocks(&mut self, blocks: &[usize]) {
        for &block in blocks {
            self.store(at(block), 0);
        }
        self.free.extend(blocks);
    }

    fn write_block(&self, block: usize, id: u64, [generation, index, count]: [u64; 3], part: &[u8]) {
        let start = at(block);
        let numbers = generation << 32 | index << 16 | count;
        let mut words = [0; BLOCK_WORDS];
        (words[0], words[1], words[2]) = (id, numbers, part.len() as u64);
        for (word, bytes) in words[BLOCK_HEAD..].iter_mut().zip(part.chunks(8)) {
            let mut padded = [0; 8];
            padded[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(padded);
        }
        let length = BLOCK_HEAD + part.len().div_ceil(8);
        words[3] = block_checksum(&words[..length]);
        for (place, word) in (start..start + length).zip(words).skip(1) {
            self.store(place, word);
        }
        self.store(start, id);
    }

    fn store(&self, place: usize, word: u64) {
        #[cfg(test)]
        {
            let Some(left) = self.stores_left.get().checked_sub(1) else { return };
            self.stores_left.set(left);
        }
        // In this order also for whoever maps the memory next.
        self.memory.words()[place].store(word, Release);
    }
}

#[cfg(test)]
mod tests;
