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

use std::collections::HashMap;
use std::ffi::CStr;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::Release};

use mediaha_media::Written;

use super::lives::{LIFE_WORDS, Lives};
use crate::sys::Memory;

const NAME: &CStr = c"mediaha-estate";
const MAGIC: u64 = u64::from_le_bytes(*b"mediaha\0");
/// Changes when the header, the blocks or the lives mean something else.
const LAYOUT: u64 = 1;

const HEADER_WORDS: usize = 64;
const BLOCK_WORDS: usize = 64;
/// A block's id, its generation with index and count, its length, its checksum.
const BLOCK_HEAD: usize = 4;
const BLOCK_BYTES: usize = (BLOCK_WORDS - BLOCK_HEAD) * 8;
/// The longest record, in blocks: the greatest call that a controller takes, with some room.
const BLOCKS_PER_RECORD_MAX: usize = 512;
/// The record of what outlives every call.
const LEDGER: u64 = 1;

/// Words of the header. Those before `CHECK` never change, and it is their checksum.
mod header {
    pub(super) const MAGIC: usize = 0;
    pub(super) const LAYOUT: usize = 1;
    pub(super) const OWNER: usize = 2;
    pub(super) const INSTANCE: usize = 3;
    pub(super) const BLOCKS: usize = 5;
    pub(super) const LIVES: usize = 6;
    pub(super) const CHECK: usize = 8;
    /// Blocks at and above this were never used.
    pub(super) const BLOCKS_USED: usize = 9;
    /// Lives at and above this were never used.
    pub(super) const LIVES_USED: usize = 10;
    /// How many records there are.
    pub(super) const RECORDS: usize = 11;
    /// Not zero while a record comes or goes, so that their number may be one too many or too few.
    pub(super) const AT_WORK: usize = 12;
    /// Calls that did not fit.
    pub(super) const OMITTED: usize = 13;
}

/// For whom a table is, and how much fits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    /// Whatever makes two configurations different, as a number: a table of another one is refused.
    pub(super) owner: u64,
    pub(super) calls_max: usize,
    pub(super) streams_max: usize,
}

/// Why a table is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// It was written by a program that writes it differently.
    Layout,
    /// It belongs to a server with other addresses, ports or workers.
    Owner,
    /// The header does not fit its checksum, or the memory is not as long as it says.
    Header,
    /// A block does not fit its checksum.
    Block,
    /// A record lacks a part.
    Part,
    /// There are not as many records as there should be.
    Count,
    /// Some calls were never written down.
    Omitted,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Layout => "it was written by another version",
            Self::Owner => "it was written under another configuration",
            Self::Header => "its header is damaged",
            Self::Block => "a block is damaged",
            Self::Part => "a record lacks a part",
            Self::Count => "a record is missing",
            Self::Omitted => "it has not room for all calls",
        })
    }
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
    omitted: std::collections::HashSet<Vec<u8>>,
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

/// What was found in a table.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) written: Written,
    pub(super) instance: [u8; 16],
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
            omitted: std::collections::HashSet::new(),
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

/// Reads a table, and goes on writing it.
impl Table {
    /// Nothing is written before everything has been found in order.
    ///
    /// # Errors
    /// It is not to be believed, or cannot be mapped.
    pub(super) fn open(fd: OwnedFd, owner: u64) -> io::Result<Result<(Self, Found), Damage>> {
        let memory = Memory::open(fd)?;
        Ok(Self::read(memory, owner))
    }

    fn read(memory: Memory, owner: u64) -> Result<(Self, Found), Damage> {
        let words = memory.words();
        let fixed = words.get(..HEADER_WORDS).ok_or(Damage::Header)?;
        let read = |place: usize| fixed[place].load(Relaxed);
        // Whose layout is another one may keep its checksum elsewhere.
        if read(header::MAGIC) == MAGIC && read(header::LAYOUT) != layout() {
            return Err(Damage::Layout);
        }
        if read(header::MAGIC) != MAGIC || read(header::CHECK) != checksum(&fixed[..header::CHECK]) {
            return Err(Damage::Header);
        }
        if read(header::OWNER) != owner {
            return Err(Damage::Owner);
        }
        let number = |place: usize| usize::try_from(read(place)).map_err(|_| Damage::Header);
        let (blocks, lives) = (number(header::BLOCKS)?, number(header::LIVES)?);
        let needed = blocks.checked_mul(BLOCK_WORDS).zip(lives.checked_mul(LIFE_WORDS));
        let needed = needed.and_then(|(blocks, lives)| blocks.checked_add(lives)?.checked_add(HEADER_WORDS));
        let (used, lives_used) = (number(header::BLOCKS_USED)?, number(header::LIVES_USED)?);
        if needed.is_none_or(|needed| needed != words.len()) || used > blocks || lives_used > lives {
            return Err(Damage::Header);
        }
        if read(header::OMITTED) != 0 {
            return Err(Damage::Omitted);
        }
        let (at_work, records) = (read(header::AT_WORK) != 0, read(header::RECORDS));
        let instance = whole([read(header::INSTANCE), read(header::INSTANCE + 1)]);
        let mut table = Self::over(memory, blocks);
        let written = table.take_stock(used, records, at_work)?;
        Ok((table, Found { written, instance }))
    }

    /// Finds every record, and frees what is of none.
    fn take_stock(&mut self, used: usize, records: u64, at_work: bool) -> Result<Written, Damage> {
        let parts = (0..used).filter_map(|block| self.read_block(block).transpose());
        let parts = parts.collect::<Result<HashMap<Key, Part>, Damage>>()?;
        let mut newest: HashMap<u64, Key> = HashMap::new();
        for key in parts.keys().filter(|key| key.index == 0) {
            let known = newest.entry(key.id).or_insert(*key);
            // Two generations are there only if the process was killed before it had freed the older one.
            if key.generation.wrapping_sub(known.generation).cast_signed() > 0 {
                *known = *key;
            }
        }
        let found = newest.len() as u64;
        if found.abs_diff(records) > u64::from(at_work) {
            return Err(Damage::Count);
        }
        let mut written = Written::default();
        for (id, first) in newest {
            let (record, blocks) = assemble(&parts, first)?;
            self.ids_used = self.ids_used.max(id);
            let place = Place { id, generation: first.generation, blocks };
            if id == LEDGER {
                (written.ledger, self.ledger) = (record, Some(place));
            } else {
                let call_id = Written::call_id_untrusted(&record).ok_or(Damage::Block)?.to_vec();
                self.calls.insert(call_id, place);
                written.calls.push(record);
            }
        }
        self.tidy(used, found);
        Ok(written)
    }

    fn tidy(&mut self, used: usize, found: u64) {
        let kept: std::collections::HashSet<usize> =
            self.calls.values().chain(&self.ledger).flat_map(|place| place.blocks.iter().copied()).collect();
        let free: Vec<usize> = (0..used).rev().filter(|block| !kept.contains(block)).collect();
        self.free_blocks(&free);
        self.store(header::RECORDS, found);
        self.store(header::AT_WORK, 0);
    }

    /// What is in a block; nothing if it is free.
    fn read_block(&self, block: usize) -> Result<Option<(Key, Part)>, Damage> {
        let memory = &self.memory.words()[at(block)..][..BLOCK_WORDS];
        let mut words = [0; BLOCK_WORDS];
        for (word, place) in words.iter_mut().zip(memory) {
            *word = place.load(Relaxed);
        }
        let [id, numbers, length, check, ..] = words;
        if id == 0 {
            return Ok(None);
        }
        let length = usize::try_from(length).ok().filter(|length| *length <= BLOCK_BYTES).ok_or(Damage::Block)?;
        if check != block_checksum(&words[..BLOCK_HEAD + length.div_ceil(8)]) {
            return Err(Damage::Block);
        }
        let mut bytes = Vec::with_capacity(length.next_multiple_of(8));
        for word in &words[BLOCK_HEAD..][..length.div_ceil(8)] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.truncate(length);
        let [g0, g1, g2, g3, i0, i1, c0, c1] = numbers.to_be_bytes();
        let key =
            Key { id, generation: u32::from_be_bytes([g0, g1, g2, g3]), index: u16::from_be_bytes([i0, i1]) };
        Ok(Some((key, Part { block, count: u16::from_be_bytes([c0, c1]), bytes })))
    }
}

/// Which part of which record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    id: u64,
    generation: u32,
    index: u16,
}

#[derive(Debug)]
struct Part {
    block: usize,
    count: u16,
    bytes: Vec<u8>,
}

/// A record from its first part, and the blocks that it is in.
fn assemble(parts: &HashMap<Key, Part>, first: Key) -> Result<(Vec<u8>, Vec<usize>), Damage> {
    let count = parts.get(&first).ok_or(Damage::Part)?.count;
    let (mut record, mut blocks) = (Vec::new(), Vec::new());
    for index in 0..count {
        let part = parts.get(&Key { index, ..first }).filter(|part| part.count == count).ok_or(Damage::Part)?;
        record.extend(&part.bytes);
        blocks.push(part.block);
    }
    Ok((record, blocks))
}

/// Where a block begins.
fn at(block: usize) -> usize {
    HEADER_WORDS + block * BLOCK_WORDS
}

/// Everything that two programs must agree on.
fn layout() -> u64 {
    LAYOUT << 32 | Written::LAYOUT << 16 | LIFE_WORDS as u64
}

fn halves(bytes: [u8; 16]) -> [u64; 2] {
    let (low, high) = bytes.split_at(8);
    [low, high].map(|half| u64::from_le_bytes(half.try_into().unwrap_or_default()))
}

fn whole([low, high]: [u64; 2]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&low.to_le_bytes());
    bytes[8..].copy_from_slice(&high.to_le_bytes());
    bytes
}

/// Of a block's words but the one that is to hold it.
fn block_checksum(words: &[u64]) -> u64 {
    let but_one = words.iter().enumerate().filter(|(place, _)| *place != 3);
    mixed(but_one.map(|(_, word)| *word))
}

fn checksum(words: &[AtomicU64]) -> u64 {
    mixed(words.iter().map(|word| word.load(Relaxed)))
}

/// Not against malice; but whichever single word changes, it changes.
fn mixed(words: impl Iterator<Item = u64>) -> u64 {
    words.fold(MAGIC, |sum, word| (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

#[cfg(test)]
mod tests;
